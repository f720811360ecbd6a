//! The legacy file: what is read, what is refused, and that only the token is taken out of it.

use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

fn servers(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn lines_are_read_as_older_installers_write_them() {
    let some = |text: &str| Some(text.to_owned());
    let cases: [(&str, Parsed); 11] = [
        ("", Parsed::default()),
        (
            "SERVERS = ['backup.example.com:6061']\nTOKEN = 'abc'\nREPLACE_DEVICE= 'Yes'\n",
            Parsed {
                servers: servers(&["backup.example.com:6061"]),
                token: some("abc"),
                replaces: Some(true),
                ..Parsed::default()
            },
        ),
        ("SERVERS=[\"a:1\" , 'b:2',]\r\n", Parsed { servers: servers(&["a:1", "b:2"]), ..Parsed::default() }),
        ("SERVERS = 'one:1'  # a comment\n", Parsed { servers: servers(&["one:1"]), ..Parsed::default() }),
        ("SERVERS = []\n", Parsed::default()),
        ("\u{feff}TOKEN = 'a'\nTOKEN = 'b'\n", Parsed { token: some("b"), ..Parsed::default() }),
        ("REPLACE_DEVICE = 'no'", Parsed { replaces: Some(false), ..Parsed::default() }),
        (
            "FINGERPRINT = 'ab'\nCA = '/etc/ca.pem'",
            Parsed { fingerprint: some("ab"), ca: some("/etc/ca.pem"), ..Parsed::default() },
        ),
        // Other programs' keys, comments, and lines that are none.
        ("WRUSER = 'anna'\nLAST_CONNECT = 1432.5\n# TOKEN = 'no'\nimport os\nx = {1:", Parsed::default()),
        ("OTHER = __import__('os').system('true')\n", Parsed::default()),
        ("token = 'lower'\nif True: TOKEN = 'x'\n", Parsed::default()),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text), Ok(expected), "{text:?}");
    }
}

#[test]
fn what_is_no_plain_string_is_refused_with_its_line_and_without_its_text() {
    let cases = [
        "TOKEN = open('/etc/shadow').read()",
        "TOKEN = 'a' + 'b'",
        "TOKEN = '''abc'''",
        "TOKEN = 'abc",
        "TOKEN = abc",
        "TOKEN = f'abc'",
        "TOKEN = 'a\\x41'",
        "TOKEN =",
        "TOKEN = ['a']",
        "SERVERS = ['a', 'b'",
        "SERVERS = ['a' 'b']",
        "SERVERS = [['a']]",
        "SERVERS = ['a'] + ['b']",
        "SERVERS = [,]",
        "REPLACE_DEVICE = True",
        "REPLACE_DEVICE = 'Maybe'",
    ];
    for text in cases {
        let (line, why) = parse(&format!("\n{text}\n")).expect_err(text);
        assert_eq!(line, 2, "{text}");
        assert!(!why.contains("abc"), "{why}");
    }
    let many = format!("SERVERS = [{}]", "'a',".repeat(17));
    assert!(parse(&many).is_err());
    assert!(parse(&format!("TOKEN = '{}'", "x".repeat(1_025))).is_err());
}

#[test]
fn the_choice_follows_from_the_word_and_a_token_must_be_private() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("legacy.cfg");
    let write = |text: &str, mode| {
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    };
    for (word, choice) in [("Yes", Choice::Auto), ("No", Choice::Add)] {
        write(&format!("SERVERS = ['a:1']\nTOKEN = 'abc'\nREPLACE_DEVICE = '{word}'\n"), 0o600);
        let found = read(&path).expect("believed").expect("there");
        assert_eq!(
            (found.choice, found.token.map(|token| token.expose().to_owned())),
            (Some(choice), Some("abc".to_owned()))
        );
    }
    write("TOKEN = 'abc'\n", 0o644);
    assert_eq!(read(&path).expect_err("exposed").code(), "file_exposed");
    write("SERVERS = ['a:1']\nTOKEN = ''\n", 0o644);
    assert!(read(&path).expect("no secret in it").expect("there").token.is_none());
    fs::write(&path, vec![b'#'; 10 << 20]).expect("a large file");
    assert_eq!(read(&path).expect_err("large").code(), "file_invalid");
    let link = dir.path().join("link.cfg");
    symlink(&path, &link).expect("a link");
    assert_eq!(read(&link).expect_err("a link").code(), "file_exposed");
    assert!(read(&dir.path().join("none")).expect("nothing").is_none());
}

#[test]
fn scrubbing_takes_every_token_out_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("legacy.cfg");
    let text = "# mine\r\nSERVERS = ['a:1']\r\nTOKEN = 'abc'\r\nWRUSER = 'anna'\nTOKEN='def'\nLAST_CONNECT = 1.5";
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    assert!(scrub(&path).expect("scrubbed"));
    let left = fs::read_to_string(&path).expect("a file");
    assert_eq!(left, "# mine\r\nSERVERS = ['a:1']\r\nWRUSER = 'anna'\nLAST_CONNECT = 1.5");
    assert!(!scrub(&path).expect("nothing to do"), "a second time changes nothing");
}
