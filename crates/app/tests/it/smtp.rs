//! The mailer against a mail server that misbehaves, which tells how each failure is classed, and against a real one.

use crate::fake_smtp::{Do, FakeSmtp, GOOD, Manners};
use crate::world::{Device, USER, World, code, noise};
use app::campaigns::Plan;
use app::config::MailSecurity;
use app::mail::{Answer, Draft, Letter, Login, Mailer as _, Queued, Smtp, SmtpSettings, Timeouts, Values};
use app::passwords::Purpose;
use app::tickets::Wish;
use base::{Clock as _, MailId, Span, Timestamp};
use control::activation::{Choice, Restore};
use control::campaign::{Reminders, Reset, Scope, Tell};
use control::mail::{MailOutcome, MailStatus};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

fn settings(port: u16, security: MailSecurity) -> SmtpSettings {
    SmtpSettings {
        server: "127.0.0.1".to_owned(),
        port,
        security,
        login: None,
        ca_file: None,
        from: "Büro <backup@example.org>".parse().expect("a sender"),
        reply_to: Some("help@example.org".parse().expect("an address")),
        timeouts: Timeouts { connect: Span::seconds(5), command: Span::seconds(5), text: Span::seconds(5) },
    }
}

fn hasty(port: u16) -> SmtpSettings {
    let timeouts = Timeouts { connect: Span::ms(150), command: Span::ms(150), text: Span::ms(300) };
    SmtpSettings { timeouts, ..settings(port, MailSecurity::None) }
}

fn letter(seed: u8) -> Letter {
    Letter {
        id: MailId::from_bytes([seed; 16]),
        at: Timestamp::from_ms(1_750_000_000_000),
        recipient: "anna@example.org".to_owned(),
        subject: "Backups of Jürgens Gerät 李 have stopped, which is a line long enough to be folded".to_owned(),
        text: "Hello,\n.\n..\nfrom here.\n".to_owned(),
        html: "<p>Hello,</p>".to_owned(),
    }
}

const MISHAPS: &[(&str, Manners, MailOutcome, bool, &str)] = {
    use Do::{Close, Hang, Say};
    use MailOutcome::{Accepted, Permanent, Temporary, Unclear};
    &[
        ("good", GOOD, Accepted, false, ""),
        ("greeting 554", Manners { greeting: Say("554 go away"), ..GOOD }, Temporary, true, "554 go away"),
        ("greeting close", Manners { greeting: Close, ..GOOD }, Temporary, true, "No connection"),
        ("greeting hang", Manners { greeting: Hang, ..GOOD }, Temporary, true, "no answer within 150 ms"),
        ("greeting other", Manners { greeting: Say("HTTP/1.1 400 Bad"), ..GOOD }, Temporary, true, "No connection"),
        ("mail 451", Manners { mail: Say("451 later"), ..GOOD }, Temporary, false, "451 later"),
        ("mail 550", Manners { mail: Say("550 not you"), ..GOOD }, Permanent, false, "550 not you"),
        ("mail 421", Manners { mail: Say("421 closing"), ..GOOD }, Temporary, true, "421 closing"),
        ("mail 530", Manners { mail: Say("530 log in first"), ..GOOD }, Temporary, true, "530 log in first"),
        ("mail close", Manners { mail: Close, ..GOOD }, Temporary, true, "takes nothing"),
        ("rcpt 450", Manners { rcpt: Say("450 full"), ..GOOD }, Temporary, false, "450 full"),
        ("rcpt 550", Manners { rcpt: Say("550 no\u{7} one"), ..GOOD }, Permanent, false, "550 no one"),
        ("rcpt close", Manners { rcpt: Close, ..GOOD }, Temporary, false, ""),
        ("rcpt hang", Manners { rcpt: Hang, ..GOOD }, Temporary, false, "no answer within 150 ms"),
        ("data 451", Manners { data: Say("451 later"), ..GOOD }, Temporary, false, "451 later"),
        ("data 554", Manners { data: Say("554 no"), ..GOOD }, Permanent, false, "554 no"),
        ("data close", Manners { data: Close, ..GOOD }, Temporary, false, ""),
        ("dot 451", Manners { dot: Say("451 scanner down"), ..GOOD }, Temporary, false, "451 scanner down"),
        ("dot 552", Manners { dot: Say("552 too big"), ..GOOD }, Permanent, false, "552 too big"),
        ("dot close", Manners { dot: Close, ..GOOD }, Unclear, false, "No answer came to the whole message"),
        ("dot hang", Manners { dot: Hang, ..GOOD }, Unclear, false, "no answer within 300 ms"),
        ("dot 354", Manners { dot: Say("354 more"), ..GOOD }, Unclear, false, "answered 354"),
        ("dot other", Manners { dot: Say("what?"), ..GOOD }, Unclear, false, "No answer came to the whole message"),
    ]
};

#[tokio::test]
async fn every_mishap_is_classed_by_whether_the_mail_server_may_have_the_message() {
    for (name, manners, outcome, away, said) in MISHAPS {
        let fake = FakeSmtp::new(*manners).await;
        let smtp = Smtp::new(hasty(fake.port));
        let answer = smtp.send(&letter(1)).await;
        assert_eq!((answer.outcome, answer.away), (*outcome, *away), "{name}: {answer:?}");
        assert!(answer.said.contains(said), "{name}: {answer:?}");
        assert!(!answer.said.chars().any(char::is_control), "{name}: {answer:?}");
        // What was not taken for sure never reached the end of the message, but where a code answered that.
        let whole = fake.with(|seen| seen.messages.len());
        let coded = answer.said.starts_with(['4', '5']);
        assert!(whole == 0 || coded || matches!(outcome, MailOutcome::Accepted | MailOutcome::Unclear), "{name}");
        // The next message is not hurt by it.
        fake.behave(GOOD);
        assert_eq!(smtp.send(&letter(2)).await.outcome, MailOutcome::Accepted, "{name}");
        let last = fake.with(|seen| seen.messages.last().cloned()).expect("it was taken");
        assert!(last.contains(&MailId::from_bytes([2; 16]).to_string()), "{name}");
        smtp.rest().await;
    }
}

#[tokio::test]
async fn a_connection_that_breaks_within_the_text_leaves_nothing_behind() {
    let fake = FakeSmtp::new(Manners { text_bytes_max: Some(1_000), ..GOOD }).await;
    let smtp = Smtp::new(settings(fake.port, MailSecurity::None));
    let long = Letter { text: "one line of many\n".repeat(1 << 18), ..letter(1) };
    let answer = smtp.send(&long).await;
    assert_eq!(answer.outcome, MailOutcome::Temporary, "{answer:?}");
    assert!(answer.said.starts_with("The connection broke within the message"), "{answer:?}");
    assert_eq!(fake.with(|seen| seen.messages.len()), 0);
}

#[tokio::test]
async fn one_connection_serves_a_batch_and_one_that_was_closed_meanwhile_is_made_anew() {
    let fake = FakeSmtp::new(Manners { messages_max: 2, ..GOOD }).await;
    let smtp = Smtp::new(settings(fake.port, MailSecurity::None));
    for seed in 1..=5 {
        assert_eq!(smtp.send(&letter(seed)).await, Answer::accepted());
    }
    smtp.rest().await;
    let (connections, messages) = fake.with(|seen| (seen.connections, seen.messages.clone()));
    assert_eq!((connections, messages.len()), (3, 5));
    for (seed, message) in (1..=5).zip(&messages) {
        assert!(message.contains(&format!("Message-ID: <{}@example.org>", MailId::from_bytes([seed; 16]))));
        assert!(message.contains("\r\nHello,\r\n..\r\n...\r\nfrom here.\r\n"), "dots are doubled: {message}");
        assert!(message.is_ascii(), "readable by every mail server: {message}");
    }
    assert_eq!(fake.with(|seen| seen.commands.iter().filter(|line| *line == "QUIT").count()), 1);
}

#[tokio::test]
async fn nothing_is_said_in_the_clear_to_a_server_that_cannot_encrypt() {
    let login = Some(Login { user: "u".to_owned(), password_file: PathBuf::from("/dev/null") });
    for (hello, starttls, said) in [
        ("250-fake\r\n250 AUTH PLAIN LOGIN", Do::Say("220 go on"), "STARTTLS is not supported"),
        ("250-fake\r\n250 STARTTLS", Do::Say("454 not now"), "454 not now"),
        ("250-fake\r\n250 STARTTLS", Do::Say("220 go on\r\n250-fake\r\n250 AUTH PLAIN"), "more in the clear"),
        ("250-fake\r\n250 STARTTLS", Do::Say("220 go on"), "No connection"),
    ] {
        let fake = FakeSmtp::new(Manners { hello, starttls, ..GOOD }).await;
        let timeouts = Timeouts { connect: Span::ms(400), command: Span::ms(200), text: Span::ms(200) };
        let settings = SmtpSettings { login: login.clone(), timeouts, ..settings(fake.port, MailSecurity::Starttls) };
        let answer = Smtp::new(settings).send(&letter(1)).await;
        assert!(answer.away && answer.said.contains(said), "{said}: {answer:?}");
        let commands = fake.with(|seen| seen.commands.clone());
        let told = |line: &String| line.starts_with("AUTH") || line.starts_with("MAIL");
        assert!(!commands.iter().any(told), "{commands:?}");
    }
}

#[tokio::test]
async fn what_is_no_address_never_reaches_the_mail_server() {
    let fake = FakeSmtp::new(GOOD).await;
    let smtp = Smtp::new(settings(fake.port, MailSecurity::None));
    for recipient in
        ["", "anna", "a@example.org, b@example.org", "a@example.org\r\nRCPT TO:<b@example.org>", "a b@x.org"]
    {
        let answer = smtp.send(&Letter { recipient: recipient.to_owned(), ..letter(1) }).await;
        assert_eq!(answer.outcome, MailOutcome::Permanent, "{recipient:?}");
    }
    assert_eq!(fake.with(|seen| seen.connections), 0);
    let answer = smtp.send(&Letter { recipient: "jürgen@example.org".to_owned(), ..letter(1) }).await;
    assert_eq!(answer.outcome, MailOutcome::Permanent, "this one takes only ASCII: {answer:?}");
    let injected = Letter { subject: "a\r\nBcc: all@example.org\r\n\r\ntext".to_owned(), ..letter(2) };
    assert_eq!(smtp.send(&injected).await, Answer::accepted());
    let message = fake.with(|seen| seen.messages[0].clone());
    let (headers, _) = message.split_once("\r\n\r\n").expect("a message has headers");
    assert!(!headers.lines().any(|line| line.starts_with("Bcc")), "{headers}");
    assert!(headers.contains("Subject: a Bcc: all@example.org text"), "{headers}");
}

#[tokio::test]
async fn a_mail_server_that_is_down_gets_its_messages_when_it_is_back_and_each_once() {
    let port = FakeSmtp::new(GOOD).await.port;
    let world = world_with(settings(port, MailSecurity::None)).await;
    let ids = [queued(&world, 1).await, queued(&world, 2).await];
    for _ in 0..3 {
        app::mail::tick(&world.app).await.expect("the database answers");
        assert!(shown(&world, ids[0]).await.last_error.contains("No connection to 127.0.0.1"));
        world.clock.advance(Span::minutes(30));
    }
    let fake = FakeSmtp::on(port, GOOD).await;
    for _ in 0..3 {
        app::mail::tick(&world.app).await.expect("the database answers");
        world.clock.advance(Span::hours(2));
    }
    assert_eq!(fake.with(|seen| (seen.messages.len(), seen.connections)), (2, 1));
    for id in ids {
        assert_eq!(shown(&world, id).await.status, MailStatus::Sent);
    }
}

#[tokio::test]
async fn a_real_mail_server_takes_fifty_messages_over_starttls_with_login_each_once_as_they_were_meant() {
    let server = RealServer::start("starttls");
    let world = world_with(server.settings(MailSecurity::Starttls, "right")).await;
    let mut wanted = BTreeSet::new();
    for number in 0..50 {
        wanted.insert(format!("<{}@example.org>", queued(&world, number).await));
    }
    for _ in 0..3 {
        app::mail::tick(&world.app).await.expect("the database answers");
        world.clock.advance(Span::hours(1));
    }
    let mails = server.read();
    assert_eq!(mails.len(), 50);
    let got: BTreeSet<String> = mails.iter().map(|mail| mail[0].clone()).collect();
    assert_eq!(got, wanted);
    for mail in &mails {
        let [_, from, to, reply_to, date, subject, auto, rcpt, kind, first, paragraphs] = mail.as_slice() else {
            panic!("{mail:?}")
        };
        assert_eq!(from, "Büro <backup@example.org>");
        assert_eq!(
            (to.as_str(), rcpt.as_str(), reply_to.as_str()),
            ("u@example.org", "u@example.org", "help@example.org")
        );
        assert!(date.starts_with("Sun, 15 Jun 2025 15:06:40"), "{date}");
        assert!(subject.starts_with("your organisation: backups of Jürgens Gerät 李 "), "{subject}");
        assert!(subject.ends_with(" have stopped"), "{subject}");
        assert_eq!((auto.as_str(), kind.as_str()), ("auto-generated", "multipart/alternative"));
        assert_eq!((first.as_str(), paragraphs.as_str()), ("Hello,", "5"));
    }
}

#[tokio::test]
async fn a_real_mail_server_takes_mail_over_tls_and_refuses_a_wrong_password_until_it_is_mended() {
    let server = RealServer::start("tls");
    let world = world_with(server.settings(MailSecurity::Tls, "wrong")).await;
    let id = queued(&world, 1).await;
    app::mail::tick(&world.app).await.expect("the database answers");
    let waiting = shown(&world, id).await;
    assert_eq!(waiting.status, MailStatus::Queued);
    assert!(waiting.last_error.contains("refuses the login: 535"), "{}", waiting.last_error);
    assert!(!waiting.last_error.contains("wrong"), "the password is in no error");
    server.password_write("right\n");
    world.clock.advance(Span::minutes(5));
    app::mail::tick(&world.app).await.expect("the database answers");
    assert_eq!((shown(&world, id).await.status, server.read().len()), (MailStatus::Sent, 1));
}

#[tokio::test]
async fn a_real_mail_server_takes_a_link_a_ticket_a_campaign_a_reminder_and_a_quota_and_no_header_of_a_stranger() {
    let server = RealServer::start("starttls");
    let mut world = world_with(server.settings(MailSecurity::Starttls, "right")).await;
    let app = Arc::get_mut(&mut world.app).expect("nobody else has it");
    app.config.server_public_url = "https://backup.example.org".to_owned();
    app.config.organisation_name = "Büro 李".to_owned();
    let admin = app::AdminActor::Command;
    app::passwords::link_make(&world.app, &admin, USER, Purpose::Set, false).await.expect("a user");
    app::passwords::link_make(&world.app, &admin, USER, Purpose::Reset, false).await.expect("a user");
    let wish = Wish {
        email: "u@example.org".to_owned(),
        choice: Choice::Auto,
        restore: Restore::None,
        span: None,
        show: false,
    };
    app::tickets::make(&world.app, &admin, &wish).await.expect("a user");
    let device = world.device(1).await;
    let plan = Plan {
        name: "all".to_owned(),
        reason: "new keys\r\nBcc: stranger@example.org\r\n\r\n.\r\n".to_owned(),
        level: Reset::Revoke,
        scope: Scope { everyone: true, ..Scope::default() },
        deadline: None,
        append_until: None,
        wave_size: 1,
        wave_span: Span::ZERO,
        watch_span: None,
        template: String::new(),
        tell: Tell::All,
        reminders: Reminders::USUAL,
    };
    let quota = [("quota".to_owned(), Some("1kB".to_owned()))];
    app::policy::set(&world.app, &admin, app::PolicySubject::User(USER), &quota).await.expect("granted");
    let refused = quota_refused(&world, &device).await;
    assert_eq!(refused, "quota_exceeded");
    let campaign = app::campaigns::make(&world.app, &admin, plan).await.expect("a good plan");
    app::campaigns::start(&world.app, &admin, campaign.id, None).await.expect("a draft starts");
    app::jobs::tick_all(&world.app).await.expect("the jobs work");
    world.clock.advance(Span::days(3));
    for _ in 0..3 {
        app::jobs::tick_all(&world.app).await.expect("the jobs work");
    }
    let mails = server.read();
    let subjects: BTreeSet<&str> = mails.iter().map(|mail| mail[5].as_str()).collect();
    let wanted = [
        "Büro 李: a code to connect your computer",
        "Büro 李: device 1 is to be activated again",
        "Büro 李: device 1 still has to be activated again",
        "Büro 李: set a new password for your backups",
        "Büro 李: set the password for your backups",
        "Büro 李: there is no room for the backup of device 1",
    ];
    assert_eq!((subjects.into_iter().collect::<Vec<_>>(), mails.len()), (wanted.to_vec(), wanted.len()));
    assert!(mails.iter().all(|mail| mail[7] == "u@example.org"), "{mails:?}");
}

async fn quota_refused(world: &World, device: &Device) -> &'static str {
    let run = world.begin(device).await;
    let mut draft = crate::world::Draft::new(&run.naming);
    let file = draft.file("file", &[&noise(1, 2_000)]);
    let (root, totals) = draft.tree(vec![file], format::Totals::default());
    run.upload(&run.pack(&draft)).await.expect("the pack is good");
    code(run.commit(&run.manifest(root, totals)).await)
}

#[tokio::test]
async fn a_certificate_of_a_stranger_and_a_name_that_it_is_not_for_are_refused() {
    let server = RealServer::start("starttls");
    let good = server.settings(MailSecurity::Starttls, "right");
    let stranger = SmtpSettings { ca_file: None, ..good.clone() };
    let other_name = SmtpSettings { server: "localhost".to_owned(), ..good.clone() };
    for settings in [stranger, other_name] {
        let answer = Smtp::new(settings).send(&letter(1)).await;
        assert!(answer.away && answer.said.contains("certificate"), "{answer:?}");
    }
    assert_eq!(server.read().len(), 0);
    let answer = Smtp::new(good).send(&letter(1)).await;
    assert_eq!(answer, Answer::accepted());
}

async fn world_with(settings: SmtpSettings) -> World {
    let mut world = World::new().await;
    let app = Arc::get_mut(&mut world.app).expect("nobody else has it");
    app.mailer = Some(Arc::new(Smtp::new(settings)));
    world
}

async fn queued(world: &World, number: u64) -> MailId {
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    let values = Values::new().with("device.name", &format!("Jürgens Gerät 李 {number}"));
    let draft = Draft {
        occasion: number.to_string(),
        recipient: "u@example.org",
        template: "deactivated",
        values,
        until: None,
    };
    let queued = app::mail::queue(&world.app, &mut tx, world.clock.now(), draft).await.expect("it is queued");
    tx.commit().await.expect("nothing stands against it");
    match queued {
        Queued::Yes(id) => id,
        other => panic!("{other:?}"),
    }
}

async fn shown(world: &World, id: MailId) -> app::mail::MailView {
    app::mail::show(&world.app, &app::AdminActor::Command, id).await.expect("it is there")
}

/// aiosmtpd in a process of its own, which ends with the test.
struct RealServer {
    child: Child,
    port: u16,
    dir: TempDir,
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mail_server.py");

impl RealServer {
    fn start(mode: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let path = |name: &str| dir.path().join(name);
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate can be made");
        std::fs::write(path("server.pem"), made.cert.pem()).expect("the directory is ours");
        std::fs::write(path("server.key"), made.signing_key.serialize_pem()).expect("the directory is ours");
        let mut child = Command::new(python())
            .args(["-W", "ignore"])
            .arg(SCRIPT)
            .arg(mode)
            .args([path("mail"), path("server.pem"), path("server.key")])
            .args(["backup", "right"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python is there");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says its port");
        let port = line.trim().parse().expect("it says its port");
        Self { child, port, dir }
    }

    fn settings(&self, security: MailSecurity, password: &str) -> SmtpSettings {
        self.password_write(password);
        let login = Login { user: "backup".to_owned(), password_file: self.dir.path().join("password") };
        let ca_file = Some(self.dir.path().join("server.pem"));
        SmtpSettings { login: Some(login), ca_file, ..settings(self.port, security) }
    }

    fn password_write(&self, password: &str) {
        std::fs::write(self.dir.path().join("password"), password).expect("the directory is ours");
    }

    /// What it took, in the words of another mail library: docs in the script.
    fn read(&self) -> Vec<Vec<String>> {
        let folder = self.dir.path().join("mail");
        if !folder.join("new").exists() {
            return Vec::new();
        }
        let output = Command::new(python()).arg(SCRIPT).arg("read").arg(folder).output().expect("python is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("it writes text");
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Python that has aiosmtpd: `cargo xtask test` installs it.
fn python() -> &'static Path {
    let known = ["python3", "/usr/bin/python3"].map(Path::new);
    let has = |python: &&Path| {
        let probe = Command::new(python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
        probe.is_ok_and(|ended| ended.success())
    };
    known.into_iter().find(has).expect("aiosmtpd is not there: `cargo xtask test` installs it")
}
