//! Links, tickets and campaigns as an admin commands them with mail on: what is mailed is not shown; and the page that
//! a link leads to.

use crate::cli::{Desk, said};
use crate::world::World;
use serde_json::Value;
use server::routes::list;

/// A mail server that nobody reaches: what is queued stays so.
const MAIL: &str = "[mail]\nserver = \"localhost\"\nsecurity = \"none\"\nport = 9\nfrom = \"backup@example.org\"\n";
const ADDRESS: &str = "[server]\npublic_url = \"https://backup.example.org\"\n";

fn desk(config: &str) -> Desk {
    let desk = Desk::initialised();
    std::fs::write(desk.data().join("holdfast.toml"), config).expect("our own directory");
    desk
}

fn good(desk: &Desk, arguments: &[&str]) -> Value {
    let (good, answer) = desk.json(arguments);
    assert!(good, "{arguments:?}: {answer}");
    answer
}

fn outbox(desk: &Desk) -> Vec<String> {
    let list = good(desk, &["mail", "list"]);
    let items = list["items"].as_array().expect("a list").iter();
    items.map(|item| item["template"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn what_lets_a_user_in_is_mailed_or_shown_and_the_answer_says_which_and_why() {
    let desk = desk(&format!("{MAIL}{ADDRESS}"));
    let text = said(&desk.run(&["user", "invite", "anna@example.org"]));
    assert!(text.contains("on its way to anna@example.org by mail") && !text.contains("hfl1_"), "{text}");
    let reset = good(&desk, &["user", "reset-password", "anna@example.org"]);
    assert_eq!((&reset["mailed"], &reset["link"], &reset["unmailed"]), (&true.into(), &Value::Null, &Value::Null));
    let ticket = good(&desk, &["ticket", "make", "anna@example.org"]);
    assert_eq!((&ticket["mailed"], &ticket["code"]), (&true.into(), &Value::Null));
    assert_eq!(outbox(&desk), ["ticket", "password_reset", "password_set"]);
    let text = said(&desk.run(&["mail", "list"]));
    assert!(!text.contains("hfl1_") && !text.contains("HT-"), "{text}");

    let link = good(&desk, &["user", "invite", "anna@example.org", "--show"]);
    assert!(link["link"].as_str().expect("text").starts_with("https://backup.example.org/password#hfl1_"), "{link}");
    assert_eq!((&link["mailed"], &link["unmailed"]), (&false.into(), &"asked".into()));
    let ticket = good(&desk, &["ticket", "make", "anna@example.org", "--show"]);
    assert!(ticket["code"].as_str().expect("text").starts_with("HT-"), "{ticket}");
    assert_eq!(outbox(&desk).len(), 3);
    for (config, why) in [(MAIL, "`server.public_url` is not set"), (ADDRESS, "no mail server is set")] {
        std::fs::write(desk.data().join("holdfast.toml"), config).expect("our own directory");
        let text = said(&desk.run(&["user", "invite", "anna@example.org"]));
        assert!(text.contains("hfl1_") && text.contains(why), "{text}");
    }
}

#[test]
fn a_campaign_needs_a_template_that_is_there_and_says_who_will_be_told() {
    let desk = desk(&format!("{MAIL}{ADDRESS}"));
    let make = |name: &str, more: &[&str]| {
        let plan = ["campaign", "make", name, "--level", "revoke", "--everyone", "--reason", "a test"];
        desk.json(&[&plan, more].concat())
    };
    let (made, refused) = make("a", &["--template", "campaign_spring"]);
    assert_eq!((made, &refused["error"]["code"]), (false, &"template_unknown".into()));
    let (made, refused) = make("a", &["--reminders", "21"]);
    assert_eq!((made, &refused["error"]["code"]), (false, &"campaign_invalid".into()));
    let (made, campaign) = make("a", &["--tell", "needed", "--remind-days", "5", "--reminders", "2"]);
    assert!(made, "{campaign}");
    let plan = &campaign["plan"];
    assert_eq!((&plan["template"], &plan["tell"]), (&"campaign".into(), &"needed".into()));
    assert_eq!((&plan["remind_ms"], &plan["reminders_max"]), (&(5 * 86_400_000).into(), &2.into()));
    let text = said(&desk.run(&["campaign", "show", "a"]));
    assert!(text.contains("needed, by campaign; again every 5 d"), "{text}");
    let run = good(&desk, &["campaign", "dry-run", "a"]);
    assert_eq!((&run["messages"], &run["users_told"], &run["mail_off"]), (&0.into(), &0.into(), &false.into()));
    std::fs::write(desk.data().join("holdfast.toml"), "").expect("our own directory");
    let text = said(&desk.run(&["campaign", "dry-run", "a"]));
    assert!(text.contains("Nobody is told: no mail server is set."), "{text}");
}

#[tokio::test]
async fn the_page_of_a_link_loads_nothing_from_elsewhere_and_sends_to_a_route_that_there_is() {
    let world = World::start().await;
    let page = world.ask("GET", "/password", "").await;
    let text = String::from_utf8(page.body.to_vec()).expect("text");
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert_eq!(page.headers["cache-control"], "no-store");
    let policy = page.headers["content-security-policy"].to_str().expect("text");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; connect-src 'self'"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    // The policy lets neither a script nor a style within the page run.
    assert!(text.contains("<script src=\"/password.js\" defer></script>") && !text.contains("style"), "{text}");
    let script = world.ask("GET", "/password.js", "").await;
    assert_eq!(script.headers["content-type"], "text/javascript; charset=utf-8");
    let text = String::from_utf8(script.body.to_vec()).expect("text");
    let route = list().into_iter().find(|route| route.path == "/v1/password-links").expect("it is in the table");
    assert!(text.contains(&format!("fetch(\"{}\"", route.path)) && text.contains("{ link, password }"), "{text}");
    world.stop().await;
}
