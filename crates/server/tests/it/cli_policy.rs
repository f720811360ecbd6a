//! Profiles, policies, folders and quota as an admin commands them.

use crate::cli::{Desk, said};
use serde_json::{Value, json};

fn desk() -> Desk {
    let desk = Desk::initialised();
    assert!(desk.add_user("anna@example.org").0);
    desk
}

fn good(desk: &Desk, arguments: &[&str]) -> Value {
    let (good, answer) = desk.json(arguments);
    assert!(good, "{arguments:?}: {answer}");
    answer
}

/// Value and level of a policy of anna's.
fn held(desk: &Desk, key: &str) -> (String, String) {
    let policy = good(desk, &["policy", "show", "--user", "anna@example.org"]);
    let values = policy["values"].as_array().expect("a list");
    let value = values.iter().find(|value| value["key"] == key).expect("every policy is there");
    let text = |name: &str| value[name].as_str().expect("a text").to_owned();
    (text("value"), text("from"))
}

#[test]
fn a_profile_is_made_filled_given_previewed_and_removed() {
    let desk = desk();
    let made = good(&desk, &["profile", "make", "Sales"]);
    assert_eq!(desk.refused(&["profile", "make", "Sales"]), "profile_exists");
    let values = good(&desk, &["profile", "set", "Sales", "interval=120m", "quota=10GB", "exclusions=*.tmp\n/cache/"]);
    let expected = json!([
        { "key": "exclusions", "value": "*.tmp\n/cache/", "by_user": false },
        { "key": "interval", "value": "2h", "by_user": false },
        { "key": "quota", "value": "10GB", "by_user": false },
    ]);
    assert_eq!(values["items"], expected);
    assert_eq!(desk.refused(&["profile", "set", "Sales", "interval"]), "value_not_given");
    assert_eq!(desk.refused(&["profile", "set", "Sales", "interval=1s"]), "policy_value_invalid");
    assert_eq!(desk.refused(&["profile", "set", "Nobody", "interval=1h"]), "profile_unknown");
    good(&desk, &["profile", "assign", "Sales", "anna@example.org"]);
    assert_eq!(held(&desk, "interval"), ("2h".to_owned(), "profile".to_owned()));
    let preview = good(&desk, &["profile", "preview", "Sales", "interval=6h", "--unset", "quota"]);
    let differences = json!([
        { "key": "interval", "was": "2h", "now": "6h", "users": 1, "devices": 0 },
        { "key": "quota", "was": "10GB", "now": "none", "users": 1, "devices": 0 },
    ]);
    assert_eq!((&preview["differences"], &preview["users_changed"]), (&differences, &json!(1)));
    assert_eq!(held(&desk, "interval").0, "2h", "a preview changes nothing");
    assert_eq!(desk.refused(&["profile", "remove", "Sales"]), "profile_in_use");
    assert_eq!(desk.refused(&["profile", "remove", "Default"]), "profile_default");
    good(&desk, &["profile", "copy", "Sales", "Marketing"]);
    good(&desk, &["profile", "unset", "Marketing", "interval"]);
    good(&desk, &["profile", "rename", "Marketing", "Press"]);
    good(&desk, &["profile", "assign", "Press", "anna@example.org"]);
    assert_eq!(held(&desk, "interval"), ("4h".to_owned(), "default".to_owned()));
    assert_eq!(held(&desk, "quota"), ("10GB".to_owned(), "profile".to_owned()));
    good(&desk, &["profile", "remove", made["profile"].as_str().expect("an identifier")]);
    let list = good(&desk, &["profile", "list"]);
    let names: Vec<&str> =
        list["items"].as_array().expect("a list").iter().filter_map(|p| p["name"].as_str()).collect();
    assert_eq!(names, ["Default", "Press"]);
}

#[test]
fn folders_of_a_profile_are_added_changed_and_removed() {
    let desk = desk();
    let add = ["profile", "folder", "add", "Default", "${home}/Documents/", "--mandatory", "yes", "--exclude", "*.tmp"];
    assert_eq!(good(&desk, &add)["path"], "${home}/Documents");
    assert_eq!(desk.refused(&add), "folder_exists");
    assert_eq!(desk.refused(&["profile", "folder", "add", "Default", "../x"]), "folder_path_invalid");
    assert_eq!(desk.refused(&["profile", "folder", "add", "Default", "/x", "--os", "amiga"]), "request_malformed");
    let change = ["profile", "folder", "change", "Default", "${home}/Documents", "--mandatory", "no", "--os", "linux"];
    let changed = good(&desk, &change);
    assert_eq!(
        (&changed["mandatory"], &changed["os"], &changed["exclude"]),
        (&json!(false), &json!("linux"), &json!(["*.tmp"]))
    );
    let shown = said(&desk.run(&["profile", "show", "Default"]));
    assert!(shown.contains("${home}/Documents") && shown.contains("linux"), "{shown}");
    let id = changed["folder"].as_str().expect("an identifier");
    good(&desk, &["profile", "folder", "remove", "Default", id]);
    assert_eq!(desk.refused(&["profile", "folder", "remove", "Default", id]), "folder_unknown");
    assert_eq!(good(&desk, &["profile", "folder", "list", "Default"])["items"], json!([]));
}

#[test]
fn values_of_the_organisation_and_of_a_user_are_set_and_shown_with_where_they_come_from() {
    let desk = desk();
    good(&desk, &["organisation", "set", "support=help@example.org", "quota=1GB"]);
    assert_eq!(held(&desk, "quota"), ("1GB".to_owned(), "organisation".to_owned()));
    good(&desk, &["user", "set", "anna@example.org", "quota=2GB"]);
    assert_eq!(held(&desk, "quota"), ("2GB".to_owned(), "user".to_owned()));
    let quota = good(&desk, &["quota", "show", "--user", "anna@example.org"]);
    assert_eq!(
        (&quota["used"], &quota["limit"], &quota["from"]),
        (&json!(0), &json!(2_000_000_000_u64), &json!("user"))
    );
    assert_eq!(good(&desk, &["quota", "show"])["items"], json!([quota]));
    good(&desk, &["user", "unset", "anna@example.org", "quota"]);
    assert_eq!(held(&desk, "quota").1, "organisation");
    good(&desk, &["organisation", "unset", "quota"]);
    assert_eq!(good(&desk, &["organisation", "show"])["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(desk.refused(&["user", "set", "anna@example.org", "support=me"]), "policy_level_wrong");
    assert_eq!(desk.refused(&["device", "set", "laptop", "interval=1h"]), "device_unknown");
    let text = said(&desk.run(&["policy", "show", "--user", "anna@example.org"]));
    for line in ["profile ", "help@example.org", "organisation", "no folders"] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let keys = said(&desk.run(&["policy", "keys"]));
    assert!(keys.lines().count() == control::policy::Key::ALL.len() + 1, "{keys}");
    assert_eq!(desk.run(&["policy", "show"]).status.code(), Some(2), "of whom must be said");
}
