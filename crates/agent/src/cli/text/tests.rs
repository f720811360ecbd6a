//! What people read, line by line. Refuses lines beyond 80 columns where the words are ours.

use super::*;
use crate::activation::Activated;
use crate::cli::activate::Finished;
use crate::last::Last;
use crate::state::State;
use crate::status::{Device, Status};
use crate::unattended::Record;
use crate::verify_restore::Verified;
use base::{DeviceId, RunId, SeededEntropy, SnapshotId, Span, Timestamp};
use engine::backup::Outcome;
use engine::compare::{Aspect, Counts, Difference};
use engine::{Committed, RemoteError, Totals};
use format::{ChunkRef, Content, FileTime};
use protocol::Text;
use protocol::agent::activation::{ActivationReply, Restore};
use protocol::agent::policy::{FolderChange, PolicyChanges, ValueChange};

fn path(bytes: &[u8]) -> StoredPath {
    StoredPath::from_bytes(bytes.to_vec()).expect("a path")
}

fn check(made: &Report, expected: &[&str]) {
    let text = report(made, &TimeZone::UTC);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, expected);
    for line in lines {
        assert!(line.chars().count() <= COLUMNS, "{line}");
    }
}

fn snapshot_id() -> SnapshotId {
    SnapshotId::from_bytes([0x11; 16])
}

fn detail() -> SnapshotDetail {
    SnapshotDetail {
        snapshot: Text(snapshot_id()),
        device: Text(DeviceId::from_bytes([0x22; 16])),
        root: None,
        began_at_ms: 0,
        ended_at_ms: 0,
        committed_at_ms: 1_764_006_480_000,
        totals: protocol::agent::run::Totals { entries: 1, files: 78_611, bytes: 4_100_000_000 },
        folders: vec![],
        partial: false,
        host_name: String::new(),
        problems: 0,
    }
}

fn backup(problems: u64) -> Report {
    let problem = |number| Problem {
        path: path(format!("home/anna/{number}\x1b[2J").as_bytes()),
        code: "entry_denied",
        sentence: "the backup may not read it: give the account that runs it the right to read it again".to_owned(),
    };
    Report::BackedUp(Box::new(BackedUp {
        run: RunId::mint(&SeededEntropy::new(1)),
        parent: None,
        folders: vec![],
        partial: problems > 0,
        began_at: Timestamp::from_ms(0),
        took: Span::seconds(72),
        outcome: Outcome {
            snapshot: snapshot_id(),
            root: ChunkRef::from_bytes([0; 32]),
            began_at: Timestamp::from_ms(1_000),
            totals: format::Totals { entries: Count(81_222), files: Count(78_611), bytes: Bytes(4_100_000_000) },
            problems: (0..problems.min(1_000)).map(problem).collect(),
            committed: Committed { committed_at_ms: 0, bytes_received: 0, chunks_new: 24_001, packs: 32 },
        },
        totals: Totals {
            files_seen: 78_611,
            files_opened: 1_203,
            bytes_read: 1_320_000_000,
            bytes_sent: 512_000_000,
            problems,
            ..Totals::default()
        },
        excluded: if problems > 0 { 1 } else { 0 },
        changes: Err(Doubt::NotWatched),
        policy_revision: None,
    }))
}

#[test]
fn a_backup_ends_with_a_short_summary() {
    check(
        &backup(0),
        &[
            "Snapshot snp_248h248h248h248h248h248h24 is safe on the server.",
            "",
            "  files       78,611 seen, 1,203 opened",
            "  read        1.3 GB",
            "  sent        512 MB (32 packs, 24,001 new chunks)",
            "  holds       81,222 entries, 78,611 files, 4.1 GB",
            "  time        1 min 12 s",
        ],
    );
}

#[test]
fn problems_are_listed_up_to_ten_and_cannot_move_the_cursor() {
    let text = report(&backup(1_500), &TimeZone::UTC);
    assert_eq!(text.matches("/home/anna/").count(), 10);
    assert!(text.ends_with("  and 1,490 more; --json lists up to 1,000\n"), "{text}");
    assert!(!text.contains('\x1b'), "{text:?}");
    assert!(text.contains("1,500 problems: these entries are missing from it, or incomplete in it\n"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
}

#[test]
fn snapshots_are_a_table_of_80_columns() {
    let mut many = detail();
    many.totals.files = 123_456_789;
    many.problems = 1_000;
    check(
        &Report::Snapshots(vec![detail(), many]),
        &[
            "SNAPSHOT                        WHEN                  FILES     SIZE  PROBLEMS",
            "snp_248h248h248h248h248h248h24  2025-11-24 17:48     78,611   4.1 GB         0",
            "snp_248h248h248h248h248h248h24  2025-11-24 17:48 123,456,789   4.1 GB     1,000",
        ],
    );
    check(&Report::Snapshots(vec![]), &["There is no snapshot yet: run `holdfast backup`."]);
}

#[test]
fn a_comparison_says_what_differs_and_a_good_one_that_nothing_does() {
    let made = |counts: Counts, differences: Vec<Difference>| {
        Report::Verified(Box::new(Verified {
            snapshot: snapshot_id(),
            at: "/".into(),
            paths: vec![],
            took: Span::seconds(3),
            totals: Totals { bytes_fetched: 1_200_000, ..Totals::default() },
            counts,
            counts_extra: counts.extra > 0,
            differences,
            problems: vec![],
        }))
    };
    let all = Counts { entries: 83_760, files: 78_611, bytes: 1_300_000_000, ..Counts::default() };
    check(
        &made(all, vec![]),
        &[
            "Everything is as in snapshot snp_248h248h248h248h248h248h24.",
            "",
            "  at          /",
            "  compared    83,760 entries, 78,611 files (1.3 GB)",
            "  missing     0",
            "  different   0",
            "  fetched     1.2 MB",
            "  time        3 s",
        ],
    );
    let differences = vec![
        Difference { path: path(b"home/anna/a"), what: vec![Aspect::Missing] },
        Difference {
            path: path(b"home/anna/b\x1b[2J"),
            what: vec![
                Aspect::Content,
                Aspect::HardLink,
                Aspect::Mode,
                Aspect::User,
                Aspect::Group,
                Aspect::Mtime,
                Aspect::Xattrs,
            ],
        },
    ];
    let report = made(Counts { missing: 7, different: 1, extra: 2, ..all }, differences);
    assert_eq!(report.exit(), crate::error::Exit::Problems);
    check(
        &report,
        &[
            "Not everything is as in snapshot snp_248h248h248h248h248h248h24.",
            "",
            "  at          /",
            "  compared    83,760 entries, 78,611 files (1.3 GB)",
            "  missing     7",
            "  different   1",
            "  extra       2 entries that the snapshot does not have",
            "  fetched     1.2 MB",
            "  time        3 s",
            "",
            "8 differences:",
            "  /home/anna/a",
            "    missing",
            "  /home/anna/b\\u{1b}[2J",
            "    other content, other hard links, another mode, another owner, another group,",
            "    another time, other extended attributes",
            "  and 6 more; --json lists up to 1,000",
        ],
    );
}

fn status(device: Option<Device>, unattended: Option<Record>) -> Report {
    Report::Status(Box::new(Status {
        device,
        owed: None,
        unattended,
        wiped: None,
        last: Last::default(),
        now: Timestamp::from_ms(0),
    }))
}

#[test]
fn a_computer_that_is_not_activated_says_why_and_when_it_tries_again() {
    let record = Record {
        server: "https://backup.example.com:8471".to_owned(),
        found_in: "/etc/holdfast/activate.env".to_owned(),
        attempts: 5,
        tried_at_ms: 1_764_006_000_000,
        next_at_ms: Some(1_764_006_480_000),
        may_pass: true,
        code: "user_unknown_to_token".to_owned(),
        sentence: "The server does not know a user for this computer.".to_owned(),
    };
    check(
        &status(None, Some(record.clone())),
        &[
            "  state       not activated",
            "  why         The server does not know a user for this computer.",
            "              (user_unknown_to_token)",
            "  server      https://backup.example.com:8471",
            "  unattended  asked 5 times, next try 2025-11-24 17:48",
        ],
    );
    check(
        &status(None, Some(Record { attempts: 1, next_at_ms: None, may_pass: false, ..record.clone() })),
        &[
            "  state       not activated",
            "  why         The server does not know a user for this computer.",
            "              (user_unknown_to_token)",
            "  server      https://backup.example.com:8471",
            "  unattended  asked 1 time; asking again does not help",
            "  to do       mend that, then run `holdfast unattended` or `holdfast activate`",
        ],
    );
    check(
        &status(None, Some(Record { next_at_ms: None, may_pass: true, ..record })),
        &[
            "  state       not activated",
            "  why         The server does not know a user for this computer.",
            "              (user_unknown_to_token)",
            "  server      https://backup.example.com:8471",
            "  unattended  asked 5 times, and then the time that it was given was over",
            "  to do       `holdfast unattended` asks again, where no timer runs it anyway",
        ],
    );
    check(
        &status(None, None),
        &["  state       not activated", "  to do       run `holdfast activate --server URL --email E`"],
    );
}

#[test]
fn an_activation_says_what_it_changed_and_what_the_rights_mean() {
    let state = State::sample();
    let folder = |path: &str| FolderChange { folder: Text(base::FolderId::from_bytes([1; 16])), path: path.to_owned() };
    let value =
        |key: &str, was: &str, now: &str| ValueChange { key: key.to_owned(), was: was.to_owned(), now: now.to_owned() };
    let changes = PolicyChanges {
        kept: false,
        folders: vec![folder("${home}/Videos"), folder("/srv")],
        values: vec![value("interval", "1h", "4h"), value("cpu_priority", "high", "low")],
    };
    let reply = ActivationReply {
        device: Text(state.device),
        epoch: 1,
        rights: "append_only".to_owned(),
        outcome: "reactivated".to_owned(),
        user: state.user.clone(),
        snapshot: Some(detail()),
        unreadable: None,
        restore: Restore::None,
        changes,
        catch_up_at_ms: Some(1_764_006_480_000),
        counter: protocol::Hex([0; 56]),
    };
    let made = |reply: ActivationReply| {
        Report::Activated(Box::new(Finished {
            activated: Activated { state: state.clone(), reply },
            chosen: vec![],
            restored: None,
            owed: None,
            scrubbed: Vec::new(),
            unscrubbed: None,
        }))
    };
    check(
        &made(reply.clone()),
        &[
            "This computer is activated.",
            "",
            "  server      https://backup.example.com:8471",
            "  device      dev_48h248h248h248h248h248h248 (the same device as before)",
            "  user        anna@example.com",
            "  rights      append only: this computer backs up, and reads nothing that was",
            "              backed up before; for full rights sign in with `holdfast",
            "              activate`, or ask an admin to approve it",
            "  folders     none chosen yet",
            "  snapshot    snp_248h248h248h248h248h248h24 of 2025-11-24 17:48",
            "              the next backup goes on from it",
            "  catch up    what was missed is backed up from 2025-11-24 17:48 on",
            "  changes     2 folders are back: ${home}/Videos, /srv",
            "              interval: 1h -> 4h (profile)",
            "              cpu priority: high -> low (profile)",
        ],
    );
    let kept = PolicyChanges { kept: true, ..reply.changes.clone() };
    let all = ActivationReply { changes: kept, restore: Restore::Settings, ..reply.clone() };
    let text = report(&made(all.clone()), &TimeZone::UTC);
    for line in [
        "  settings    taken over from the device\n",
        "  kept        taken out still, 2 folders: ${home}/Videos, /srv\n",
        "  kept        interval: 1h (profile: 4h)\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    // What was done is said, and not what was wished for.
    let none = ActivationReply { changes: PolicyChanges { kept: true, ..PolicyChanges::default() }, ..all.clone() };
    let new = ActivationReply { outcome: "new".to_owned(), changes: PolicyChanges::default(), ..all };
    let older_server = ActivationReply { restore: Restore::Settings, ..reply };
    for (reply, said) in [
        (none, "the device has none of its own"),
        (new, "there were none to take over: this is a new device"),
        (older_server, "not taken over"),
    ] {
        let text = report(&made(reply), &TimeZone::UTC);
        assert!(text.contains(&format!("  settings    {said}\n")), "{said}: {text}");
    }
}

#[test]
fn a_refusal_is_part_of_the_status() {
    let state = State { folders: vec![path(b"home/anna"), path(b"etc")], ..State::sample() };
    let sentence = "An admin has deactivated this device. Its backups are kept; activate it again to go on.";
    let refused = RemoteError::new("device_deactivated", sentence, base::Kind::Refused);
    let lines = [
        "  server      https://backup.example.com:8471",
        "  device      dev_48h248h248h248h248h248h248",
        "  user        anna@example.com",
        "  folders     /home/anna",
        "              /etc",
        "  state       An admin has deactivated this device. Its backups are kept;",
        "              activate it again to go on. (device_deactivated)",
        "  to do       run `holdfast unattended`; if that is refused, `holdfast",
        "              activate`: the same device goes on",
    ];
    let said = || Err(AgentError::Remote(refused.clone()));
    let device = || Device { state: state.clone(), said: said(), policy: None };
    check(&status(Some(device()), None), &lines);
    // What a backup was refused with is not said twice, and anything else is.
    let met = |code: &str| {
        let Report::Status(mut status) = status(Some(device()), None) else { panic!("a status") };
        let sentence = "It was so.".to_owned();
        let (command, code) = ("backup".to_owned(), code.to_owned());
        status.last.error = Some(crate::last::LastError {
            command,
            at_ms: 1_764_006_480_000,
            code,
            sentence,
            epoch: None,
            run_refused: true,
        });
        Report::Status(status)
    };
    let same = "  last error  2025-11-24 17:48, backup: the same";
    check(&met("device_deactivated"), &[&lines[..], &[same]].concat());
    let other = "  last error  2025-11-24 17:48, backup: It was so. (disk_full)";
    check(&met("disk_full"), &[&lines[..], &[other]].concat());
}

#[test]
fn entries_look_as_people_know_them() {
    let meta = |mode, user: &[u8]| Meta {
        mode,
        uid: 1_000,
        gid: 0,
        user: user.into(),
        group: b"root".as_slice().into(),
        mtime: FileTime { seconds: 1_764_006_480, nanos: 0 },
        ..Meta::default()
    };
    let entry = |name: &[u8], mode, user: &[u8], body| Entry { name: name.to_vec(), meta: meta(mode, user), body };
    let content = Content::Inline(Vec::new());
    let entries = vec![
        entry(b"dir", 0o1777, b"anna", EntryBody::Directory { tree: ChunkRef::from_bytes([0; 32]) }),
        entry(b"a\x1bb\xff", 0o4755, b"", EntryBody::File { size: 1_300_000, content }),
        entry(b"link", 0o777, b"anna", EntryBody::Symlink { target: b"to\nhere".to_vec() }),
        entry(b"tty", 0o620, b"anna", EntryBody::CharDevice { major: 4, minor: 65 }),
    ];
    check(
        &Report::Listed(Listed { snapshot: snapshot_id(), path: path(b""), entries }),
        &[
            "drwxrwxrwt  anna root       -  2025-11-24 17:48  dir/",
            "-rwsr-xr-x  1000 root  1.3 MB  2025-11-24 17:48  a\\u{1b}b\u{fffd}",
            "lrwxrwxrwx  anna root       -  2025-11-24 17:48  link -> to\\nhere",
            "crw--w----  anna root   4, 65  2025-11-24 17:48  tty",
        ],
    );
}

#[test]
fn errors_are_wrapped_and_name_their_code() {
    let sentence = "no answer from backup.example.com:8471: is it running, is the address right, is a proxy needed?";
    let refused = RemoteError::new("server_unreachable", sentence, base::Kind::Unavailable);
    let expected = "holdfast: no answer from backup.example.com:8471: is it running, is the address\n  right, \
                    is a proxy needed? (server_unreachable)\n";
    assert_eq!(error(&AgentError::Remote(refused)), expected);
}

#[test]
fn names_are_cut_on_a_terminal_alone_and_a_wide_one_has_more_of_them() {
    let name = "n".repeat(150);
    let len = |terminal: Option<usize>| Width::of(terminal).short(&name, 40).chars().count();
    assert_eq!((len(None), len(Some(80)), len(Some(120)), len(Some(300))), (150, 40, 80, 150));
    // Where a terminal is very narrow, something is left of a name.
    assert_eq!((len(Some(60)), len(Some(1))), (40, 40));
    assert!(Width::of(Some(80)).short(&name, 24).ends_with("nnn..."));
    assert_eq!(Width::of(Some(60)).short(&name, 24).chars().count(), 24);
    let words = "word ".repeat(60);
    let longest = |terminal: Option<usize>| {
        let lines = wrapped_at(Width::of(terminal).columns, &words, 0, 4);
        lines.lines().map(|line| line.chars().count()).max()
    };
    assert_eq!((longest(None), longest(Some(132)), longest(Some(50))), (Some(79), Some(129), Some(49)));
}
