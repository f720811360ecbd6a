//! The keys of the configuration: name, meaning, where the value lives, and what it may be.
//! Refuses a key without a meaning: `holdfast-server config` and docs/operating.md show it.

use super::{Config, LogFormat, MailSecurity};
use crate::mail;
use base::{Bytes, Span};
use control::token::Networks;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;

/// One key of the file.
pub struct Key {
    /// With its table: `session.token_minutes`.
    pub name: &'static str,
    /// One sentence for an operator.
    pub meaning: &'static str,
    pub(super) field: Field,
}

/// Where a key's value lives and how it is written. The ranges are inclusive.
pub(super) enum Field {
    Address(fn(&mut Config) -> &mut SocketAddr),
    /// Empty for none.
    AddressMaybe(fn(&mut Config) -> &mut Option<SocketAddr>),
    Level(fn(&mut Config) -> &mut String),
    Format(fn(&mut Config) -> &mut LogFormat),
    Security(fn(&mut Config) -> &mut MailSecurity),
    /// A text; empty, or one for which the function says yes. The words say what it must be.
    Text(fn(&mut Config) -> &mut String, fn(&str) -> bool, &'static str),
    Switch(fn(&mut Config) -> &mut bool),
    /// Empty, or the address of a PostgreSQL database, without a password.
    DatabaseUrl(fn(&mut Config) -> &mut String),
    /// Empty, or a path.
    File(fn(&mut Config) -> &mut String),
    Number(fn(&mut Config) -> &mut u64, u64, u64),
    /// A span, the milliseconds of one unit, and the range in units.
    Span(fn(&mut Config) -> &mut Span, u64, u64, u64),
    Mib(fn(&mut Config) -> &mut Bytes, u64, u64),
    Networks(fn(&mut Config) -> &mut Networks),
}

const MS: u64 = 1;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Every key, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    Key {
        name: "listen",
        meaning: "Address and port on which devices reach the server.",
        field: Field::Address(|c| &mut c.listen),
    },
    Key {
        name: "admin.listen",
        meaning: "Address and port of a listener for the admin API alone; then the one for devices does not answer it. \
                  Empty: one listener for both.",
        field: Field::AddressMaybe(|c| &mut c.admin_listen),
    },
    Key {
        name: "server.public_url",
        meaning: "The address of the listener for devices as people's browsers reach it, such as \
                  https://backup.example.org: links in messages begin with it. Empty: links are not mailed.",
        field: Field::Text(|c| &mut c.server_public_url, is_public_url, PUBLIC_URL),
    },
    Key {
        name: "organisation.name",
        meaning: "What messages call the organisation; empty: \"your organisation\".",
        field: Field::Text(|c| &mut c.organisation_name, is_line, "one line"),
    },
    Key {
        name: "connections_max",
        meaning: "Connections held open at the same time; further ones wait to be accepted.",
        field: Field::Number(|c| &mut c.connections_max, 1, 100_000),
    },
    Key {
        name: "shutdown_seconds",
        meaning: "How long requests under way may go on after the server was told to stop.",
        field: Field::Span(|c| &mut c.shutdown_grace, SECOND, 0, 600),
    },
    Key {
        name: "lane.activations_max",
        meaning: "Activations bound at the same time; further ones wait, and past a bound are told to come again.",
        field: Field::Number(|c| &mut c.lane_activations_max, 1, 65_536),
    },
    Key {
        name: "lane.control_max",
        meaning: "Requests for sessions, states and policies answered at the same time; as above.",
        field: Field::Number(|c| &mut c.lane_control_max, 1, 65_536),
    },
    Key {
        name: "lane.data_max",
        meaning: "Requests of backups and restores answered at the same time, uploads under way among them; as above.",
        field: Field::Number(|c| &mut c.lane_data_max, 1, 65_536),
    },
    Key {
        name: "log.level",
        meaning: "The least important lines logged: error, warn, info, debug or trace.",
        field: Field::Level(|c| &mut c.log_level),
    },
    Key {
        name: "log.format",
        meaning: "text for people, json for machines (one object a line).",
        field: Field::Format(|c| &mut c.log_format),
    },
    Key {
        name: "master_key.command",
        meaning: "A program and its arguments, told apart by spaces, that prints the master key as 64 hexadecimal \
                  digits; empty: it is in the file keys/master.key.",
        field: Field::Text(|c| &mut c.master_key_command, |_| true, "a program and its arguments"),
    },
    Key {
        name: "session.token_minutes",
        meaning: "How long a device's session lasts; its state is looked at on every request all the same.",
        field: Field::Span(|c| &mut c.token_span, MINUTE, 1, 60),
    },
    Key {
        name: "session.challenge_seconds",
        meaning: "How long a challenge can be signed, once.",
        field: Field::Span(|c| &mut c.challenge_span, SECOND, 5, 600),
    },
    Key {
        name: "session.state_cache_ms",
        meaning: "How old a device's known state may be when a request is let in; bounds how late a change made by an \
                  admin command is seen.",
        field: Field::Span(|c| &mut c.state_cache_span, MS, 0, 500),
    },
    Key {
        name: "password.hashes_max",
        meaning: "Passwords checked at the same time; further ones wait.",
        field: Field::Number(|c| &mut c.password_hashes_max, 1, 64),
    },
    Key {
        name: "password.memory_mib",
        meaning: "Memory of one Argon2id computation. A change holds for passwords set afterwards, and for the others \
                  from their next sign-in on.",
        field: Field::Mib(|c| &mut c.password_memory, 1, 1_024),
    },
    Key {
        name: "password.passes",
        meaning: "Passes of one Argon2id computation. A change holds in the same way.",
        field: Field::Number(|c| &mut c.password_passes, 1, 16),
    },
    Key {
        name: "run.lease_hours",
        meaning: "How long a run lives without a request; what it was told is present stays that long.",
        field: Field::Span(|c| &mut c.run_lease, HOUR, 1, 720),
    },
    Key {
        name: "run.uploads_max",
        meaning: "Uploads of one run side by side, told to the device.",
        field: Field::Number(|c| &mut c.run_uploads_max, 1, 64),
    },
    Key {
        name: "upload.memory_mib",
        meaning: "Bytes of packs held in memory while they are received and verified, all devices together.",
        field: Field::Mib(|c| &mut c.upload_memory, 64, 65_536),
    },
    Key {
        name: "restore.frame_cache_mib",
        meaning: "Opened frames kept in memory for commits and restores, all devices together.",
        field: Field::Mib(|c| &mut c.frame_cache, 1, 65_536),
    },
    Key {
        name: "store.reserve_mib",
        meaning: "Space left free on the disk of the store, so that the database beside it can still write.",
        field: Field::Mib(|c| &mut c.store_reserve, 0, 1 << 30),
    },
    Key {
        name: "s3.bucket",
        meaning: "The bucket of an S3 server that objects are kept in; empty: the folder of the data directory.",
        field: Field::Text(|c| &mut c.s3_bucket, is_word, "the name of a bucket"),
    },
    Key {
        name: "s3.prefix",
        meaning: "What the keys of all objects in the bucket begin with; empty: the bucket is this server's alone.",
        field: Field::Text(|c| &mut c.s3_prefix, is_word, "a text without spaces"),
    },
    Key {
        name: "s3.endpoint",
        meaning: "The address of the S3 server, such as https://s3.example.org; empty: Amazon's in the region.",
        field: Field::Text(|c| &mut c.s3_endpoint, is_endpoint, "an address without a user in it"),
    },
    Key {
        name: "s3.region",
        meaning: "The region of the bucket; servers without regions expect us-east-1.",
        field: Field::Text(|c| &mut c.s3_region, is_word, "a word"),
    },
    Key {
        name: "s3.bucket_in_name",
        meaning: "Whether the bucket stands before the server's name in addresses, and not in their path.",
        field: Field::Switch(|c| &mut c.s3_bucket_in_name),
    },
    Key {
        name: "s3.key_file",
        meaning: "The file with the id of an access key, its secret and maybe a session token, a line each; read again \
                  every few minutes.",
        field: Field::File(|c| &mut c.s3_key_file),
    },
    Key {
        name: "s3.ca_file",
        meaning: "File with the certificates of authorities, as PEM, to trust instead of the system's.",
        field: Field::File(|c| &mut c.s3_ca_file),
    },
    Key {
        name: "s3.plain_remote",
        meaning: "Whether HTTP without TLS may go to another machine.",
        field: Field::Switch(|c| &mut c.s3_plain_remote),
    },
    Key {
        name: "snapshot.undo_days",
        meaning: "How long a snapshot that retention has let go of can still be restored, and be kept after all.",
        field: Field::Span(|c| &mut c.snapshot_undo, DAY, 0, 365),
    },
    Key {
        name: "scrub.days",
        meaning: "In how many days every pack is read once, in the background, and compared with its name; 0: only by \
                  the command.",
        field: Field::Span(|c| &mut c.scrub_days, DAY, 0, 3_650),
    },
    Key {
        name: "collect.every_hours",
        meaning: "How often a collection looks for what no snapshot needs; 0: only when an admin starts one.",
        field: Field::Span(|c| &mut c.collect_every, HOUR, 0, 8_760),
    },
    Key {
        name: "collect.grace_hours",
        meaning: "How long what a collection has found stays before it is removed. Runs that began before are waited \
                  for in any case.",
        field: Field::Span(|c| &mut c.collect_grace, HOUR, 0, 8_760),
    },
    Key {
        name: "collect.memory_mib",
        meaning: "Memory of a collection, whatever the size of the repository; and of a storage report, which takes \
                  up to 24 bytes for each tree besides.",
        field: Field::Mib(|c| &mut c.collect_memory, 32, 65_536),
    },
    Key {
        name: "collect.repack_below_percent",
        meaning: "A pack of which less than this is needed is replaced by one with the needed part alone; 0: never.",
        field: Field::Number(|c| &mut c.collect_repack_below, 0, 90),
    },
    Key {
        name: "collect.rate_mib",
        meaning: "How many MiB a collection, or a storage report, reads from the store in a second, at most; 0: no \
                  limit.",
        field: Field::Mib(|c| &mut c.collect_rate, 0, 65_536),
    },
    Key {
        name: "storage.report_hours",
        meaning: "How often it is found out what takes room in the store, and whose it is; 0: only when an admin asks.",
        field: Field::Span(|c| &mut c.storage_report_every, HOUR, 0, 8_760),
    },
    Key {
        name: "device.hold_days",
        meaning: "How long a held device may still append, when the command does not say.",
        field: Field::Span(|c| &mut c.device_hold, DAY, 1, 365),
    },
    Key {
        name: "device.undelete_days",
        meaning: "How long a deleted device can be brought back with all its data.",
        field: Field::Span(|c| &mut c.device_undelete, DAY, 1, 365),
    },
    Key {
        name: "support.bundle_days",
        meaning: "How long a support bundle of a device is kept, and an order for one that is not answered.",
        field: Field::Span(|c| &mut c.support_bundle, DAY, 1, 365),
    },
    Key {
        name: "device.catch_up_minutes",
        meaning: "Over how long the catch-up backups of devices that come back at once are spread.",
        field: Field::Span(|c| &mut c.device_catch_up, MINUTE, 0, 10_080),
    },
    Key {
        name: "device.watch_days",
        meaning: "For how long a device's backups are watched after it has come back, unless its campaign says.",
        field: Field::Span(|c| &mut c.device_watch, DAY, 0, 365),
    },
    Key {
        name: "metrics.remote",
        meaning: "Whether /metrics answers other machines too, and not only programs on the server itself.",
        field: Field::Switch(|c| &mut c.metrics_remote),
    },
    Key {
        name: "database.url",
        meaning: "The PostgreSQL database, as postgres://user@host:port/name; empty is the file in the data directory.",
        field: Field::DatabaseUrl(|c| &mut c.database_url),
    },
    Key {
        name: "database.password_file",
        meaning: "The file whose first line is the password of database.url; empty leaves it to PGPASSFILE.",
        field: Field::File(|c| &mut c.database_password_file),
    },
    Key {
        name: "proxy.trusted",
        meaning: "Networks of proxies whose X-Forwarded-For says where a request comes from; without one the \
                  connection says it.",
        field: Field::Networks(|c| &mut c.proxy_trusted),
    },
    Key {
        name: "proxy.protocol",
        meaning: "Whether connections from proxy.trusted begin with a PROXY header, as those of a load balancer that \
                  passes TLS through; one without it is closed.",
        field: Field::Switch(|c| &mut c.proxy_protocol),
    },
    Key {
        name: "activation.per_source_minute",
        meaning: "Devices activated in a minute from one source address (of IPv6, from one network of 64 bits); 0: no \
                  limit.",
        field: Field::Number(|c| &mut c.activation_source_rate, 0, 1_000_000),
    },
    Key {
        name: "mail.server",
        meaning: "Name of the mail server that takes the messages to users and admins; empty: no mail is sent.",
        field: Field::Text(|c| &mut c.mail_server, is_word, "a name or an address without a port"),
    },
    Key {
        name: "mail.port",
        meaning: "Its port: 587 for starttls, 465 for tls, as a rule.",
        field: Field::Number(|c| &mut c.mail_port, 1, 65_535),
    },
    Key {
        name: "mail.security",
        meaning: "starttls: encrypted before anything is said; tls: encrypted from the start; none: in the clear.",
        field: Field::Security(|c| &mut c.mail_security),
    },
    Key {
        name: "mail.plain_remote",
        meaning: "Whether none may be used with a mail server on another machine.",
        field: Field::Switch(|c| &mut c.mail_plain_remote),
    },
    Key {
        name: "mail.user",
        meaning: "The name to log in with; empty: no login.",
        field: Field::Text(|c| &mut c.mail_user, is_line, "one line"),
    },
    Key {
        name: "mail.password_file",
        meaning: "File with the password, read whenever a connection is made.",
        field: Field::Text(|c| &mut c.mail_password_file, is_path, "a path that begins with /"),
    },
    Key {
        name: "mail.ca_file",
        meaning: "File with the certificates of authorities, as PEM, to trust instead of the system's.",
        field: Field::Text(|c| &mut c.mail_ca_file, is_path, "a path that begins with /"),
    },
    Key {
        name: "mail.from",
        meaning: "The sender, like Backups <backup@example.org>.",
        field: Field::Text(|c| &mut c.mail_from, mail::is_mailbox, "an e-mail address, with or without a name"),
    },
    Key {
        name: "mail.reply_to",
        meaning: "Where answers go; empty: to the sender.",
        field: Field::Text(|c| &mut c.mail_reply_to, mail::is_mailbox, "an e-mail address, with or without a name"),
    },
    Key {
        name: "mail.per_minute",
        meaning: "Messages sent in a minute, at most.",
        field: Field::Number(|c| &mut c.mail_per_minute, 1, 100_000),
    },
];

const PUBLIC_URL: &str = "https:// and a name or an address, with or without a port, and nothing after it";

/// Whether links can begin with it: https, without a user, a path, a query or a fragment.
fn is_public_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://") else { return false };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (name, port) = match authority.rsplit_once(':') {
        // The last colon of an address of IPv6 without a port is one of its own.
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        Some(_) | None => (authority, None),
    };
    let bracketed = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_named = match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '.';
            name.starts_with(|letter: char| letter.is_ascii_alphanumeric())
                && name.len() <= 253
                && name.chars().all(fits)
        }
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse().is_ok_and(|n: u16| n > 0);
    is_named && port.is_none_or(is_port)
}

/// Whether an address keeps credentials to itself.
fn is_endpoint(text: &str) -> bool {
    is_word(text) && !text.contains('@')
}

fn is_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn is_word(text: &str) -> bool {
    is_line(text) && !text.chars().any(char::is_whitespace)
}

fn is_path(text: &str) -> bool {
    is_line(text) && Path::new(text).is_absolute()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_is_https_and_a_name_and_nothing_more() {
        for good in [
            "https://backup.example.org",
            "https://backup.example.org/",
            "https://backup.example.org:8471",
            "https://192.0.2.7:1",
            "https://[2001:db8::1]",
            "https://[2001:db8::1]:443/",
        ] {
            assert!(is_public_url(good), "{good}");
        }
        for bad in [
            "http://backup.example.org",
            "backup.example.org",
            "https://",
            "https:///",
            "https://.example.org",
            "https://user@backup.example.org",
            "https://user:secret@backup.example.org",
            "https://backup.example.org/path",
            "https://backup.example.org//",
            "https://backup.example.org?x",
            "https://backup.example.org#x",
            "https://backup.example.org:",
            "https://backup.example.org:0",
            "https://backup.example.org:65536",
            "https://backup.example.org:+1",
            "https://[2001:db8::1",
            "https://2001:db8::1",
            "https://backup example.org",
            "https://backup.example.org\r\nX: y",
        ] {
            assert!(!is_public_url(bad), "{bad}");
        }
    }
}
