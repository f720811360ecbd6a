//! The table of docs/control.md, and a model: machines, copies of them, answers that are lost, requests that are late.

use super::*;
use crate::document::Table;
use proptest::prelude::*;

const EPOCH: u64 = 4;

fn counter(epoch: u64, number: u64, nonce: u8) -> Counter {
    Counter { epoch, number, nonce: [nonce; NONCE_LEN] }
}

#[test]
fn every_row_of_counters_is_as_the_document_says() {
    let table = Table::read("counter");
    let line = |number, before: Option<u8>| Remembered {
        current: counter(EPOCH, number, 10),
        before: before.map(|nonce| [nonce; NONCE_LEN]),
    };
    for row in &table.rows {
        let remembered = match row[0] {
            "nothing" => None,
            "another binding's" => Some(Remembered { current: counter(EPOCH - 1, 5, 10), before: None }),
            "never presented" => Some(line(0, None)),
            "presented before" => Some(line(3, Some(9))),
            other => panic!("no test understands \"{other}\""),
        };
        for (column, cell) in table.header.iter().zip(row).skip(1) {
            let number = remembered.map_or(0, |remembered| remembered.current.number);
            let presented = match *column {
                "the last" => Presented::Sealed(counter(EPOCH, number, 10)),
                "the one before" => Presented::Sealed(counter(EPOCH, number.saturating_sub(1), 9)),
                "an older or a lost one" => Presented::Sealed(counter(EPOCH, number, 77)),
                "another binding's" => Presented::Sealed(counter(EPOCH - 1, 5, 10)),
                "not sealed" => Presented::Unsealed,
                "nothing" => Presented::Nothing,
                other => panic!("no test understands \"{other}\""),
            };
            let found = judge(remembered.as_ref(), presented, EPOCH, [42; NONCE_LEN]);
            let word = match found {
                Judgement::Next(next) if remembered.is_none_or(|was| was.current.epoch != EPOCH) => {
                    let before = match presented {
                        Presented::Sealed(shown) => Some(shown.nonce),
                        Presented::Unsealed | Presented::Nothing => None,
                    };
                    assert_eq!(next, Remembered { current: counter(EPOCH, 0, 42), before });
                    "new line"
                }
                Judgement::Next(next) if next.current.number == number + 1 => "next",
                Judgement::Next(next) => {
                    assert_eq!(next.current, counter(EPOCH, number, 42));
                    "again"
                }
                Judgement::Conflict(next) => {
                    assert_eq!(next.current.nonce, [42; NONCE_LEN]);
                    "conflict"
                }
            };
            assert_eq!(word, *cell, "{} × {column}", row[0]);
        }
    }
}

#[test]
fn every_row_of_replaced_keys_is_as_the_document_says() {
    let yes = |cell: &str| match cell {
        "yes" => true,
        "no" => false,
        other => panic!("no test understands \"{other}\""),
    };
    let table = Table::read("replaced keys");
    assert_eq!(table.rows.len(), 4);
    for row in &table.rows {
        let word = if outlived(yes(row[0]), yes(row[1])) { "conflict" } else { "`signature_invalid`" };
        assert_eq!(word, row[2], "{row:?}");
    }
}

#[test]
fn a_line_is_used_once_a_session_was_opened_in_it() {
    let fresh = Remembered { current: counter(EPOCH, 0, 1), before: None };
    assert!(!fresh.used(), "the first counter is handed out with the binding");
    let shown = [Presented::Sealed(fresh.current), Presented::Nothing, Presented::Unsealed];
    for presented in shown {
        let (Judgement::Next(next) | Judgement::Conflict(next)) = judge(Some(&fresh), presented, EPOCH, [2; NONCE_LEN]);
        assert!(next.used(), "{presented:?}");
    }
}

#[test]
fn a_counter_reads_back_from_its_bytes() {
    let counter = Counter { epoch: 7, number: u64::MAX, nonce: *b"fourtwos" };
    assert_eq!(Counter::from_bytes(&counter.to_bytes()), counter);
}

#[test]
fn a_late_answer_is_overtaken_and_a_clock_that_was_set_back_is_not() {
    let at = Timestamp::from_ms;
    let lifetime = Span::seconds(60);
    assert!(!overtaken(at(5), None, lifetime));
    assert!(!overtaken(at(5), Some(at(5)), lifetime) && !overtaken(at(6), Some(at(5)), lifetime));
    assert!(overtaken(at(5), Some(at(6)), lifetime) && overtaken(at(0), Some(at(60_000)), lifetime));
    assert!(!overtaken(at(0), Some(at(60_001)), lifetime));
}

/// The server's side: what it remembers, and whether it has seen two.
#[derive(Default)]
struct Server {
    remembered: Option<Remembered>,
    conflict: bool,
    nonces: u64,
    /// Challenges given out, and the newest that was answered.
    challenges: i64,
    answered: Option<Timestamp>,
}

/// A request on its way.
#[derive(Clone, Copy)]
struct Sent {
    challenge: Timestamp,
    shown: Option<Counter>,
}

impl Server {
    fn ask(&mut self, shown: Option<Counter>) -> Sent {
        self.challenges += 1;
        Sent { challenge: Timestamp::from_ms(self.challenges), shown }
    }

    /// The counter that is handed out; `None` when the request came too late.
    fn open(&mut self, sent: Sent) -> Option<Counter> {
        if overtaken(sent.challenge, self.answered, Span::days(1)) {
            return None;
        }
        self.answered = Some(sent.challenge);
        self.nonces += 1;
        let presented = sent.shown.map_or(Presented::Nothing, Presented::Sealed);
        let next = match judge(self.remembered.as_ref(), presented, EPOCH, self.nonces.to_le_bytes()) {
            Judgement::Next(next) => next,
            Judgement::Conflict(next) => {
                self.conflict = true;
                next
            }
        };
        self.remembered = Some(next);
        Some(next.current)
    }
}

/// What happens to one attempt of one machine.
#[derive(Clone, Copy, Debug)]
enum Luck {
    /// Answered, and stored.
    Good,
    /// Lost on the way there.
    RequestLost,
    /// Lost on the way back, or the machine died before it had stored the answer.
    AnswerLost,
    /// The request arrives only after the next one of the same machine.
    Late,
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        4 => Just(Luck::Good),
        1 => Just(Luck::RequestLost),
        2 => Just(Luck::AnswerLost),
        2 => Just(Luck::Late)
    ]
}

/// One attempt; what is late is delivered at the machine's next attempt, after it.
fn attempt(server: &mut Server, stored: &mut Option<Counter>, late: &mut Vec<Sent>, luck: Luck) {
    let sent = server.ask(*stored);
    match luck {
        Luck::Good => *stored = server.open(sent).or(*stored),
        Luck::RequestLost => {}
        Luck::AnswerLost => drop(server.open(sent)),
        Luck::Late => {
            late.push(sent);
            return;
        }
    }
    for sent in late.drain(..) {
        server.open(sent);
    }
}

proptest! {
    #[test]
    fn one_machine_is_never_taken_for_two(
        lucks in prop::collection::vec((luck(), prop::bool::weighted(0.1)), 1..60),
        first in any::<bool>()
    ) {
        let mut server = Server::default();
        let sent = server.ask(None);
        let given = server.open(sent);
        let mut stored = if first { given } else { None };
        let mut late = Vec::new();
        for (luck, is_looked_at) in lucks {
            if is_looked_at {
                // By an admin: a new line begins.
                server.remembered = None;
            }
            attempt(&mut server, &mut stored, &mut late, luck);
            prop_assert!(!server.conflict);
        }
    }

    #[test]
    fn two_machines_that_both_go_on_are_found_within_two_sessions_of_each(
        before in prop::collection::vec(luck(), 0..10),
        after in prop::collection::vec((any::<bool>(), luck()), 0..40),
        order in any::<bool>(),
    ) {
        let mut server = Server::default();
        let sent = server.ask(None);
        let mut original = server.open(sent);
        let mut late = [Vec::new(), Vec::new()];
        for luck in before {
            attempt(&mut server, &mut original, &mut late[0], luck);
        }
        // The first session that presents a counter shows that this program keeps them.
        attempt(&mut server, &mut original, &mut late[0], Luck::Good);
        let mut stored = [original, original];
        for (which, luck) in after {
            attempt(&mut server, &mut stored[usize::from(which)], &mut late[usize::from(which)], luck);
        }
        for which in [order, !order, order, !order].map(usize::from) {
            attempt(&mut server, &mut stored[which], &mut late[which], Luck::Good);
        }
        prop_assert!(server.conflict);
    }

    #[test]
    fn a_copy_that_shows_nothing_is_found_at_its_first_session(
        lucks in prop::collection::vec(luck(), 0..20)
    ) {
        let mut server = Server::default();
        let sent = server.ask(None);
        let mut stored = server.open(sent);
        let mut late = Vec::new();
        attempt(&mut server, &mut stored, &mut late, Luck::Good);
        for luck in lucks {
            attempt(&mut server, &mut stored, &mut late, luck);
        }
        let sent = server.ask(None);
        server.open(sent);
        prop_assert!(server.conflict);
    }
}
