//! What a template can do, and what becomes of values that mean harm. Refuses templates that are not the engine's.

use super::*;
use crate::mail::catalogue::{KINDS, kind_of};

fn kind(name: &str) -> &'static Kind {
    kind_of(name).expect("the test names a kind")
}

fn template(subject: &str, text: &str, html: &str) -> Template {
    Template { subject: subject.to_owned(), text: text.to_owned(), html: html.to_owned() }
}

/// What is said of a text that cannot be a template for a held device.
fn said(text: &str) -> String {
    match template("s", text, "").inspect(kind("held")) {
        Err(AppError::Said { code: "template_invalid", sentence, .. }) => sentence,
        other => panic!("{text:?} gives {other:?}"),
    }
}

fn filled(text: &str, html: &str, device: &str) -> Message {
    let template = template("About {{ device.name }}", text, html);
    template.inspect(kind("held")).expect("a good template");
    template.fill(kind("held"), &Values::samples().with("device.name", device)).expect("a good template")
}

#[test]
fn our_own_templates_work_with_every_value_and_with_none_and_name_who_is_asked() {
    for kind in KINDS {
        let own = Template::own(kind);
        own.inspect(kind).unwrap_or_else(|error| panic!("{}: {error}", kind.name));
        let message = own.fill(kind, &Values::samples()).expect("it was inspected");
        assert!(message.text.contains("never asks for a password by mail"), "{}", kind.name);
        assert!(message.text.contains("Ask support@example.org."), "{}", kind.name);
        assert!(!message.text.contains("{{") && !message.text.contains("\n\n\n"), "{}: {}", kind.name, message.text);
        let unsaid = ["reason", "device.id", "device.user", "by_itself"];
        for value in kind.values.iter().filter(|value| !unsaid.contains(value)) {
            let sample = VALUES.iter().find(|known| known.name == *value).expect("it is in the list").sample;
            assert!(message.text.contains(sample), "{} does not say {value}", kind.name);
        }
        let silent = own.fill(kind, &Values::samples().with("support", "")).expect("it was inspected");
        assert!(silent.text.contains("Ask whoever looks after the computers of Example Ltd."), "{}", kind.name);
    }
}

#[test]
fn the_html_of_a_text_says_the_same_in_paragraphs_with_its_link_and_no_colour() {
    let own = Template::own(kind("password_reset"));
    let message = own.fill(kind("password_reset"), &Values::samples()).expect("ours is good");
    let link = "https:&#x2f;&#x2f;backup.example.org&#x2f;password#sample";
    assert!(message.html.contains(&format!("<p><a href=\"{link}\">{link}</a></p>")), "{}", message.html);
    assert!(message.html.contains("<meta name=\"color-scheme\" content=\"light dark\">"));
    assert!(message.html.contains("<html lang=\"en\">") && message.html.contains("<p>Hello,</p>"));
    assert!(!message.html.contains("color:") && !message.html.contains("<img") && !message.html.contains("<p></p>"));
    let paragraphs = message.text.trim().split("\n\n").count();
    assert_eq!(message.html.matches("<p>").count(), paragraphs, "{}\n{}", message.text, message.html);
}

#[test]
fn a_value_stays_text_whatever_it_says() {
    let html = "<p title=\"{{ device.name }}\">{{ device.name }}</p>";
    let message = filled("{{ device.name }}", html, "{{ 7*7 }} {% for %}");
    assert_eq!((message.text.as_str(), message.subject.as_str()), ("{{ 7*7 }} {% for %}", "About {{ 7*7 }} {% for %}"));
    let message = filled("{{ device.name }}", html, "\"><script>alert('1')</script>&amp;");
    assert_eq!(message.text, "\"><script>alert('1')</script>&amp;", "a text has nothing to escape");
    assert!(!message.html.contains('\'') && !message.html.contains("<script"), "{}", message.html);
    assert_eq!(message.html.matches('"').count(), 2, "{}", message.html);
    let made = filled("{{ device.name }}\n", "", "<b>&</b>").html;
    assert!(made.contains("<p>&lt;b&gt;&amp;&lt;&#x2f;b&gt;</p>"), "{made}");
}

#[test]
fn no_value_adds_a_line_or_a_header() {
    let message =
        filled("a {{ device.name }} b", "", "x\r\nBcc: all@example.org\n\nhttp://evil.example\u{2028}\u{202e}");
    assert_eq!(message.subject, "About x Bcc: all@example.org http://evil.example");
    assert_eq!(message.text, "a x Bcc: all@example.org http://evil.example b");
    let long = "x".repeat(5_000);
    let message = filled("{{ device.name }}", "", &long);
    assert_eq!((message.subject.chars().count(), message.text.chars().count()), (200, 1_000));
}

#[test]
fn an_unknown_value_is_refused_by_its_name_wherever_it_stands() {
    for (text, name) in [
        ("{{ device.nmae }}", "`device.nmae`"),
        ("{{ link }}", "`link`"),
        ("{% if deadline %}{{ passwrod }}{% endif %}", "`passwrod`"),
        ("{% if deadline %}{% else %}{{ user.name }}{% endif %}", "`user.name`"),
        ("{{ user }}", "`user`"),
        ("{{ user.email.domain }}", "`user.email.domain`"),
    ] {
        assert!(said(text).contains(&format!("there is no value {name}")), "{text}: {}", said(text));
    }
    let error = template("{{ nothing }}", "a", "").inspect(kind("held")).expect_err("no such value").to_string();
    assert!(error.starts_with("The subject of the template") && error.contains("`nothing`"), "{error}");
}

#[test]
fn a_template_can_do_nothing_but_show_values_under_conditions() {
    for text in [
        "{% for a in [1, 2] %}{% endfor %}",
        "{% for letter in deadline %}x{% endfor %}",
        "{% set a = 1 %}",
        "{% include \"other\" %}",
        "{% import \"other\" as o %}",
        "{% extends \"other\" %}",
        "{% block a %}{% endblock %}",
        "{% macro a() %}{% endmacro %}",
        "{% raw %}{{ a }}{% endraw %}",
        "{% autoescape false %}a{% endautoescape %}",
        "{%- filter upper -%}a{% endfilter %}",
        "{% with a = deadline %}{{ a }}{% endwith %}",
        "{% do deadline %}",
        "{{ deadline|safe }}",
        "{{ deadline * 100000000 }}",
        "{{ deadline ~ deadline }}",
        "{{ \"}}\" * 9 }}",
        "{{ range(1000000000) }}",
        "{{ deadline.upper() }}",
        "{{ [1][0] }}",
        "{{ {1:2} }}",
        "{{ deadline",
        "{% if deadline %}",
        "{% endif %}",
        "{% if deadline is odd %}a{% endif %}",
        "\u{0}",
        " \n",
        "",
    ] {
        assert!(said(text).starts_with("The text of the template cannot be used"), "{text}");
    }
    let deep = "{% if deadline %}".repeat(30) + &"{% endif %}".repeat(30);
    assert!(said(&deep).contains("more than 20 conditions"));
    assert!(said(&"a".repeat(TEXT_BYTES_MAX + 1)).contains("longer than 65536 bytes"));
    let wrong = template("two\nlines", "a", "").inspect(kind("held")).expect_err("a subject is one line");
    assert!(wrong.to_string().contains("one line"), "{wrong}");
    let wrong = template("{% if reason %}a{% endif %}", "a", "").inspect(kind("campaign")).expect_err("may be empty");
    assert!(wrong.to_string().contains("it is empty"), "{wrong}");
}

#[test]
fn conditions_and_comments_work_as_they_read() {
    let text = "{# a note: {{ x }} #}\n{% if deadline and not support == server %}\nuntil {{ deadline }}\n\
                {% elif server %}\nnever\n{% else %}\n-\n{% endif %}\nend\n";
    let template = template("s", text, "");
    template.inspect(kind("held")).expect("a good template");
    let fill = |values: Values| template.fill(kind("held"), &values).expect("a good template").text;
    assert_eq!(fill(Values::samples()).trim(), "until 2027-01-31 12:00 UTC\nend");
    assert_eq!(fill(Values::new().with("server", "s")).trim(), "never\nend");
    assert_eq!(fill(Values::new()).trim(), "-\nend");
}

#[test]
fn a_message_has_a_greatest_size() {
    let text = "{{ device.name }}".repeat(3_000);
    let template = template("s", &text, "");
    let values = Values::samples().with("device.name", &"x".repeat(1_000));
    let error = template.fill(kind("held"), &values).expect_err("3 MB are too much");
    assert_eq!(error.code(), "template_invalid");
}
