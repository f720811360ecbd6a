//! When a deployment token may be used, and whom an account of the operating system may name with it.
//! Refuses to know a token's text: `app` finds the token by it. Rules: docs/control.md, "Tokens".

use crate::Refusal;
use crate::attempts::Limit;
use crate::policy::Hours;
use base::{Count, Span, Timestamp};
use ipnet::IpNet;
use std::net::IpAddr;

/// The most networks, and the most mail domains, that one token may list.
pub const LISTED_MAX: Count = Count(64);
/// The longest name of a token, in bytes.
pub const NAME_BYTES_MAX: usize = 100;
/// The span in which a token's rate is counted.
pub const RATE_SPAN: Span = Span::minutes(1);
/// When to ask again about hours of which it is not known when they begin.
pub const HOURS_POLL: Span = Span::hours(1);

/// Accounts of operating systems that are no person's.
const NOBODY: &[&str] = &[
    "admin",
    "administrator",
    "daemon",
    "defaultuser0",
    "guest",
    "holdfast",
    "local service",
    "localservice",
    "localsystem",
    "network service",
    "networkservice",
    "nobody",
    "root",
    "system",
    "user",
];

/// What decides whether a token may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// When it ends; `None` is never.
    pub expires_at: Option<Timestamp>,
    /// When an admin revoked it, or a new legacy token replaced it.
    pub revoked_at: Option<Timestamp>,
    /// How often it may be used; `None` is without end.
    pub uses_max: Option<Count>,
    /// How often it was.
    pub uses: Count,
    /// From where it may be used.
    pub networks: Networks,
    /// At which hours it may be used; `None` is at all.
    pub hours: Option<HoursNow>,
    /// How often in one minute; `None` is without end.
    pub rate_per_minute: Option<Count>,
}

/// Hours of a week in some time zone, and which minute of the week it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoursNow {
    /// The hours.
    pub hours: Hours,
    /// The day there, from 0, Monday.
    pub day: u8,
    /// The minute there, since midnight.
    pub minute: u16,
}

/// Networks from which something may be done. None listed is everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Terms {
    /// May it be used now, from there, after `in_minute` uses in this minute? Fails with the first of `token_revoked`,
    /// `token_expired`, `token_used_up`, `token_network`, `token_hours`, `token_rate` that applies.
    pub fn admits(&self, now: Timestamp, source: IpAddr, in_minute: Count) -> Result<(), Refusal> {
        if self.revoked_at.is_some() {
            return Err(Refusal::TokenRevoked);
        }
        if self.expires_at.is_some_and(|expires_at| now >= expires_at) {
            return Err(Refusal::TokenExpired);
        }
        if self.uses_max.is_some_and(|max| self.uses >= max) {
            return Err(Refusal::TokenUsedUp);
        }
        if !self.networks.admit(source) {
            return Err(Refusal::TokenNetwork);
        }
        if let Some(HoursNow { hours, day, minute }) = &self.hours
            && !hours.covers(*day, *minute)
        {
            return Err(Refusal::TokenHours { left: hours.opens_in(*day, *minute).unwrap_or(HOURS_POLL) });
        }
        match self.rate() {
            Some(limit) if in_minute >= limit.max => Err(Refusal::TokenRate { left: limit.left(now) }),
            Some(_) | None => Ok(()),
        }
    }

    /// The limit by which uses in a minute are counted; `None` when nothing has to be counted. Never fails.
    pub fn rate(&self) -> Option<Limit> {
        rate(self.rate_per_minute)
    }
}

/// The limit of a token that may be used so often in one minute; `None` without end. Never fails.
pub fn rate(per_minute: Option<Count>) -> Option<Limit> {
    per_minute.map(|max| Limit { max, span: RATE_SPAN })
}

impl Networks {
    /// The networks of these texts, each in CIDR form (`10.0.0.0/8`, `fd00::/8`) or one address; empty ones are passed
    /// over. Fails with the first text that is none.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let given = texts.into_iter().map(str::trim).filter(|text| !text.is_empty());
        let network = |text: &str| -> Result<IpNet, String> {
            let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map(|network: IpNet| network.trunc()).map_err(|_| text.to_owned())
        };
        given.map(network).collect::<Result<Vec<_>, _>>().map(Self)
    }

    /// Is the address in one of them? An IPv4 address that came in an IPv6 one counts as what it is. Never fails.
    pub fn admit(&self, source: IpAddr) -> bool {
        self.0.is_empty() || self.lists(source)
    }

    /// Is the address in one of them, and there is one? Never fails.
    pub fn lists(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.0.iter().any(|network| network.contains(&source))
    }

    /// Their texts, in CIDR form. Never fails.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

/// A mail domain as it is compared: in lower case, without space around it; `None` when it is none. Never fails.
pub fn domain(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches('@').to_lowercase();
    let label =
        |label: &str| !label.is_empty() && label.len() <= 63 && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    (text.len() <= 253 && text.split('.').all(label)).then_some(text)
}

/// The addresses that a computer may mean, in the order of `domains`: the one that its installer gives, or the account
/// that is at work there, at each listed domain. None when that is nobody's, or its domain is not listed. Never fails.
pub fn addresses(email: &str, os_user: &str, domains: &[String]) -> Vec<String> {
    let given = if email.trim().is_empty() { os_user } else { email }.trim().to_lowercase();
    // `DOMAIN\\account`, as Windows writes it: the domain of a directory is none of mail.
    let account = given.rsplit('\\').next().unwrap_or_default();
    let (name, domain) = match account.split_once('@') {
        Some((name, domain)) => (name, Some(domain)),
        None => (account, None),
    };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '\'');
    if name.is_empty() || NOBODY.contains(&name) || !name.chars().all(plain) {
        return Vec::new();
    }
    let listed = domains.iter().filter(|listed| domain.is_none_or(|domain| domain == listed.as_str()));
    listed.map(|domain| format!("{name}@{domain}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_first_reason_that_applies_is_said_in_the_order_of_the_document() {
        let bad = Terms {
            expires_at: Some(NOW),
            revoked_at: Some(NOW),
            uses_max: Some(Count(2)),
            uses: Count(2),
            networks: Networks::parse(["10.0.0.0/8"]).expect("a network"),
            hours: Some(HoursNow { hours: Hours::parse("sat 08:00-18:00").expect("a literal"), day: 5, minute: 1_080 }),
            rate_per_minute: Some(Count(1)),
        };
        let mends: [fn(&mut Terms); 6] = [
            |terms| terms.revoked_at = None,
            |terms| terms.expires_at = Some(NOW + Span::ms(1)),
            |terms| terms.uses = Count(1),
            |terms| terms.networks = Networks::default(),
            |terms| terms.hours.as_mut().expect("it has some").minute = 1_079,
            |terms| terms.rate_per_minute = Some(Count(2)),
        ];
        let mut terms = bad;
        let mut codes = Vec::new();
        for mend in mends {
            codes.push(terms.admits(NOW, ip("192.0.2.1"), Count(1)).expect_err("a reason is left").code());
            mend(&mut terms);
        }
        assert_eq!(terms.admits(NOW, ip("192.0.2.1"), Count(1)), Ok(()));
        let documented = crate::document::Table::read("token refusals").rows;
        let documented: Vec<&str> = documented.iter().map(|row| row[0].trim_matches('`')).collect();
        assert_eq!(documented, codes);
    }

    #[test]
    fn an_address_is_in_a_network_whatever_it_came_in() {
        let networks = Networks::parse(["10.1.2.3/8", " 192.0.2.7 ", "fd00::/8", ""]).expect("networks");
        assert_eq!(networks.texts(), ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8"]);
        for (source, inside) in [
            ("10.255.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("fd12::1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(networks.admit(ip(source)), inside, "{source}");
        }
        assert!(Networks::default().admit(ip("2001:db8::1")) && !Networks::default().lists(ip("2001:db8::1")));
        for bad in ["10.0.0.0/33", "example.org", "10.0.0", "::/129"] {
            assert_eq!(Networks::parse([bad]), Err(bad.to_owned()));
        }
    }

    #[test]
    fn an_account_names_a_user_only_at_a_listed_domain_and_a_shared_one_nobody() {
        let domains = ["example.org".to_owned(), "school.example".to_owned()];
        for (email, os_user, expected) in [
            ("", "Anna", "anna@example.org anna@school.example"),
            ("", "CORP\\anna", "anna@example.org anna@school.example"),
            ("", "anna@school.example", "anna@school.example"),
            ("", "anna@elsewhere.example", ""),
            ("Anna@example.org", "root", "anna@example.org"),
            ("anna@elsewhere.example", "anna", ""),
            ("", "root", ""),
            ("", "NT AUTHORITY\\SYSTEM", ""),
            ("", "", ""),
            ("", "an na", ""),
            ("", "a@b@example.org", ""),
        ] {
            assert_eq!(addresses(email, os_user, &domains).join(" "), expected, "{email:?} {os_user:?}");
        }
        assert!(addresses("", "anna", &[]).is_empty(), "without a listed domain nobody is named");
    }

    #[test]
    fn a_domain_is_compared_in_lower_case() {
        assert_eq!(domain(" @Example.ORG "), Some("example.org".to_owned()));
        for bad in ["", "a b.example", "a..b", "-_.example", &"a".repeat(64)] {
            assert_eq!(domain(bad), None, "{bad:?}");
        }
    }
}
