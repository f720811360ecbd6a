//! Machines, their keys, and their requests to be activated: first ones, repeated ones, and ones whose reply is lost.
//! Refuses an answer that the proof is not worth by the book.

use super::book::{Record, worth};
use super::dice::Dice;
use super::play::{ADMIN, PASSWORD, Play};
use app::activation::{Activated, Activation, Answer, Claim, OldKey, Outcome, Preview as ShownBefore, activate};
use app::password::Password;
use app::snapshots::Newest;
use app::{AppError, DeviceAbout};
use base::{DeviceId, TicketId, TokenId, UserId};
use control::activation::{Choice, Preview};
use control::{Rights, State, Strength};
use db::MapRow;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// A key pair, by its seed.
#[derive(Clone, Copy)]
pub struct Key([u8; 32]);

/// A computer with what is on its disk.
#[derive(Clone)]
pub struct Machine {
    pub about: DeviceAbout,
    /// The key that it has, and the record and epoch that it takes itself for.
    pub bound: Option<(Key, DeviceId, u64)>,
    /// What it was given to present, the newest last.
    pub counters: Vec<[u8; 56]>,
    /// A session's token, with the record, the epoch and the end of it.
    pub session: Option<(String, DeviceId, u64, base::Timestamp)>,
}

/// By what a request was made.
#[derive(Clone, Copy, Debug)]
pub enum By {
    Password { user: UserId, right: bool },
    Ticket(TicketId),
    Token { token: TokenId, inside: bool },
    OldKey,
}

/// A request, which may come again.
pub struct Asked {
    machine: usize,
    key: Key,
    by: By,
    old: Option<(DeviceId, [u8; 32])>,
    activation: Activation,
    answer: Option<Activated>,
    waits: Option<DeviceId>,
}

impl Key {
    pub fn pair(self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&self.0).expect("32 bytes are a seed")
    }

    pub fn public(self) -> [u8; 32] {
        self.pair().public_key().as_ref().try_into().expect("32 bytes")
    }

    pub fn sign(self, bytes: &[u8]) -> [u8; 64] {
        self.pair().sign(bytes).as_ref().try_into().expect("64 bytes")
    }
}

impl Machine {
    /// Serial numbers, identifiers and names of seven machines collide here and there.
    pub fn new(dice: &mut Dice, n: usize) -> Self {
        let about = DeviceAbout {
            host_name: format!("laptop-{}", dice.below(4)),
            serial: format!("SN-8841-{}", if n == 6 { 0 } else { n }),
            hardware_uuid: if dice.once_in(2) { String::new() } else { format!("4c4c4544-0051-{:04}", dice.below(4)) },
            os_user: ["anna", "ben", "cleo"][dice.below(3)].to_owned(),
            os: "linux".to_owned(),
            arch: "x86_64".to_owned(),
            agent: "0.0.0".to_owned(),
        };
        Self { about, bound: None, counters: Vec::new(), session: None }
    }
}

/// What a request is made of.
struct Draft {
    by: By,
    email: String,
    proof: Claim,
    key: Key,
    old: Option<(Key, DeviceId)>,
    choice: Choice,
    inside: bool,
}

impl Play {
    /// A machine asks for the first time with a new key, mostly.
    pub async fn ask(&mut self) {
        let machine = self.dice.below(self.machines.len());
        let inside = !self.dice.once_in(4);
        let bound = self.machines[machine].bound;
        let Some((by, email, proof)) = self.claim(bound.is_some(), inside) else { return };
        let key = match bound {
            Some((key, ..)) if self.dice.once_in(12) => key,
            _ => Key(self.dice.bytes()),
        };
        let old = bound.filter(|_| matches!(by, By::OldKey) || self.dice.once_in(2));
        let devices: Vec<DeviceId> = self.book.records.keys().copied().collect();
        let old = match old {
            // Somebody says that the key is another record's.
            Some((key, ..)) if self.dice.once_in(10) => self.dice.pick(&devices).map(|device| (key, device)),
            old => old.map(|(key, device, _)| (key, device)),
        };
        let choice = match (self.dice.below(7), self.dice.pick(&devices)) {
            (0, _) => Choice::AddNew,
            (1, Some(device)) => Choice::Replace(device),
            _ => Choice::Auto,
        };
        self.send(machine, Draft { by, email, proof, key, old, choice, inside }).await;
        match self.dice.below(4) {
            0 => self.put(self.asked.len() - 1).await,
            1..3 => self.open(machine).await,
            _ => {}
        }
    }

    /// A machine asks by the key that it has, as it does by itself after a reset.
    pub async fn ask_by_key(&mut self, machine: usize) {
        let Some((old, device, _)) = self.machines[machine].bound else { return };
        let (key, old) = (Key(self.dice.bytes()), Some((old, device)));
        let (email, proof) = (String::new(), Claim::OldKey);
        self.send(machine, Draft { by: By::OldKey, email, proof, key, old, choice: Choice::Auto, inside: true }).await;
        self.open(machine).await;
    }

    async fn send(&mut self, machine: usize, draft: Draft) {
        let Draft { by, email, proof, key, old, choice, inside } = draft;
        let (request, can_ask) = (self.dice.bytes(), self.dice.once_in(4));
        let counters = &self.machines[machine].counters;
        let counter = if self.dice.once_in(8) { counters.first() } else { counters.last() }.copied();
        let signed = [&request[..], email.as_bytes(), format!("{choice:?} {can_ask}").as_bytes()].concat();
        let network = if inside { "192.0.2" } else { "198.51.100" };
        let source = format!("{network}.{}", self.dice.below(250)).parse().expect("an address");
        let activation = Activation {
            request,
            email,
            proof,
            old_key: old.map(|(key, device)| OldKey { device, signature: key.sign(&signed), counter }),
            device_key: key.public(),
            signature: key.sign(&signed),
            signed,
            about: self.machines[machine].about.clone(),
            choice,
            can_ask,
            preview: if self.dice.once_in(10) { Preview::Always } else { Preview::None },
            restore: None,
            source,
        };
        let old = old.map(|(key, device)| (device, key.public()));
        self.asked.push(Asked { machine, key, by, old, activation, answer: None, waits: None });
        self.put(self.asked.len() - 1).await;
    }

    /// The reply was lost: the same request comes again, sooner or later.
    pub async fn ask_again(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let which = match self.dice.once_in(2) {
            true => self.asked.len() - 1 - self.dice.below(self.asked.len().min(4)),
            false => self.dice.below(self.asked.len()),
        };
        self.put(which).await;
    }

    fn claim(&mut self, has_key: bool, inside: bool) -> Option<(By, String, Claim)> {
        let people: Vec<UserId> = self.book.people.keys().copied().collect();
        Some(match self.dice.below(if has_key { 10 } else { 8 }) {
            0..4 => {
                let (user, right) = (self.dice.pick(&people)?, !self.dice.once_in(8));
                let text = if right { PASSWORD } else { "a wrong guess" };
                let email = self.book.people[&user].email.clone();
                (By::Password { user, right }, email, Claim::Password(Password::new(text.to_owned())))
            }
            4..6 => {
                let (ticket, code) = self.dice.pick(&self.tickets)?;
                (By::Ticket(ticket), String::new(), Claim::Ticket(Password::new(code)))
            }
            6..8 => {
                let (token, text) = self.dice.pick(&self.tokens)?;
                (By::Token { token, inside }, String::new(), Claim::Token(text))
            }
            _ => (By::OldKey, String::new(), Claim::OldKey),
        })
    }

    /// Puts a request, and looks at the answer.
    async fn put(&mut self, which: usize) {
        let (rows, audited) = (self.rows_all().await, self.audited().await);
        let answer = activate(&self.world.app, &self.asked[which].activation).await;
        let Asked { machine, by, old, activation, .. } = &self.asked[which];
        let (choice, old) = (activation.choice, old.map(|(device, _)| device));
        self.say(format!("request {which} of machine {machine} by {by:?}, key of {old:?}, {choice:?}: {answer:?}"));
        if let Some(old) = old {
            self.alarmed(old).await;
        }
        if let Some(before) = self.asked[which].answer.clone() {
            let purged = self.book.records[&before.device].state == State::Purged;
            match answer {
                Ok(Answer::Activated(again)) if !purged => self.same(&before, &again),
                Err(AppError::Refused(_)) if purged => self.granted[1] += 1,
                answer => panic!("the same request was answered otherwise: {before:?}, then {answer:?}"),
            }
            if !purged {
                assert_eq!((self.audited().await, self.rows_all().await), (audited, rows), "a repeat changes nothing");
                self.learn(which);
            }
            return self.settle(&[]).await;
        }
        match answer {
            Ok(Answer::Activated(activated)) => {
                // What an admin has said yes to was written to the log then.
                let is_new = self.asked[which].waits.is_none();
                assert!(self.audited().await > audited || !is_new, "every binding is in the log");
                self.bound(which, *activated).await;
            }
            Ok(Answer::Waiting(waiting)) => self.waits(which, waiting.device).await,
            Ok(Answer::Changes(shown)) => {
                self.granted[6] += 1;
                self.shown(which, &shown);
                assert_eq!(self.rows_all().await, rows, "what is only shown changes no record");
                let (by_token, old) = (matches!(self.asked[which].by, By::Token { .. }), self.asked[which].old);
                // A copy of a key is found by what it shows beside it, and that is in the log as well.
                let logged = self.audited().await - audited;
                assert!(logged >= u64::from(by_token) && (old.is_some() || logged == u64::from(by_token)), "{logged}");
                self.settle(&[]).await;
            }
            Ok(Answer::Question(_)) | Err(AppError::Refused(_)) => {
                self.granted[1] += 1;
                self.settle(&[]).await;
            }
            Err(error) => panic!("neither granted nor refused: {error:?}"),
        }
    }

    /// The answer of long ago, but for what is read now: and nothing is read that may not be.
    fn same(&self, before: &Activated, again: &Activated) {
        let of = |answer: &Activated| {
            let Activated { device, epoch, rights, outcome, restore, counter, .. } = answer;
            (*device, *epoch, *rights, *outcome, *restore, *counter)
        };
        assert_eq!(of(before), of(again), "the same request, the same answer");
        assert_eq!((&before.user, &before.changes), (&again.user, &again.changes));
        self.shows(again);
    }

    /// What a request would change: nothing of a record is in it for who has not shown to be its user or its machine.
    fn shown(&self, which: usize, shown: &ShownBefore) {
        let Asked { by, old, .. } = &self.asked[which];
        let Some(device) = shown.device else {
            return assert!(shown.name.is_empty() && shown.changes.is_empty(), "no record, and what is in it");
        };
        let owner = self.book.records[&device].owner;
        let may = match by {
            By::Password { user, right } => *right && owner == *user,
            By::Ticket(ticket) => self.book.tickets[ticket].user == owner,
            By::Token { .. } | By::OldKey => {
                old.is_some_and(|(of, key)| of == device && self.book.records[&device].key == Some(key))
            }
        };
        assert!(may, "{device} is shown to who asks by {by:?}");
    }

    fn shows(&self, activated: &Activated) {
        let record = &self.book.records[&activated.device];
        let Some(shown) = activated.snapshot.as_ref().and_then(Newest::view) else { return };
        let (active, epoch) = (self.active(record.owner), activated.epoch);
        let may = record.may_read_one(active, epoch, shown.id);
        assert!(may || shown.root.is_none(), "the answer shows the root of a snapshot to who may not read it");
        let own = epoch == record.epoch && record.snapshots.get(&shown.id) == Some(&epoch);
        assert!(may || own, "the answer tells of a snapshot to who may not read it and has not made it");
    }

    /// A record that waits for an admin was made.
    async fn waits(&mut self, which: usize, device: DeviceId) {
        if let Some(before) = self.asked[which].waits {
            assert_eq!(before, device, "it waits as the same record");
            return self.settle(&[]).await;
        }
        let By::Token { token, inside } = self.asked[which].by else { panic!("only who has a token alone waits") };
        self.spend_token(token, inside);
        let used = self.rows_used().await;
        let row = self.row(device).await;
        let named = |used: MapRow| used.user == row.user && used.replaces.is_none_or(|replaces| replaces == device);
        assert!(used.is_none_or(named), "an admin's row names it");
        self.waits_no_longer(device);
        let record = self.book.records.entry(device).or_insert_with(|| Record::new(row.user));
        assert_eq!(record.state, State::Pending, "a record that waits is a new one, or one that waits for a machine");
        record.waiting = Some(self.asked[which].key.public());
        self.asked[which].waits = Some(device);
        self.settle(&[device]).await;
    }

    /// A key was bound: by a proof that is worth it?
    async fn bound(&mut self, which: usize, activated: Activated) {
        self.granted[0] += 1;
        let (now, device, key) = (self.now(), activated.device, self.asked[which].key.public());
        if let Some(waiting) = self.asked[which].waits.take() {
            // An admin has said yes meanwhile: the binding is in the book already.
            let record = &self.book.records[&waiting];
            assert_eq!((waiting, record.waiting, activated.rights), (device, Some(key), Rights::Full));
            assert_eq!(activated.epoch, 1);
        } else {
            let used = self.rows_used().await;
            let strength = self.spend(which, device, activated.outcome, used.as_ref());
            let owner = self.owner(which, used.as_ref(), strength, device);
            let record = self.book.records.entry(device).or_insert_with(|| Record::new(owner));
            assert_eq!(record.epoch == 0, activated.outcome == Outcome::New, "what is new had no binding");
            let worth = worth(&record.state, strength, now);
            assert!(!self.book.merged.contains_key(&device), "a record that was merged comes into service");
            assert_eq!(worth, Some(activated.rights), "{strength:?} over {:?} of {owner}", record.state);
            assert_eq!(owner, record.owner, "a record of another user");
            assert_eq!(activated.epoch, record.epoch + 1, "epochs grow one by one");
            let (comes_back, waited) = (record.comes_back(), record.state == State::Pending);
            record.state = State::Active { rights: activated.rights };
            (record.epoch, record.key, record.revoked) = (activated.epoch, Some(key), false);
            record.proof = format!("{strength:?} in request {which}");
            let (out, own) = (record.out.clone(), record.own.clone());
            if waited {
                self.waits_no_longer(device);
            }
            if comes_back && activated.rights == Rights::Full {
                self.came_back(device, Some(&activated.changes), &out, &own);
            } else {
                assert!(activated.changes.is_empty(), "only who comes back whole is reset: {:?}", activated.changes);
            }
        }
        self.shows(&activated);
        self.asked[which].answer = Some(activated);
        if !self.dice.once_in(5) {
            self.learn(which);
        }
        self.settle(&[device]).await;
    }

    /// No request waits for this record any more: another has got it, or it was taken back or away.
    pub fn waits_no_longer(&mut self, device: DeviceId) {
        self.book.records.get_mut(&device).into_iter().for_each(|record| record.waiting = None);
        for asked in &mut self.asked {
            asked.waits = asked.waits.filter(|waits| *waits != device);
        }
    }

    /// The machine gets the answer to its request.
    fn learn(&mut self, which: usize) {
        let asked = &self.asked[which];
        let Some(answer) = &asked.answer else { return };
        let machine = &mut self.machines[asked.machine];
        if machine.bound.is_some_and(|(_, device, epoch)| device == answer.device && epoch >= answer.epoch) {
            return;
        }
        machine.bound = Some((asked.key, answer.device, answer.epoch));
        machine.counters = vec![answer.counter];
        machine.session = None;
    }

    /// Whose key has signed beside the proof, if it is the newest of its record.
    fn old_key(&self, which: usize) -> Option<DeviceId> {
        let (device, key) = self.asked[which].old?;
        self.book.records.get(&device).filter(|record| record.key == Some(key)).map(|_| device)
    }

    /// What was proved, by the book; what is used up by it is used up in the book too.
    fn spend(&mut self, which: usize, device: DeviceId, outcome: Outcome, used: Option<&MapRow>) -> Strength {
        let now = self.now();
        let old = self.old_key(which).filter(|old| *old == device && outcome != Outcome::New);
        match self.asked[which].by {
            By::Password { right, .. } => assert!(right, "a wrong password"),
            By::Ticket(ticket) => {
                let ticket = self.book.tickets.get_mut(&ticket).expect("it was made");
                assert!(ticket.good(now), "a ticket that is used, withdrawn or over");
                ticket.used = true;
            }
            By::Token { token, inside } => {
                self.spend_token(token, inside);
                return match (old, used) {
                    (Some(_), _) => Strength::OldKeyAndToken,
                    (None, Some(row)) if row.replaces.is_none_or(|replaces| replaces == device) => {
                        Strength::TokenAndMap
                    }
                    (None, _) => Strength::Token,
                };
            }
            By::OldKey => {
                assert_eq!(old, Some(device), "an old key gives nothing but its own record");
                return Strength::OldKey;
            }
        }
        assert!(used.is_none(), "a row of the device map goes with a token");
        Strength::Person
    }

    fn spend_token(&mut self, token: TokenId, inside: bool) {
        let now = self.now();
        let token = self.book.tokens.get_mut(&token).expect("it was made");
        assert!(token.good(now, inside), "a token that is used up, withdrawn, over or from elsewhere");
        token.uses += 1;
    }

    fn owner(&self, which: usize, used: Option<&MapRow>, strength: Strength, device: DeviceId) -> UserId {
        let asked = &self.asked[which];
        let of_old = |device: DeviceId| self.book.records[&device].owner;
        let owner = match (asked.by, used) {
            (By::Password { user, .. }, _) => user,
            (By::Ticket(ticket), _) => self.book.tickets[&ticket].user,
            (By::OldKey, _) => of_old(device),
            (By::Token { .. }, Some(row)) => row.user,
            (By::Token { .. }, None) => match self.old_key(which) {
                Some(old) => of_old(old),
                None => {
                    let email = format!("{}@example.org", asked.activation.about.os_user);
                    let found = self.book.people.iter().find(|(_, person)| person.email == email);
                    *found.expect("every account is a person's").0
                }
            },
        };
        assert!(self.active(owner), "a user that is locked, by {strength:?}");
        owner
    }

    /// The row of the device map that this activation has used up. INVARIANT: each is used by one record, once.
    async fn rows_used(&mut self) -> Option<MapRow> {
        let page =
            app::device_map::page(&self.world.app, &ADMIN, &app::page::PageAsk::first()).await.expect("readable");
        let used = page.items.into_iter().filter_map(|(row, _)| row.consumed_by.map(|by| (row.id, by, row)));
        let mut fresh = Vec::new();
        for (id, by, row) in used {
            match self.book.rows_used.insert(id, by) {
                None => fresh.push(row),
                Some(before) => assert_eq!(before, by, "a row is used once"),
            }
        }
        assert!(fresh.len() <= 1, "one activation uses one row at most: {fresh:?}");
        fresh.pop()
    }

    pub fn active(&self, user: UserId) -> bool {
        self.book.people[&user].active
    }
}
