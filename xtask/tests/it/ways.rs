//! Every way in and back, with both real programs: what an installer leaves, what a person chooses, what an admin says.
//! One server for all of it; each part has a user of its own, for all of them run on the same computer.

use crate::world::desk::Desk;
use crate::world::noise::noise;
use crate::world::{Device, World, configure};
use serde_json::Value;
use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The parts, one after the other: the server, and the folder that is backed up, are the same for all.
#[test]
fn every_way_in_and_back_works_with_both_programs() {
    let world = World::start_with(|data| configure(data, "[log]\nlevel = \"debug\""));
    world.write("letter", noise(1, 40_000));
    world.write("sub/picture", noise(2, 40_000));
    let ways = Ways { desk: Desk::of(&world), world: &world, private: RefCell::default() };
    ways.by_token_file();
    ways.by_environment_file_and_held();
    ways.by_legacy_file();
    ways.by_ticket();
    ways.by_choice();
    ways.with_data_and_settings();
    ways.with_data_owed_until_the_approval();
    ways.waiting_for_an_admin();
    ways.wiped_by_an_order();
    ways.cloned();
    ways.password_by_link();
    ways.nothing_private_was_logged();
    world.assert_sound();
}

struct Ways<'a> {
    world: &'a World,
    desk: Desk<'a>,
    /// What was ever in a file that nobody else can read.
    private: RefCell<Vec<String>>,
}

fn text(json: &Value, field: &str) -> String {
    json[field].as_str().unwrap_or_else(|| panic!("{field} is missing: {json}")).to_owned()
}

impl<'a> Ways<'a> {
    /// A user of this name, and a device of theirs that is not activated yet.
    fn device(&self, name: &str) -> Device<'a> {
        let password = self.world.password();
        let email = format!("{name}@example.test");
        let password = password.to_str().expect("a plain path");
        self.desk.done(["user", "add", &email, "--password-file", password]);
        // Leaked once a test: a device's user lives as long as the program.
        Device { user: email.leak(), ..self.world.device(name) }
    }

    /// Another computer of the same user: another state.
    fn second(&self, first: &Device<'a>, name: &str) -> Device<'a> {
        Device { state: self.world.place().join(format!("state-{name}")), ..first.clone() }
    }

    fn activate(&self, device: &Device<'_>, more: &[&str]) -> Value {
        let mut words: Vec<&OsStr> = vec!["--ca".as_ref(), device.ca.as_os_str()];
        words.extend(more.iter().map(OsStr::new));
        device.activate_with(&words).done()
    }

    /// Activates with what is said instead of the password.
    fn activate_by(&self, device: &Device<'_>, more: &[&str]) -> crate::world::answer::Answer {
        let url = self.url();
        let begin = ["activate", "--server", &url, "--ca", path(&device.ca)];
        device.ask(begin.iter().chain(more))
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.world.port())
    }

    /// A file that nobody else can read.
    fn private(&self, name: &str, content: &str) -> PathBuf {
        let file = self.world.place().join(name);
        fs::write(&file, content).expect("writable");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
        self.private.borrow_mut().push(content.to_owned());
        file
    }

    /// A deployment token for anybody at example.test, in a private file.
    fn token(&self, name: &str) -> (String, PathBuf) {
        let made = self.desk.done(["token", "make", name, "--domain", "example.test"]);
        (text(&made["token"], "token"), self.private(&format!("token-{name}"), &text(&made, "text")))
    }

    fn by_token_file(&self) {
        let device = self.device("tina");
        let (token, file) = self.token("tina");
        let came = self.activate_by(&device, &["--email", device.user, "--token-file", path(&file)]).done();
        assert_eq!((text(&came, "outcome"), text(&came, "rights")), ("new".to_owned(), "append_only".to_owned()));
        device.ask(["backup", path(&device.source())]).done();
        self.desk.done(["token", "revoke", &token]);
        let other = self.second(&device, "tina-2");
        let refused = self.activate_by(&other, &["--email", other.user, "--token-file", path(&file)]);
        refused.error(4, "token_revoked");
        let refused = self.desk.both(["desk", "refused"]);
        assert!(refused.0["items"].as_array().is_some_and(|all| !all.is_empty()), "{}", refused.0);
        // A person signs in, and the same record has full rights.
        let signed_in = self.activate(&device, &[]);
        assert_eq!(
            (text(&signed_in, "device"), text(&signed_in, "rights")),
            (text(&came, "device"), "full".to_owned())
        );
    }

    fn by_environment_file_and_held(&self) {
        let device = self.device("emil");
        let (token, file) = self.token("emil");
        let env = format!(
            "HOLDFAST_SERVER={}\nHOLDFAST_CA={}\nHOLDFAST_TOKEN_FILE={}\nHOLDFAST_EMAIL={}\n",
            self.url(),
            path(&device.ca),
            path(&file),
            device.user
        );
        let env = self.private("activate.env", &env);
        let unattended = || device.ask(["unattended", "--env-file", path(&env)]);
        let came = unattended().done();
        assert_eq!(text(&came, "outcome"), "new");
        let name = text(&came, "device");
        assert_eq!(text(&unattended().done(), "outcome"), "in_service");
        self.desk.done(["desk", "approve", &name]);
        let first = device.ask(["backup", path(&device.source())]).done();

        // Held: it still appends, and comes back long before the date, with nobody's help.
        self.desk.done(["device", "hold", &name, "--append-days", "7"]);
        assert_eq!(text(&device.ask(["status"]).done(), "state"), "held");
        device.backup().done();
        let back = unattended().done();
        assert_eq!((text(&back, "device"), text(&back, "outcome")), (name.clone(), "reactivated".to_owned()));
        assert_eq!((back["epoch"].clone(), text(&back, "rights")), (2.into(), "full".to_owned()));
        assert_eq!(text(&device.ask(["status"]).done(), "state"), "active");
        assert_eq!(text(&unattended().done(), "outcome"), "in_service");

        // A rotation needs no more than the key, also where the token has ended.
        self.desk.done(["token", "expire", &token]);
        self.desk.done(["device", "deactivate", &name, "--level", "rotate"]);
        device.backup().error(4, "device_deactivated");
        let back = unattended().done();
        assert_eq!((text(&back, "device"), back["epoch"].clone()), (name, 3.into()));
        assert_eq!(device.backup().done()["files_opened"], 0, "it goes on from {}", first["snapshot"]);
    }

    fn by_legacy_file(&self) {
        let device = self.device("lena");
        let old = text(&self.desk.done(["token", "legacy-make", "--domain", "example.test"]), "text");
        let made = self.desk.done(["token", "legacy-make", "--domain", "example.test"]);
        assert_eq!(made["token"]["domains"], serde_json::json!(["example.test"]));
        let pin = text(&self.world.admin(["fingerprint"]).done(), "ca_sha256");
        let file = |token: &str| {
            let servers = format!("SERVERS = ['127.0.0.1:{}']\nFINGERPRINT = '{pin}'\n", self.world.port());
            self.private("legacy.cfg", &format!("{servers}TOKEN = '{token}'\nREPLACE_DEVICE = 'Yes'\n"))
        };
        let come = |file: &Path| device.ask(["unattended", "--legacy-file", path(file), "--email", device.user]);
        come(&file(&old)).error(4, "token_revoked");
        let legacy = file(&text(&made, "text"));
        let came = come(&legacy).done();
        assert_eq!((text(&came, "outcome"), text(&came, "rights")), ("new".to_owned(), "append_only".to_owned()));
        assert_eq!(came["token_taken_out_of"], serde_json::json!([path(&legacy)]));
        assert!(!fs::read_to_string(&legacy).expect("there").contains("hft1_"), "the token is taken out");
    }

    fn by_ticket(&self) {
        let device = self.device("timo");
        let ticket = self.desk.done(["ticket", "make", device.user, "--days", "3"]);
        let file = self.private("ticket", &text(&ticket, "code"));
        let by_ticket = |device: &Device<'_>| {
            self.activate_by(device, &["--email", device.user, "--ticket-file", path(&file), "--choice", "auto"])
        };
        let came = by_ticket(&device).done();
        assert_eq!((text(&came, "outcome"), text(&came, "rights")), ("new".to_owned(), "full".to_owned()));
        by_ticket(&self.second(&device, "timo-2")).error(4, "ticket_invalid");
    }

    fn by_choice(&self) {
        let device = self.device("cora");
        let first = text(&self.activate(&device, &["--choice", "auto"]), "device");
        let second = self.second(&device, "cora-2");
        let added = self.activate(&second, &["--choice", "add"]);
        assert_eq!(text(&added, "outcome"), "new");
        // Both are this very computer: the server cannot know which is meant, and nothing is done.
        let third = self.second(&device, "cora-3");
        let asked = third.activate_with(&["--ca".as_ref(), third.ca.as_os_str()]);
        assert_eq!(asked.exit, Some(7), "{}", asked.json);
        let listed = asked.json["question"]["replaceable"].as_array().expect("a list").len();
        assert_eq!(listed, 2, "{}", asked.json);
        let looked = third.activate_with(&[
            "--ca".as_ref(),
            third.ca.as_os_str(),
            "--choice".as_ref(),
            first.as_ref(),
            "--dry-run".as_ref(),
        ]);
        let looked = looked.done();
        assert_eq!(looked["preview"]["device"], Value::from(first.clone()));
        device.ask(["status"]).done();
        let taken = self.activate(&third, &["--choice", &first]);
        assert_eq!((text(&taken, "device"), text(&taken, "outcome")), (first, "replaced".to_owned()));
        device.ask(["status"]).error(4, "signature_invalid");
    }

    fn with_data_and_settings(&self) {
        let device = self.device("rosa");
        let name = text(&self.activate(&device, &[]), "device");
        let profile = "rosa";
        self.desk.done(["profile", "make", profile]);
        let folder = self.desk.done(["profile", "folder", "add", profile, "${home}/Music"]);
        let folder = text(&folder, "folder");
        self.desk.done(["profile", "set", profile, "interval=8h"]);
        self.desk.done(["profile", "assign", profile, device.user]);
        device.ask(["folders", "add", path(&device.source())]).done();
        let choose = || {
            device.ask(["folders", "unlink", &folder]).done();
            device.ask(["settings", "set", "interval", "2h"]).done();
        };
        let interval = || {
            let policy = device.ask(["policy"]).done();
            let values = policy["policy"]["values"].as_array().expect("a list").clone();
            let value = values.iter().find(|value| value["key"] == "interval").expect("an interval").clone();
            let folders = policy["policy"]["folders"].as_array().expect("a list").clone();
            let music = folders.iter().find(|one| one["folder"] == folder.as_str()).expect("it").clone();
            (text(&value, "value"), music["linked"].as_bool())
        };
        let reset = || {
            self.desk.done(["device", "deactivate", &name]);
        };
        choose();
        device.backup().done();

        // What would change is told before anything does, and nothing has.
        reset();
        let looked = self.activate(&device, &["--dry-run"]);
        let would = &looked["preview"]["changes"];
        assert_eq!(
            (would["kept"].as_bool(), would["values"][0]["was"].as_str()),
            (Some(false), Some("2h")),
            "{looked}"
        );
        assert_eq!(would["folders"][0]["folder"], Value::from(folder.clone()));
        device.ask(["status"]).error(4, "device_deactivated");
        let back = self.activate(&device, &["--restore", "none"]);
        assert_eq!(back["changes"], *would, "and it is what came");
        assert_eq!(interval(), ("8h".to_owned(), Some(true)));
        assert_eq!(back["restored"], Value::Null);

        // The settings, and nothing of the data.
        choose();
        reset();
        fs::remove_file(device.source().join("letter")).expect("there");
        let back = self.activate(&device, &["--restore", "settings"]);
        assert_eq!(back["changes"]["kept"], true, "{back}");
        assert_eq!(interval(), ("2h".to_owned(), Some(false)));
        assert!(!device.source().join("letter").exists() && back["restored"].is_null());

        // The data, and nothing of the settings: what is there stays as it is.
        reset();
        let back = self.activate(&device, &["--restore", "data"]);
        assert_eq!((back["changes"]["kept"].as_bool(), interval()), (Some(false), ("8h".to_owned(), Some(true))));
        assert_eq!(fs::read(device.source().join("letter")).expect("back"), noise(1, 40_000));
        assert!(back["restored"]["kept"].as_u64().is_some_and(|kept| kept > 0), "{back}");

        choose();
        self.with_everything_elsewhere(&device, &name);
    }

    /// Everything, on another computer that takes the record over while it is in service; and a profile that keeps.
    fn with_everything_elsewhere(&self, device: &Device<'a>, name: &str) {
        fs::remove_file(device.source().join("letter")).expect("there");
        let other = self.second(device, "rosa-2");
        let back = self.activate(&other, &["--choice", name, "--restore", "all"]);
        assert_eq!(back["changes"]["kept"], true, "{back}");
        assert_eq!(fs::read(device.source().join("letter")).expect("back"), noise(1, 40_000));
        let settings = other.ask(["settings"]).done();
        assert!(settings.to_string().contains("2h"), "{settings}");

        // The profile says that choices are kept: nobody has to ask for it.
        self.desk.done(["profile", "set", "rosa", "on_reactivation=keep"]);
        self.desk.done(["device", "deactivate", name]);
        let back = self.activate(&other, &[]);
        assert_eq!((back["changes"]["kept"].as_bool(), back["restored"].clone()), (Some(true), Value::Null));
    }

    fn with_data_owed_until_the_approval(&self) {
        let device = self.device("olga");
        let name = text(&self.activate(&device, &[]), "device");
        device.ask(["backup", path(&device.source())]).done();
        let host_name = text(&self.desk.done(["device", "show", &name])["about"], "host_name");
        self.desk.done(["device", "deactivate", &name]);
        let rows = format!(
            "email,device_id,device_id_type,replace_device,restore_data\n{},{host_name},host_name,{name},data\n",
            device.user
        );
        let map = self.private("map.csv", &rows);
        self.desk.done(["device-map", "import", path(&map)]);
        let (_, file) = self.token("olga");
        let other = self.second(&device, "olga-2");
        fs::remove_file(device.source().join("letter")).expect("there");
        let url = self.url();
        let unattended = || {
            let words = ["unattended", "--server", &url, "--ca", path(&other.ca), "--token-file", path(&file)];
            other.ask(words).done()
        };
        let came = unattended();
        assert_eq!((text(&came, "device"), text(&came, "rights")), (name.clone(), "append_only".to_owned()), "{came}");
        assert!(came["restored"].is_null() && !came["restore_owed"].is_null(), "{came}");
        assert!(!device.source().join("letter").exists(), "it may not read yet");
        // What it appends meanwhile is not what was meant.
        other.ask(["backup", path(&device.source())]).done();
        assert!(!other.ask(["status"]).done()["restore_owed"].is_null());
        assert!(!unattended()["restore_owed"].is_null(), "and goes on waiting");

        self.desk.done(["desk", "approve", &name]);
        let back = unattended();
        assert_eq!((text(&back, "outcome"), back["restore_owed"].clone()), ("in_service".to_owned(), Value::Null));
        assert_eq!(back["restored"]["problem_count"], 0, "{back}");
        assert_eq!(fs::read(device.source().join("letter")).expect("back"), noise(1, 40_000));
        assert!(unattended()["restored"].is_null(), "once");
    }

    fn waiting_for_an_admin(&self) {
        let device = self.device("wanda");
        self.desk.done(["profile", "make", "careful"]);
        self.desk.done(["profile", "set", "careful", "token_waits=yes"]);
        self.desk.done(["profile", "assign", "careful", device.user]);
        let (_, file) = self.token("wanda");
        let url = self.url();
        let words = ["activate", "--server", &url, "--ca", path(&device.ca), "--email", device.user, "--token-file"];
        let waits = |device: &Device<'_>, more: &[&str]| device.begin(words.iter().chain(&[path(&file)]).chain(more));
        let pending = || {
            let list = self.desk.done(["desk", "pending"]);
            let items = list["items"].as_array().expect("a list").clone();
            items.first().map(|item| text(&item["device"], "device"))
        };
        let mut running = waits(&device, &["--wait"]);
        running.until("the record waits", || pending().is_some());
        let name = pending().expect("it waits");
        self.desk.text(["desk", "pending"]);
        let approved = self.desk.text(["desk", "approve", &name]);
        assert!(approved.contains(&name[..12]) || approved.contains("active"), "{approved}");
        running.kill();
        // Given again, it goes on with the same request, and has been let in.
        let came = waits(&device, &["--wait"]).wait().done();
        assert_eq!(text(&came, "device"), name);

        let other = self.second(&device, "wanda-2");
        let answer = waits(&Device { patience: "0", ..other.clone() }, &["--choice", "add"]).wait();
        assert_eq!(answer.exit, Some(8), "{}", answer.json);
        let name = pending().expect("it waits");
        self.desk.done(["desk", "refuse", &name, "--reason", "not one of ours"]);
        let refused = waits(&other, &["--choice", "add"]).wait().error(4, "activation_refused");
        assert!(refused.contains("not one of ours"), "{refused}");
    }

    fn wiped_by_an_order(&self) {
        let device = self.device("wim");
        let name = text(&self.activate(&device, &[]), "device");
        device.ask(["backup", path(&device.source())]).done();
        self.desk.done(["device", "decommission", &name]);
        let wiped = device.ask(["backup"]);
        assert_eq!((wiped.exit, wiped.json["wiped"]["device"].clone()), (Some(4), Value::from(name.clone())));
        for gone in ["device.key", "state.json", "trees.cache", "policy.json"] {
            assert!(!device.state.join(gone).exists(), "{gone} is still there");
        }
        assert!(device.source().join("letter").exists(), "one's own files are not touched");
        assert_eq!(text(&self.desk.done(["device", "show", &name]), "state"), "decommissioned");
        let (_, file) = self.token("wim");
        let url = self.url();
        let words = ["unattended", "--server", &url, "--ca", path(&device.ca), "--token-file", path(&file)];
        device.ask(words).error(1, "device_wiped");
        assert_eq!(text(&self.activate(&device, &[]), "device"), name, "its user brings it back");
    }

    fn cloned(&self) {
        let device = self.device("carl");
        let name = text(&self.activate(&device, &[]), "device");
        device.ask(["backup", path(&device.source())]).done();
        let copy = self.second(&device, "carl-2");
        let copied = std::process::Command::new("cp").arg("-a").arg(&device.state).arg(&copy.state).status();
        assert!(copied.is_ok_and(|copied| copied.success()), "cp is missing");
        // Either opens its second session beside the other, and presents a counter that was overtaken.
        for _ in 0..2 {
            let _ = device.ask(["status"]);
            let _ = copy.ask(["status"]);
        }
        assert_eq!(text(&self.desk.done(["device", "show", &name]), "state"), "quarantined");
        let (listed, _) = self.desk.both(["conflict", "list"]);
        let conflicts = listed["items"].as_array().expect("a list").clone();
        let ours = conflicts.iter().find(|one| one.to_string().contains(&name)).expect("it is open");
        let conflict = text(ours, "conflict");
        self.desk.both(["conflict", "show", &conflict]);
        let to = device.fresh();
        device.ask(["restore", "latest", "--to", path(&to)]).error(4, "device_quarantined");
        assert!(!to.exists());
        self.desk.done(["conflict", "resolve", &conflict, "two-machines"]);
        device.backup().error(4, "device_deactivated");
        device.ask(["activate", "--old-key"]).error(4, "sign_in_needed");
        let back = self.activate(&device, &["--choice", "auto"]);
        assert_eq!(text(&back, "device"), name);
        copy.ask(["status"]).error(4, "signature_invalid");
    }

    fn password_by_link(&self) {
        let email = "pia@example.test";
        let link = self.desk.done(["user", "invite", email]);
        let device = Device { user: email, ..self.world.device("pia") };
        let link_file = self.private("link", &text(&link, "link"));
        let (short, good) = (self.private("short", "short\n"), self.private("good", "a quite good pass phrase\n"));
        let url = self.url();
        let set = |password: &Path| {
            let server = ["password", "--server", &url, "--ca", path(&device.ca)];
            device.ask(server.iter().chain(&["--link-file", path(&link_file), "--password-file", path(password)]))
        };
        let sentence = set(&short).error(1, "password_too_short");
        assert!(sentence.contains("at least"), "{sentence}");
        assert_eq!(text(&set(&good).done(), "email"), email);
        set(&good).error(4, "link_invalid");
        let came = self.activate_by(&device, &["--email", email, "--password-file", path(&good)]).done();
        assert_eq!(text(&came, "user"), email);
    }

    /// The server's log at its most talkative level for admins names identifiers, and nobody's secret, address or path.
    fn nothing_private_was_logged(&self) {
        let log = self.world.log();
        assert!(log.contains("is activated: ") && log.contains("DEBUG"), "nothing was logged");
        let private = self.private.borrow();
        let quotes = |letter: char| letter.is_whitespace() || "'\",=".contains(letter);
        let words = private.iter().flat_map(|text| text.split(quotes)).filter(|word| word.len() > 15);
        let secrets: Vec<&str> =
            words.filter(|word| !word.starts_with("https://127.0.0.1:") && !word.starts_with("dev_")).collect();
        assert!(secrets.len() > 5, "{secrets:?}");
        for secret in secrets.into_iter().chain(["correct horse", "@example.test", "/source", "picture"]) {
            assert!(!log.contains(secret), "{secret} was logged");
        }
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}
