//! The server is killed while a campaign goes through its waves and the outbox is sent: afterwards every device has had
//! the turn that was foretold, once, and every message went out once. And a server below which the disk fills up goes
//! on by itself when there is room. Refuses a second try by hand.

use crate::disks::move_to_disk;
use crate::world::answer::Answer;
use crate::world::namespace::{enter, resize};
use crate::world::{Device, World, configure};
use base::{Clock as _, Span, SystemClock};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const DEVICES: usize = 8;
/// Of the messages about resets, the one whose answer is held back until the server is dead.
const HELD: usize = 3;
/// How long the server may take for what it does by itself; the lease of one that died lasts half a minute.
const PATIENCE: Span = Span::seconds(120);
const POLL: Span = Span::ms(100);

/// A mail server that keeps what it takes, and holds one answer back for ever.
struct Sink {
    port: u16,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let (its_taken, resets) = (Arc::clone(&taken), Arc::new(AtomicUsize::new(0)));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (taken, resets) = (Arc::clone(&its_taken), Arc::clone(&resets));
                // A sender that dies breaks its own conversation and no other.
                std::thread::spawn(move || talk(&stream, &taken, &resets).unwrap_or_default());
            }
        });
        Self { port, taken }
    }

    /// The messages that tell of a reset, by their identifiers, and how often each was taken.
    fn told(&self) -> BTreeMap<String, usize> {
        let taken = self.taken.lock().expect("no thread panics with it");
        let mut told = BTreeMap::new();
        for text in taken.iter().filter(|text| is_reset(text)) {
            let id = text.lines().find(|line| line.starts_with("Message-ID:")).expect("a message has an identifier");
            *told.entry(id.to_owned()).or_default() += 1;
        }
        told
    }
}

fn talk(stream: &TcpStream, taken: &Mutex<Vec<String>>, resets: &AtomicUsize) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let say = |text: &str| (&mut &*stream).write_all(format!("{text}\r\n").as_bytes());
    say("220 sink")?;
    while let Some(line) = lines.next() {
        let line = line?;
        match line.get(..4).unwrap_or_default() {
            "DATA" => {
                say("354 go on")?;
                let mut text = String::new();
                for line in lines.by_ref() {
                    match line?.as_str() {
                        "." => break,
                        line => text.push_str(&format!("{line}\n")),
                    }
                }
                let is_reset = is_reset(&text);
                taken.lock().expect("no thread panics with it").push(text);
                if is_reset && resets.fetch_add(1, Ordering::SeqCst) + 1 == HELD {
                    // Taken, and never said: the connection stays open until the other end dies.
                    lines.next();
                    return Ok(());
                }
                say("250 taken")?;
            }
            "QUIT" => return say("221 bye"),
            _ => say("250 ok")?,
        }
    }
    Ok(())
}

fn is_reset(text: &str) -> bool {
    ["have stopped", "has deactivated", "to be activated again"].iter().any(|words| text.contains(words))
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began_at = SystemClock.now();
    while !holds() {
        assert!(SystemClock.now().since(began_at) < PATIENCE, "it took too long until {what}");
        std::thread::sleep(POLL.as_duration());
    }
}

/// As a further device of its user, though it is the same machine.
fn activate_another(device: &Device<'_>) -> Answer {
    let source = device.source();
    let words = ["--choice", "add", "--ca"].map(OsStr::new);
    device.activate_with(&[&words[..], &[device.ca.as_ref(), "--folder".as_ref(), source.as_ref()]].concat())
}

fn items(answer: &Value, list: &str) -> Vec<Value> {
    answer[list].as_array().unwrap_or_else(|| panic!("no {list}: {answer}")).clone()
}

#[test]
fn a_server_that_is_killed_between_waves_and_while_it_sends_mail_ends_the_campaign_as_foretold() {
    let sink = Sink::start();
    let mail =
        format!("[mail]\nserver = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\nfrom = \"b@example.test\"", sink.port);
    let mut world = World::start_with(|data| configure(data, &mail));
    world.write("small", "content");
    let names: Vec<String> = (0..DEVICES).map(|n| format!("laptop{n}")).collect();
    for name in &names {
        activate_another(&world.device(name)).done();
    }
    let devices = items(&world.admin(["device", "list"]).done(), "items");
    assert_eq!(devices.len(), DEVICES);
    let make = ["campaign", "make", "all", "--reason", "a theft", "--level", "revoke", "--everyone"];
    let wave = ["--wave-size", "30", "--wave-minutes", "1"];
    world.admin(make.iter().chain(&wave)).done();
    let foretold = world.admin(["campaign", "dry-run", "all", "--devices"]).done();
    assert_eq!(items(&foretold, "devices").len(), DEVICES, "{foretold}");
    world.admin(["campaign", "start", "all"]).done();

    // In the middle of both: some have had their turn and some have not, and a message is on its way.
    until("a message was held", || sink.told().len() >= HELD);
    let turned = |world: &World| {
        let board = world.admin(["campaign", "board", "all"]).done();
        DEVICES as u64 - board["counts"]["waiting"].as_u64().unwrap_or_else(|| panic!("no counts: {board}"))
    };
    let before = turned(&world);
    world.kill_server();
    assert!(before >= HELD as u64, "{before} devices have had their turn");
    world.serve();

    until("every device has had its turn", || turned(&world) == DEVICES as u64);
    until("every message has gone out", || sink.told().len() == DEVICES);
    let told = sink.told();
    assert!(told.values().all(|times| *times == 1), "every message once: {told:?}");
    let log = world.admin(["audit", "list", "--action", "device_deactivate"]).done();
    let mut reset: Vec<String> =
        items(&log, "items").iter().map(|row| row["subject"].as_str().unwrap_or_default().to_owned()).collect();
    let turns = reset.len();
    reset.sort();
    reset.dedup();
    assert_eq!((turns, reset.len()), (DEVICES, DEVICES), "every device once: {log}");
    for device in items(&world.admin(["device", "list"]).done(), "items") {
        assert_eq!(device["state"], "deactivated", "{device}");
    }
    // The one whose answer nobody heard is not sent again by itself, and an admin sees it.
    let held = items(&world.admin(["mail", "list"]).done(), "items");
    let open: Vec<&Value> = held.iter().filter(|mail| mail["status"] != "sent").collect();
    assert!(open.len() == 1 && ["sending", "unclear"].contains(&open[0]["status"].as_str().unwrap_or("")), "{open:?}");
    let verified = world.admin(["audit", "verify"]).done();
    assert_eq!(verified["holds"], true, "{verified}");
}

#[test]
fn a_server_whose_disk_is_full_refuses_and_goes_on_by_itself_when_there_is_room() {
    if !enter("restarts::a_server_whose_disk_is_full_refuses_and_goes_on_by_itself_when_there_is_room") {
        return;
    }
    let world = World::start_with(|data| {
        configure(data, "[store]\nreserve_mib = 0");
        move_to_disk(data, "24m");
    });
    world.write("small", "content");
    let first = world.activated("first");
    first.backup().done();
    // Every last byte.
    let filler = world.data().join("filler");
    let mut file = fs::File::create(&filler).expect("writable");
    while file.write(&[0; 4_096]).is_ok_and(|written| written > 0) {}
    drop(file);
    let mut device = world.device("second");
    device.patience = "1";
    let mut refused = 0;
    for _ in 0..3 {
        let answer = activate_another(&device);
        if answer.exit != Some(0) {
            answer.error(5, "server_failed");
            refused += 1;
        }
    }
    assert!(refused > 0, "the disk was never full");
    world.write("large", crate::world::noise::noise(1, 1 << 20));
    let mut hurried = world.device("first");
    hurried.patience = "1";
    let answer = hurried.backup();
    let code = answer.json["error"]["code"].as_str().unwrap_or_default().to_owned();
    assert!(["store_full", "server_failed"].contains(&code.as_str()), "{}", answer.json);
    answer.error(5, &code);
    let before = items(&world.admin(["device", "list"]).done(), "items").len();

    fs::remove_file(&filler).expect("it is ours");
    resize(&world.data(), "64m");
    // The same process, and the same request of the endpoint.
    let device = world.device("second");
    activate_another(&device).done();
    device.assert_good_backup();
    hurried.patience = "20";
    hurried.assert_good_backup();
    let after = items(&world.admin(["device", "list"]).done(), "items");
    assert!(before <= 2 && after.len() == 2, "one record for each: {after:?}");
    let log = items(&world.admin(["audit", "list", "--action", "device_activate"]).done(), "items");
    assert_eq!(log.len(), 2, "{log:?}");
}
