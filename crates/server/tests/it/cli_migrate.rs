//! `migrate` as an admin runs it beside real servers: a pass while one runs, the switch, the way back. Real PostgreSQL,
//! a real S3 server. Refuses to end a process that it has not started.

use crate::cli::{Desk, program, said};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Output, Stdio};
use store::testing::S3Server;

/// A server that serves, until it is told to stop.
struct Server(Child);

impl Server {
    /// Starts one, and waits until it listens.
    fn start(data: &Path) -> Server {
        let mut command = program();
        command.arg("--data").arg(data).args(["run", "--listen", "127.0.0.1:0", "--json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program is built");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("text");
        assert!(line.contains("listening"), "{line}");
        Server(child)
    }

    fn stop(mut self) {
        let id = Pid::from_raw(self.0.id().try_into().expect("a small number")).expect("it has not ended");
        kill_process(id, Signal::TERM).expect("it is ours");
        let ended = self.0.wait().expect("it is ours");
        assert!(ended.success(), "{ended}");
    }
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    program().arg("--data").arg(data).args(arguments).output().expect("the program is built")
}

fn json(data: &Path, arguments: &[&str]) -> Value {
    let output = run(data, &[arguments, &["--json"]].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {}", said(&output)))
}

fn refused(data: &Path, arguments: &[&str]) -> String {
    let answer = json(data, arguments);
    answer["error"]["code"].as_str().unwrap_or_else(|| panic!("not refused: {answer}")).to_owned()
}

/// A configuration beside the other one, as an admin writes it, and the file with the bucket's key.
fn next(data: &Path, url: &str, bucket: &S3Server) -> String {
    use std::os::unix::fs::OpenOptionsExt as _;
    let key = bucket.key();
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(data.join("s3.key")).expect("own directory");
    file.write_all(format!("{}\n{}\n", key.id, key.secret.as_str()).as_bytes()).expect("own file");
    let (name, endpoint) = (bucket.bucket(), bucket.endpoint());
    let text = format!(
        "password.memory_mib = 1\npassword.passes = 1\ndatabase.url = \"{url}\"\n\
         s3.bucket = \"{name}\"\ns3.endpoint = \"{endpoint}\"\ns3.key_file = \"s3.key\"\n"
    );
    let file = data.join("next.toml");
    std::fs::write(&file, text).expect("own file");
    file.to_str().expect("text").to_owned()
}

fn is_within_80_columns(text: &str) -> bool {
    // Paths are as long as they are.
    text.lines().all(|line| line.chars().count() <= 80 || line.contains('/'))
}

fn story(database: &str, bucket: &S3Server) {
    let desk = Desk::initialised();
    let (data, secret) = (desk.data(), bucket.key().secret.to_string());
    assert!(desk.add_user("anna@example.org").0);
    let to = next(&data, database, bucket);
    let migrate = ["migrate", "--to", to.as_str()];
    let switch = [&migrate[..], &["--switch"]].concat();

    // While a server runs there is a first pass, and no last one.
    let server = Server::start(&data);
    let first = run(&data, &migrate);
    let text = said(&first);
    assert!(first.status.success() && is_within_80_columns(&text), "{text}");
    assert!(text.contains("--switch") && !text.contains(&secret), "{text}");
    assert_eq!(refused(&data, &switch), "servers_running");
    server.stop();

    let switched = json(&data, &switch);
    assert_eq!(switched["switched"], true, "{switched}");
    let tables = switched["tables"].as_array().expect("a list");
    let rows = |name: &str| tables.iter().find(|table| table["table"] == name).map(|table| table["rows"].clone());
    assert_eq!((rows("user"), rows("admin")), (Some(1.into()), Some(1.into())));
    for command in [&["run", "--listen", "127.0.0.1:0"][..], &["user", "list"], &["repair"]] {
        assert_eq!(refused(&data, command), "installation_moved", "{command:?}");
    }

    // Taken back, and on again: the target is its own.
    let back = [&migrate[..], &["--take-back"]].concat();
    assert_eq!(json(&data, &back)["taken_back"], true);
    Server::start(&data).stop();
    let again = run(&data, &switch);
    let text = said(&again);
    assert!(again.status.success() && is_within_80_columns(&text), "{text}");
    assert!(text.contains("DIGEST") && text.contains("is at the target now") && !text.contains(&secret), "{text}");

    // The other configuration takes its place, and everybody is there.
    std::fs::rename(data.join("holdfast.toml"), data.join("before.toml")).expect("own file");
    std::fs::rename(data.join("next.toml"), data.join("holdfast.toml")).expect("own file");
    let server = Server::start(&data);
    assert_eq!(json(&data, &["user", "list"])["items"][0]["email"], "anna@example.org");
    assert!(run(&data, &["audit", "verify"]).status.success());

    // And home again, where the database of before is out of the way.
    std::fs::rename(data.join("holdfast.db"), data.join("holdfast.db.before")).expect("own file");
    let before = data.join("before.toml");
    let home = ["migrate", "--to", before.to_str().expect("text"), "--switch"];
    assert_eq!(refused(&data, &home), "servers_running");
    server.stop();
    let home = json(&data, &home);
    assert_eq!((&home["switched"], &home["objects"]["damaged"]), (&true.into(), &0.into()), "{home}");
    std::fs::rename(data.join("before.toml"), data.join("holdfast.toml")).expect("own file");
    Server::start(&data).stop();
    assert!(run(&data, &["scrub"]).status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_takes_a_server_from_one_machine_to_many_and_back() {
    let (database, bucket) = (db::testing::postgres().await, S3Server::start().await);
    let url = database.url().expect("it has one").to_owned();
    base::blocking(move || story(&url, &bucket)).await.expect("the story ends well");
}

#[test]
fn what_a_migrate_is_asked_has_to_make_sense() {
    let desk = Desk::initialised();
    for arguments in [
        &["migrate"][..],
        &["migrate", "--to", "x.toml", "--take-back", "--switch"],
        &["migrate", "--to", "x.toml", "--target-lost"],
        &["migrate", "--to", "x.toml", "--rate", "0"],
    ] {
        let output = desk.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
    }
    assert_eq!(desk.refused(&["migrate", "--take-back", "--target-lost"]), "nothing_moved");
    assert_eq!(desk.refused(&["migrate", "--to", "/nowhere/at/all.toml"]), "file_failed");
}
