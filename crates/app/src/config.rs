//! The configuration: one TOML file, parsed once into types. Refuses keys that it does not know, values out of
//! their range, and secrets (those are files under `keys/`). `KEYS` is the only list of keys: defaults, the
//! parser, `holdfast-server config` and docs/operating.md all follow it.

mod keys;

pub use keys::{KEYS, Key};

use crate::AppError;
use base::{Bytes, Span};
use control::token::Networks;
use keys::Field;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// The name of the file in the data directory.
pub const CONFIG_FILE: &str = "holdfast.toml";
/// The largest configuration file that is read.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// The longest text of a key.
const TEXT_BYTES_MAX: usize = 1_000;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// It begins in the clear, and nothing is sent before it is encrypted.
    Starttls,
    /// It is encrypted from the start.
    Tls,
    /// It is not.
    None,
}

impl MailSecurity {
    const ALL: [(&'static str, MailSecurity); 3] =
        [("starttls", MailSecurity::Starttls), ("tls", MailSecurity::Tls), ("none", MailSecurity::None)];
}

/// What an operator can choose. `KEYS` says what each field means.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field's meaning stands in KEYS, once")]
pub struct Config {
    pub listen: SocketAddr,
    pub server_public_url: String,
    pub organisation_name: String,
    pub admin_listen: Option<SocketAddr>,
    pub connections_max: u64,
    pub shutdown_grace: Span,
    pub lane_activations_max: u64,
    pub lane_control_max: u64,
    pub lane_data_max: u64,
    pub log_level: String,
    pub log_format: LogFormat,
    pub master_key_command: String,
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
    pub s3_bucket: String,
    pub s3_prefix: String,
    pub s3_endpoint: String,
    pub s3_region: String,
    pub s3_bucket_in_name: bool,
    pub s3_key_file: String,
    pub s3_ca_file: String,
    pub s3_plain_remote: bool,
    pub snapshot_undo: Span,
    pub scrub_days: Span,
    pub collect_every: Span,
    pub collect_grace: Span,
    pub collect_memory: Bytes,
    pub collect_repack_below: u64,
    pub collect_rate: Bytes,
    pub storage_report_every: Span,
    pub device_hold: Span,
    pub device_undelete: Span,
    /// How long a support bundle is kept, and an order for one that nobody answers.
    pub support_bundle: Span,
    pub device_catch_up: Span,
    pub device_watch: Span,
    pub metrics_remote: bool,
    pub database_url: String,
    pub database_password_file: String,
    pub proxy_trusted: Networks,
    pub proxy_protocol: bool,
    pub activation_source_rate: u64,
    pub mail_server: String,
    pub mail_port: u64,
    pub mail_security: MailSecurity,
    pub mail_plain_remote: bool,
    pub mail_user: String,
    pub mail_password_file: String,
    pub mail_ca_file: String,
    pub mail_from: String,
    pub mail_reply_to: String,
    pub mail_per_minute: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8471)),
            server_public_url: String::new(),
            organisation_name: String::new(),
            admin_listen: None,
            connections_max: 12_000,
            shutdown_grace: Span::seconds(10),
            lane_activations_max: 64,
            lane_control_max: 128,
            lane_data_max: 512,
            log_level: "info".to_owned(),
            log_format: LogFormat::Text,
            master_key_command: String::new(),
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
            s3_bucket: String::new(),
            s3_prefix: String::new(),
            s3_endpoint: String::new(),
            s3_region: "us-east-1".to_owned(),
            s3_bucket_in_name: false,
            s3_key_file: String::new(),
            s3_ca_file: String::new(),
            s3_plain_remote: false,
            snapshot_undo: Span::days(7),
            scrub_days: Span::days(30),
            collect_every: Span::hours(24),
            collect_grace: Span::hours(24),
            collect_memory: Bytes::mib(128),
            collect_repack_below: 50,
            collect_rate: Bytes::mib(0),
            storage_report_every: Span::ZERO,
            device_hold: Span::days(14),
            device_undelete: Span::days(7),
            support_bundle: Span::days(14),
            device_catch_up: Span::minutes(60),
            device_watch: Span::days(7),
            metrics_remote: false,
            database_url: String::new(),
            database_password_file: String::new(),
            proxy_trusted: Networks::default(),
            proxy_protocol: false,
            activation_source_rate: 6_000,
            mail_server: String::new(),
            mail_port: 587,
            mail_security: MailSecurity::Starttls,
            mail_plain_remote: false,
            mail_user: String::new(),
            mail_password_file: String::new(),
            mail_ca_file: String::new(),
            mail_from: String::new(),
            mail_reply_to: String::new(),
            mail_per_minute: 120,
        }
    }
}

impl Config {
    /// Reads `holdfast.toml` of the data directory; an absent file means every default.
    ///
    /// # Errors
    /// A file that cannot be read, is over 1 MiB, is not TOML, or has a key that is not in `KEYS` (named in the
    /// sentence) or a value that the key does not take.
    pub fn load(data_dir: &Path) -> Result<Self, AppError> {
        match Self::load_file(&data_dir.join(CONFIG_FILE)) {
            Err(AppError::File { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            loaded => loaded,
        }
    }

    /// Reads a configuration from this file, which must be there.
    ///
    /// # Errors
    /// As `load`.
    pub fn load_file(path: &Path) -> Result<Self, AppError> {
        let file_error = |cause| AppError::File { during: "reading", path: path.to_owned(), cause };
        let parsed = match std::fs::metadata(path).map_err(file_error)?.len() > CONFIG_BYTES_MAX {
            true => Err(wrong("the file is larger than 1 MiB")),
            false => Self::parse(&std::fs::read_to_string(path).map_err(file_error)?),
        };
        // What is wrong is said with the file's own name.
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        parsed.map_err(|error| match error.to_string().strip_prefix(CONFIG_FILE) {
            Some(rest) if name != CONFIG_FILE => AppError::invalid("config_invalid", format!("{name}{rest}")),
            Some(_) | None => error,
        })
    }

    /// The configuration that this text asks for.
    ///
    /// # Errors
    /// As `load`.
    pub fn parse(text: &str) -> Result<Self, AppError> {
        let table: toml::Table = text.parse().map_err(|cause: toml::de::Error| wrong(cause.message()))?;
        let mut config = Self::default();
        set_all(&mut config, "", &table)?;
        config.mail_inspect()?;
        if !config.s3_bucket.is_empty() && config.s3_key_file.is_empty() {
            return Err(wrong("`s3.key_file` must be set when `s3.bucket` is"));
        }
        Ok(config)
    }

    /// The address with which links begin, without a slash at its end; `None` when the operator has not said it. Never
    /// fails.
    pub fn public_url(&self) -> Option<&str> {
        let url = self.server_public_url.trim_end_matches('/');
        (!url.is_empty()).then_some(url)
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
            Field::Security(of) => {
                let chosen = *of(&mut copy);
                let word = MailSecurity::ALL.iter().find(|(_, security)| *security == chosen);
                format!("\"{}\"", word.map_or("", |(word, _)| word))
            }
            Field::Text(of, ..) => toml::Value::String(of(&mut copy).clone()).to_string(),
            Field::Switch(of) => of(&mut copy).to_string(),
            Field::DatabaseUrl(of) | Field::File(of) => toml::Value::String(of(&mut copy).clone()).to_string(),
            Field::Number(of, ..) => of(&mut copy).to_string(),
            Field::Span(of, unit, ..) => (of(&mut copy).as_ms() / unit).to_string(),
            Field::Mib(of, ..) => (of(&mut copy).0 >> 20).to_string(),
            Field::Networks(of) => {
                let quoted: Vec<String> = of(&mut copy).texts().iter().map(|text| format!("\"{text}\"")).collect();
                format!("[{}]", quoted.join(", "))
            }
        }
    }

    /// Fails when the keys for mail do not go together.
    fn mail_inspect(&self) -> Result<(), AppError> {
        let is_here = self.mail_server.eq_ignore_ascii_case("localhost")
            || self.mail_server.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let plain = self.mail_security == MailSecurity::None && !is_here && !self.mail_plain_remote;
        let said = match () {
            () if self.mail_server.is_empty() => return Ok(()),
            () if self.mail_from.is_empty() => "`mail.from` must be set when `mail.server` is",
            () if !self.mail_user.is_empty() && self.mail_password_file.is_empty() => {
                "`mail.password_file` must be set when `mail.user` is"
            }
            () if plain => "`mail.security` is none for another machine, which only `mail.plain_remote` allows",
            () => return Ok(()),
        };
        Err(wrong(said))
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
        Field::Security(of) => {
            let word = value.as_str().unwrap_or_default();
            let known = MailSecurity::ALL.iter().find(|(known, _)| *known == word);
            *of(config) = known.ok_or_else(|| refuse("\"starttls\", \"tls\" or \"none\""))?.1;
        }
        Field::Text(of, fits, wanted) => {
            let text = value.as_str().filter(|text| text.is_empty() || (text.len() <= TEXT_BYTES_MAX && fits(text)));
            *of(config) = text.ok_or_else(|| refuse(wanted))?.to_owned();
        }
        Field::Switch(of) => *of(config) = value.as_bool().ok_or_else(|| refuse("true or false"))?,
        Field::Number(of, min, max) => *of(config) = number(min, max)?,
        Field::Span(of, unit, min, max) => *of(config) = Span::ms(number(min, max)? * unit),
        Field::Mib(of, min, max) => *of(config) = Bytes::mib(number(min, max)?),
        Field::Networks(of) => {
            let texts: Option<Vec<&str>> =
                value.as_array().and_then(|list| list.iter().map(toml::Value::as_str).collect());
            let networks = texts.and_then(|texts| Networks::parse(texts).ok());
            *of(config) = networks.ok_or_else(|| refuse("a list of networks, like [\"10.0.0.0/8\"]"))?;
        }
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
        for key in KEYS {
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
            ("server.public_url = \"http://b.example.org\"", "`server.public_url` must be https:// and a name"),
            ("listen = 8471", "`listen` must be an address"),
            ("log.level = \"loud\"", "`log.level`"),
            ("log.format = 1", "`log.format`"),
            ("proxy.trusted = [\"10.0.0.0/33\"]", "`proxy.trusted` must be a list of networks"),
            ("metrics.remote = \"no\"", "`metrics.remote` must be true or false"),
            ("database.url = \"mysql://h/d\"", "`database.url` must be empty or of the form postgres://"),
            ("database.url = \"postgres://u:p@h/d\"", "the password belongs in the file"),
            ("database.url = \"postgres://h/d?user=u&password=p\"", "the password belongs in the file"),
            ("= 1", "holdfast.toml"),
            ("mail.server = \"m.example.org\"", "`mail.from` must be set"),
            ("mail.server = \"m.example.org:25\"\nmail.from = \"no address\"", "`mail.from` must be an e-mail"),
            ("mail.from = \"a@example.org\\nBcc: b@example.org\"", "`mail.from` must be an e-mail"),
            ("mail.security = \"ssl\"", "`mail.security` must be \"starttls\""),
            ("mail.password_file = \"password\"", "`mail.password_file` must be a path"),
            ("s3.bucket = \"backups\"", "`s3.key_file` must be set"),
            (
                "mail.server = \"m.example.org\"\nmail.from = \"a@example.org\"\nmail.security = \"none\"",
                "only `mail.plain_remote` allows",
            ),
            (
                "mail.server = \"m.example.org\"\nmail.from = \"a@example.org\"\nmail.user = \"a\"",
                "`mail.password_file` must be set",
            ),
        ] {
            assert!(sentence(text).contains(said), "{text}: {}", sentence(text));
        }
    }
}
