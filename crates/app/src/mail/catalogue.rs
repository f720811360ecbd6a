//! Every message that the server sends: its name, what it is for, the values that its template may use, its own texts.
//! Refuses a value that the list does not name. docs/mail.md has the same lists; a test compares.

use control::Notice;

/// One kind of message.
#[derive(Debug)]
pub struct Kind {
    /// The name of its template.
    pub name: &'static str,
    /// When it is sent, and to whom.
    pub meaning: &'static str,
    /// The names of its values, besides those that every message has.
    pub values: &'static [&'static str],
    /// Whether it holds a link or a code that proves who asks.
    pub secret: bool,
    /// `Subject: …` in the first line, and the text without the footer.
    source: &'static str,
}

/// A value that a template may use.
#[derive(Debug)]
pub struct ValueKind {
    /// As it stands between the braces.
    pub name: &'static str,
    /// What it is, for an admin.
    pub meaning: &'static str,
    /// What a preview shows when there is nothing real.
    pub sample: &'static str,
}

/// The values that every message has.
pub const COMMON: &[&str] = &["organisation", "server", "support", "user.email"];

/// Every value, in the order of docs/mail.md.
pub const VALUES: &[ValueKind] = &[
    value("organisation", "The key `organisation.name`; \"your organisation\" when it is not set.", "Example Ltd"),
    value("server", "The key `server.public_url`. Empty when it is not set.", "https://backup.example.org"),
    value("support", "The policy `support`: whom to ask. Empty when it is not set.", "support@example.org"),
    value("user.email", "The address that the message goes to.", "anna@example.org"),
    value("device.name", "What the record of the device is called.", "Anna's laptop"),
    value("device.host_name", "What the operating system calls the computer.", "LAPTOP-7"),
    value("device.id", "The identifier of the device.", "dev_01234567890abcdefghjkmnpqr"),
    value("device.user", "The address of the device's user.", "anna@example.org"),
    value("reason", "Why, as the admin put it. May be empty.", "renewal of all keys"),
    value("deadline", "Until when, in UTC. May be empty.", "2027-01-31 12:00 UTC"),
    value("by_itself", "`yes` when the program comes back by itself and nobody need do anything; else empty.", "yes"),
    value("quota.used", "What the user's backups take, or would have taken.", "95 GB"),
    value("quota.limit", "What they may take.", "100 GB"),
    value("quota.percent", "How much of it that is, in percent.", "95"),
    value("count", "How many.", "2"),
    value("users", "Their addresses, as many as fit into a line.", "anna@example.org, ben@example.org"),
    value("link", "The address of the page, good once.", "https://backup.example.org/password#sample"),
    value("code", "The ticket's code, good once.", "SAMPLE-SAMPLE-SAMPLE"),
    value(
        "fingerprint",
        "What `holdfast-server fingerprint` shows: by it a computer knows the server.",
        "0000000000000000000000000000000000000000000000000000000000000000",
    ),
];

/// Every message, in the order of docs/mail.md.
pub const KINDS: &[Kind] = &[
    notice("activated", "To the user: a new device was activated.", include_str!("texts/activated.txt")),
    notice("approved", "To the user: an admin has approved the device.", include_str!("texts/approved.txt")),
    notice("reactivated", "To the user: the device is back in service.", include_str!("texts/reactivated.txt")),
    notice("replaced", "To the user: a machine has taken over the record.", include_str!("texts/replaced.txt")),
    until("held", "To the user: the device must be activated again.", include_str!("texts/held.txt")),
    notice("deactivated", "To the user: the device was deactivated.", include_str!("texts/deactivated.txt")),
    notice("suspended", "To the user: an admin has stopped the device.", include_str!("texts/suspended.txt")),
    notice("enabled", "To the user: the device goes on.", include_str!("texts/enabled.txt")),
    notice("conflict", "To the user: two machines present one identity.", include_str!("texts/conflict.txt")),
    notice("decommissioning", "To the user: the device is retired.", include_str!("texts/decommissioning.txt")),
    notice("wiped", "To the user: the device is wiped. Not sent by itself.", include_str!("texts/wiped.txt")),
    until("deleted", "To the user: the record was deleted.", include_str!("texts/deleted.txt")),
    notice("undeleted", "To the user: the record was brought back.", include_str!("texts/undeleted.txt")),
    admin("admin_conflict", "To every admin: two machines, one identity.", include_str!("texts/admin_conflict.txt")),
    admin("admin_wiped", "To every admin: a device is wiped.", include_str!("texts/admin_wiped.txt")),
    secret("password_set", "To the user: set the first password.", LINK, include_str!("texts/password_set.txt")),
    secret("password_reset", "To the user: set a new password.", LINK, include_str!("texts/password_reset.txt")),
    secret("ticket", "To the user: a code for one activation.", CODE, include_str!("texts/ticket.txt")),
    campaign("campaign", "To the user: a campaign resets the device.", include_str!("texts/campaign.txt")),
    campaign(
        "campaign_reminder",
        "To the user: the device is not back yet.",
        include_str!("texts/campaign_reminder.txt"),
    ),
    quota("quota_warning", "To the user: little of the quota is left.", QUOTA, include_str!("texts/quota_warning.txt")),
    quota(
        "quota_refused",
        "To the user: a backup was refused, because there is no room for it.",
        QUOTA_DEVICE,
        include_str!("texts/quota_refused.txt"),
    ),
    quota(
        "admin_quota",
        "To every admin, once a day: whose backups were refused for the quota.",
        &["count", "users"],
        include_str!("texts/admin_quota.txt"),
    ),
    Kind {
        name: "test",
        meaning: "To any address: `holdfast-server mail test`.",
        values: &[],
        secret: false,
        source: include_str!("texts/test.txt"),
    },
];

/// What every text of ours ends with.
const FOOTER: &str = "
{% if support %}
Questions, or you did not expect this message? Ask {{ support }}.
{% else %}
Questions, or you did not expect this message? Ask whoever looks after the computers of {{ organisation }}.
{% endif %}

{{ organisation }} backs up its computers with Holdfast{% if server %} ({{ server }}){% endif %}, \
which has sent this message by itself. \
Holdfast never asks for a password by mail: do not answer this message with one.
";

/// Templates that admins add begin so: they are for campaigns, and may use what the one of this name may use.
const CAMPAIGN: &str = "campaign";
/// The longest name of a template.
const NAME_MAX: usize = 60;

/// The kind of the template with this name; `None` when there can be no such template. Never fails.
pub fn kind_of(name: &str) -> Option<&'static Kind> {
    let named = |wanted: &str| KINDS.iter().find(|kind| kind.name == wanted);
    let added = name.strip_prefix("campaign_").is_some_and(|rest| {
        let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
        !rest.is_empty() && name.len() <= NAME_MAX && rest.chars().all(fits)
    });
    named(name).or_else(|| named(CAMPAIGN).filter(|_| added))
}

/// Is it one that a campaign can have? The reminder has values of the same names and says something else. Never fails.
pub(crate) fn is_for_campaigns(name: &str) -> bool {
    kind_of(name).is_some_and(|kind| kind.name == CAMPAIGN)
}

/// The template of a message to the user of a device. Never fails.
pub(crate) fn notice_user(notice: Notice) -> &'static str {
    notice.word()
}

/// The template of a message to the admins. Never fails.
pub(crate) fn notice_admins(notice: Notice) -> &'static str {
    match notice {
        Notice::Conflict => "admin_conflict",
        Notice::Wiped => "admin_wiped",
        // No event tells admins of these; what users are told says the same.
        Notice::Activated
        | Notice::Approved
        | Notice::Reactivated
        | Notice::Replaced
        | Notice::Held
        | Notice::Deactivated
        | Notice::Suspended
        | Notice::Enabled
        | Notice::Decommissioning
        | Notice::Deleted
        | Notice::Undeleted => notice.word(),
    }
}

impl Kind {
    /// May a template of this kind use the value of this name? Never fails.
    pub fn has(&self, name: &str) -> bool {
        COMMON.contains(&name) || self.values.contains(&name)
    }

    /// Every value that a template of this kind may use. Never fails.
    pub fn all_values(&self) -> impl Iterator<Item = &'static ValueKind> + '_ {
        VALUES.iter().filter(|value| self.has(value.name))
    }

    /// Our own subject. Never fails.
    pub(crate) fn subject(&self) -> &'static str {
        self.parts().0
    }

    /// Our own text, with its footer. Never fails.
    pub(crate) fn text(&self) -> String {
        format!("{}{FOOTER}", self.parts().1)
    }

    fn parts(&self) -> (&'static str, &'static str) {
        let rest = self.source.strip_prefix("Subject: ");
        rest.and_then(|rest| rest.split_once('\n')).expect("the texts of ours begin so: a test reads each")
    }
}

const DEVICE: &[&str] = &["device.name", "device.host_name"];
const DEVICE_UNTIL: &[&str] = &["device.name", "device.host_name", "deadline"];
const DEVICE_ADMIN: &[&str] = &["device.name", "device.host_name", "device.id", "device.user"];
const LINK: &[&str] = &["link", "deadline"];
const CODE: &[&str] = &["code", "deadline", "fingerprint"];
const DEVICE_CAMPAIGN: &[&str] = &["device.name", "device.host_name", "reason", "deadline", "by_itself"];
const QUOTA: &[&str] = &["quota.used", "quota.limit", "quota.percent"];
const QUOTA_DEVICE: &[&str] = &["device.name", "device.host_name", "quota.used", "quota.limit"];

const fn value(name: &'static str, meaning: &'static str, sample: &'static str) -> ValueKind {
    ValueKind { name, meaning, sample }
}

const fn notice(name: &'static str, meaning: &'static str, source: &'static str) -> Kind {
    Kind { name, meaning, values: DEVICE, secret: false, source }
}

const fn until(name: &'static str, meaning: &'static str, source: &'static str) -> Kind {
    Kind { name, meaning, values: DEVICE_UNTIL, secret: false, source }
}

const fn admin(name: &'static str, meaning: &'static str, source: &'static str) -> Kind {
    Kind { name, meaning, values: DEVICE_ADMIN, secret: false, source }
}

const fn campaign(name: &'static str, meaning: &'static str, source: &'static str) -> Kind {
    Kind { name, meaning, values: DEVICE_CAMPAIGN, secret: false, source }
}

const fn quota(
    name: &'static str,
    meaning: &'static str,
    values: &'static [&'static str],
    source: &'static str,
) -> Kind {
    Kind { name, meaning, values, secret: false, source }
}

const fn secret(
    name: &'static str,
    meaning: &'static str,
    values: &'static [&'static str],
    source: &'static str,
) -> Kind {
    Kind { name, meaning, values, secret: true, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_lists_every_message_and_every_value() {
        let document = include_str!("../../../../docs/mail.md");
        for value in VALUES {
            let row = format!("| `{{{{ {} }}}}` | {} |", value.name, value.meaning);
            assert!(document.contains(&row), "docs/mail.md lacks {row}");
        }
        for kind in KINDS {
            let values: Vec<String> = kind.values.iter().map(|name| format!("`{name}`")).collect();
            let row = format!("| `{}` | {} | {} |", kind.name, kind.meaning, values.join(", "));
            assert!(document.contains(&row), "docs/mail.md lacks {row}");
        }
        let rows = document.lines().filter(|line| line.starts_with("| `")).count();
        assert!(rows >= VALUES.len() + KINDS.len(), "the tables were read");
    }

    #[test]
    fn admins_may_add_templates_for_campaigns_and_no_others() {
        assert_eq!(kind_of("campaign_spring_2027").map(|kind| kind.name), Some("campaign"));
        assert_eq!(kind_of("campaign_reminder").map(|kind| kind.name), Some("campaign_reminder"));
        let long = format!("campaign_{}", "a".repeat(60));
        for name in ["", "other", "campaign_", "campaign_Big", "campaign_a b", "campaign_../x", &long] {
            assert!(kind_of(name).is_none(), "{name}");
        }
    }
}
