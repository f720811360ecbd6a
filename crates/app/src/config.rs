//! The configuration: one TOML file, parsed once into types. Refuses keys that it does not know, values out of
//! their range, and secrets (those are files under `keys/`). `KEYS` is the only list of keys: defaults, the
//! parser, `holdfast-server config` and docs/operating.md all follow it.

use crate::AppError;
use base::{Bytes, Span};
use std::net::SocketAddr;
use std::path::Path;

/// The name of the file in the data directory.
pub const CONFIG_FILE: &str = "holdfast.toml";
/// The largest configuration file that is read.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What an operator can choose. `KEYS` says what each field means.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field's meaning stands in KEYS, once")]
pub struct Config {
    pub listen: SocketAddr,
    pub admin_listen: Option<SocketAddr>,
    pub connections_max: u64,
    pub shutdown_grace: Span,
    pub lane_activations_max: u64,
    pub lane_control_max: u64,
    pub lane_data_max: u64,
    pub log_level: String,
    pub log_format: LogFormat,
    pub token_span: Span,
    pub challenge_span: Span,
    pub state_cache_span: Span,
    pub password_hashes_max: u64,
    pub password_memory: Bytes,
    pub password_passes: u64,
    pub run_lease: Span,
    pub run_uploads_max: u64,
    pub upload_memory: Bytes,
    pub frame_cache: Bytes,
    pub store_reserve: Bytes,
    pub device_hold: Span,
    pub device_undelete: Span,
    pub metrics_remote: bool,
    pub database_url: String,
    pub database_password_file: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8471)),
            admin_listen: None,
            connections_max: 12_000,
            shutdown_grace: Span::seconds(10),
            lane_activations_max: 64,
            lane_control_max: 128,
            lane_data_max: 512,
            log_level: "info".to_owned(),
            log_format: LogFormat::Text,
            token_span: Span::minutes(15),
            challenge_span: Span::seconds(60),
            state_cache_span: Span::ms(500),
            password_hashes_max: 2,
            password_memory: Bytes::mib(19),
            password_passes: 2,
            run_lease: Span::hours(24),
            run_uploads_max: 4,
            upload_memory: Bytes::mib(128),
            frame_cache: Bytes::mib(32),
            store_reserve: Bytes::mib(256),
            device_hold: Span::days(14),
            device_undelete: Span::days(7),
            metrics_remote: false,
            database_url: String::new(),
            database_password_file: String::new(),
        }
    }
}

/// One key of the file.
pub struct Key {
    /// With its table: `session.token_minutes`.
    pub name: &'static str,
    /// One sentence for an operator.
    pub meaning: &'static str,
    field: Field,
}

/// Where a key's value lives and how it is written. The ranges are inclusive.
enum Field {
    Address(fn(&mut Config) -> &mut SocketAddr),
    /// Empty for none.
    AddressMaybe(fn(&mut Config) -> &mut Option<SocketAddr>),
    Level(fn(&mut Config) -> &mut String),
    Format(fn(&mut Config) -> &mut LogFormat),
    Switch(fn(&mut Config) -> &mut bool),
    /// Empty, or the address of a PostgreSQL database, without a password.
    DatabaseUrl(fn(&mut Config) -> &mut String),
    /// Empty, or a path.
    File(fn(&mut Config) -> &mut String),
    Number(fn(&mut Config) -> &mut u64, u64, u64),
    /// A span, the milliseconds of one unit, and the range in units.
    Span(fn(&mut Config) -> &mut Span, u64, u64, u64),
    Mib(fn(&mut Config) -> &mut Bytes, u64, u64),
}

const MS: u64 = 1;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Every key, in the order in which they are shown.
pub const KEYS: [Key; 25] = [
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
        meaning: "Memory of one Argon2id computation. A change holds for passwords set afterwards.",
        field: Field::Mib(|c| &mut c.password_memory, 1, 1_024),
    },
    Key {
        name: "password.passes",
        meaning: "Passes of one Argon2id computation. A change holds for passwords set afterwards.",
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
        field: Field::Mib(|c| &mut c.store_reserve, 0, 1_048_576),
    },
    Key {
        name: "device.hold_days",
        meaning: "How long a held device may still append, when the command does not say.",
        field: Field::Span(|c| &mut c.device_hold, DAY, 0, 365),
    },
    Key {
        name: "device.undelete_days",
        meaning: "How long a deleted device can be brought back with all its data.",
        field: Field::Span(|c| &mut c.device_undelete, DAY, 1, 365),
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
];

impl Config {
    /// Reads `holdfast.toml` of the data directory; an absent file means every default.
    ///
    /// # Errors
    /// A file that cannot be read, is over 1 MiB, is not TOML, or has a key that is not in `KEYS` (named in the
    /// sentence) or a value that the key does not take.
    pub fn load(data_dir: &Path) -> Result<Self, AppError> {
        let path = data_dir.join(CONFIG_FILE);
        let file_error = |cause| AppError::File { during: "reading", path: path.clone(), cause };
        match std::fs::metadata(&path) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(cause) => return Err(file_error(cause)),
            Ok(meta) if meta.len() > CONFIG_BYTES_MAX => return Err(wrong("the file is larger than 1 MiB")),
            Ok(_) => {}
        }
        Self::parse(&std::fs::read_to_string(&path).map_err(file_error)?)
    }

    /// The configuration that this text asks for.
    ///
    /// # Errors
    /// As `load`.
    pub fn parse(text: &str) -> Result<Self, AppError> {
        let table: toml::Table = text.parse().map_err(|cause: toml::de::Error| wrong(cause.message()))?;
        let mut config = Self::default();
        set_all(&mut config, "", &table)?;
        Ok(config)
    }

    /// What stands in this configuration for a key, as TOML writes it. Never fails.
    pub fn shown(&self, key: &Key) -> String {
        let mut copy = self.clone();
        match key.field {
            Field::Address(of) => format!("\"{}\"", of(&mut copy)),
            Field::AddressMaybe(of) => {
                format!("\"{}\"", of(&mut copy).map(|address| address.to_string()).unwrap_or_default())
            }
            Field::Level(of) => format!("\"{}\"", of(&mut copy)),
            Field::Format(of) => match of(&mut copy) {
                LogFormat::Text => "\"text\"".to_owned(),
                LogFormat::Json => "\"json\"".to_owned(),
            },
            Field::Switch(of) => of(&mut copy).to_string(),
            Field::DatabaseUrl(of) | Field::File(of) => toml::Value::String(of(&mut copy).clone()).to_string(),
            Field::Number(of, ..) => of(&mut copy).to_string(),
            Field::Span(of, unit, ..) => (of(&mut copy).as_ms() / unit).to_string(),
            Field::Mib(of, ..) => (of(&mut copy).0 >> 20).to_string(),
        }
    }
}

fn set_all(config: &mut Config, prefix: &str, table: &toml::Table) -> Result<(), AppError> {
    for (word, value) in table {
        let name = if prefix.is_empty() { word.clone() } else { format!("{prefix}.{word}") };
        match (KEYS.iter().find(|key| key.name == name), value) {
            (Some(key), _) => set(config, key, value)?,
            (None, toml::Value::Table(inner)) => set_all(config, &name, inner)?,
            (None, _) => return Err(wrong(&format!("there is no key `{name}`; `holdfast-server config` lists them"))),
        }
    }
    Ok(())
}

fn set(config: &mut Config, key: &Key, value: &toml::Value) -> Result<(), AppError> {
    let refuse = |wanted: &str| wrong(&format!("`{}` must be {wanted}, and is {value}", key.name));
    let number = |min: u64, max: u64| {
        let number = value.as_integer().and_then(|n| u64::try_from(n).ok()).filter(|n| (min..=max).contains(n));
        number.ok_or_else(|| refuse(&format!("a whole number from {min} to {max}")))
    };
    match key.field {
        Field::Address(of) => {
            let address = value.as_str().and_then(|text| text.parse().ok());
            *of(config) = address.ok_or_else(|| refuse("an address and a port, like \"127.0.0.1:8471\""))?;
        }
        Field::AddressMaybe(of) => {
            let address = value.as_str().and_then(|text| match text {
                "" => Some(None),
                text => text.parse().ok().map(Some),
            });
            *of(config) = address.ok_or_else(|| refuse("an address and a port, like \"127.0.0.1:8472\", or empty"))?;
        }
        Field::Level(of) => {
            let level = value.as_str().filter(|text| ["error", "warn", "info", "debug", "trace"].contains(text));
            *of(config) = level.ok_or_else(|| refuse("error, warn, info, debug or trace"))?.to_owned();
        }
        Field::Format(of) => {
            *of(config) = match value.as_str() {
                Some("text") => LogFormat::Text,
                Some("json") => LogFormat::Json,
                _ => return Err(refuse("\"text\" or \"json\"")),
            }
        }
        Field::DatabaseUrl(of) => {
            // What was written is not repeated in a refusal: it may hold a password.
            let url = value.as_str().filter(|url| url.is_empty() || is_database_url(url));
            let wanted = "empty or of the form postgres://user@host:port/name; the password belongs in the file that \
                          `database.password_file` names";
            *of(config) = url.ok_or_else(|| wrong(&format!("`{}` must be {wanted}", key.name)))?.to_owned();
        }
        Field::File(of) => *of(config) = value.as_str().ok_or_else(|| refuse("the path of a file"))?.to_owned(),
        Field::Switch(of) => *of(config) = value.as_bool().ok_or_else(|| refuse("true or false"))?,
        Field::Number(of, min, max) => *of(config) = number(min, max)?,
        Field::Span(of, unit, min, max) => *of(config) = Span::ms(number(min, max)? * unit),
        Field::Mib(of, min, max) => *of(config) = Bytes::mib(number(min, max)?),
    }
    Ok(())
}

/// Whether an address names PostgreSQL and keeps a password to itself.
fn is_database_url(url: &str) -> bool {
    let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
    rest.is_some_and(|rest| {
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
        !user.contains(':') && query.split('&').all(|part| !part.starts_with("password="))
    })
}

fn wrong(what: &str) -> AppError {
    AppError::invalid("config_invalid", format!("{CONFIG_FILE}: {what}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(text: &str) -> String {
        Config::parse(text).expect_err("the text is wrong").to_string()
    }

    #[test]
    fn an_empty_file_gives_the_defaults_and_every_default_can_be_written_out() {
        assert_eq!(Config::parse("").expect("empty"), Config::default());
        let defaults = Config::default();
        for key in &KEYS {
            let line = format!("{} = {}", key.name, defaults.shown(key));
            assert_eq!(Config::parse(&line).expect(&line), defaults, "{line}");
        }
    }

    #[test]
    fn a_value_is_taken_in_its_unit() {
        let config = Config::parse("listen = \"[::1]:0\"\n[session]\ntoken_minutes = 5\n[upload]\nmemory_mib = 64\n")
            .expect("good text");
        assert_eq!(config.listen, "[::1]:0".parse().expect("an address"));
        assert_eq!((config.token_span, config.upload_memory), (Span::minutes(5), Bytes::mib(64)));
    }

    #[test]
    fn wrong_files_are_refused_with_the_name_of_what_is_wrong() {
        for (text, said) in [
            ("lisen = 1", "`lisen`"),
            ("[session]\ntoken_hours = 1", "`session.token_hours`"),
            ("[sesion]\ntoken_minutes = 1", "`sesion.token_minutes`"),
            ("connections_max = 0", "`connections_max` must be a whole number from 1 to 100000"),
            ("connections_max = -1", "`connections_max`"),
            ("listen = 8471", "`listen` must be an address"),
            ("log.level = \"loud\"", "`log.level`"),
            ("log.format = 1", "`log.format`"),
            ("metrics.remote = \"no\"", "`metrics.remote` must be true or false"),
            ("database.url = \"mysql://h/d\"", "`database.url` must be empty or of the form postgres://"),
            ("database.url = \"postgres://u:p@h/d\"", "the password belongs in the file"),
            ("database.url = \"postgres://h/d?user=u&password=p\"", "the password belongs in the file"),
            ("= 1", "holdfast.toml"),
        ] {
            assert!(sentence(text).contains(said), "{text}: {}", sentence(text));
        }
    }
}
