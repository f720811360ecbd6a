//! `run`: the server, until it is told to stop.

use super::Desk;
use crate::out::{Answer, Failure};
use crate::run::{serve, signals};
use app::config::{CONFIG_FILE, Config, KEYS, LogFormat};
use app::init::{room_missing, tls_files};
use app::{App, AppError};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::future::Future;
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

/// What `run` takes.
#[derive(Debug, Args)]
pub struct Run {
    /// Address and port to listen on, in place of the configured one; port 0 chooses a free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// How log lines look, in place of the configured way.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<Format>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Run {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let not_started = |error: &dyn std::error::Error| format!("The server did not start: {}.", app::chain(error));
        let app = Arc::new(desk.app().await?);
        log(&app.config, self.log_format);
        let files = tls_files(desk.data()?)?;
        app::recovery::prepare(&app, desk.data()?).await?;
        let (stop, apart) =
            until(&app, signals().map_err(|error| Failure::new("signals_failed", not_started(&error)))?);
        let address = self.listen.unwrap_or(app.config.listen);
        let (end, ended) = oneshot::channel::<()>();
        let serving = serve(Arc::clone(&app), &files, address, stop).await;
        let serving = serving.map_err(|error| Failure::new("listen_failed", not_started(&error)))?;
        let (address, fingerprint) = (serving.address, files.ca_fingerprint);
        for (name, value) in changed(&app.config) {
            tracing::info!("{CONFIG_FILE} says {name} = {value}");
        }
        match room_missing(desk.data()?, &app.config).await {
            Ok(None) => {}
            Ok(Some(missing)) => tracing::warn!(
                "the disk under the store is {missing} short of the reserve (store.reserve_mib): every backup is \
                 refused as store_full until there is room"
            ),
            Err(error) => tracing::warn!("whether there is room for backups is not known: {}", app::chain(&error)),
        }
        tracing::info!("listening on {address}");
        let admin = serving.admin_address;
        let said = admin.map(|admin| format!(" (admin API on {admin})")).unwrap_or_default();
        desk.surroundings.out.answer(&Answer::good(
            format!("listening on {address}{said}, ca sha256 {fingerprint}\n"),
            json!({ "listening": address, "admin_listening": admin, "ca_sha256": fingerprint }),
        ));
        let jobs = tokio::spawn(app::jobs::run(Arc::clone(&app), async move {
            let _ = ended.await;
        }));
        serving.done().await;
        let _ = end.send(());
        if jobs.await.is_err() {
            tracing::error!("the jobs ended by a panic");
        }
        app.db.close().await;
        if let Ok(error) = apart.await {
            return Err(error.into());
        }
        Ok(Answer::good("stopped\n", json!({ "stopped": true })))
    }
}

/// Ends with `stop`, or when database and store are found apart; then the second says why.
fn until(
    app: &Arc<App>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> (impl Future<Output = ()> + Send + 'static, oneshot::Receiver<AppError>) {
    let (say, apart) = oneshot::channel();
    let app = Arc::clone(app);
    let stop = async move {
        tokio::select! {
            () = stop => {}
            () = app::keys::follow(&app) => {}
            error = app::age::watch(&app) => {
                tracing::error!("this server stops: {}", app::chain(&error));
                let _ = say.send(error);
            }
        }
    };
    (stop, apart)
}

/// The keys that are not at their default. None is a secret.
fn changed(config: &Config) -> Vec<(&'static str, String)> {
    let defaults = Config::default();
    let shown = KEYS.iter().map(|key| (key.name, config.shown(key), defaults.shown(key)));
    shown.filter(|(_, value, default)| value != default).map(|(name, value, _)| (name, value)).collect()
}

/// Log lines go to the error output, so that the answer on the standard output stays alone.
fn log(config: &Config, format: Option<Format>) {
    let filter = EnvFilter::new(format!("{},sqlx=warn,hyper=warn,rustls=warn", config.log_level));
    let json = match (format, config.log_format) {
        (Some(Format::Json), _) | (None, LogFormat::Json) => true,
        (Some(Format::Text), _) | (None, LogFormat::Text) => false,
    };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    let subscriber = subscriber.with_ansi(io::stderr().is_terminal());
    // A second subscriber in one process is a test's business.
    let _ = if json { subscriber.json().try_init() } else { subscriber.try_init() };
}
