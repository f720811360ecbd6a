//! The store that the configuration names: a folder of the data directory, or a bucket of an S3 server.
//! Refuses a key file that others can read, and a key in the configuration.

use crate::keys::private_or_refuse;
use crate::{AppError, Config, init};
use async_trait::async_trait;
use base::{Bytes, Clock, Entropy};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{Addressing, Disk, S3, S3Key, S3Keys, S3Settings, Store, StoreError};
use zeroize::Zeroizing;

/// What only its owner may read.
const FILE_MODE: u32 = 0o600;
/// The longest key file that is read.
const KEY_FILE_BYTES_MAX: u64 = 16 << 10;

/// Opens the store.
///
/// # Errors
/// `keys_exposed`; a file that cannot be read; a store that is not there, is another one's or does not answer.
pub(crate) async fn open(
    data_dir: &Path,
    config: &Config,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Arc<dyn Store>, AppError> {
    let during = AppError::store("opening the store");
    let Some((settings, keys)) = bucket(data_dir, config)? else {
        let disk = Disk::open(data_dir.join(init::STORE_DIR), config.store_reserve).await;
        return Ok(Arc::new(disk.map_err(during)?));
    };
    let opened = S3::open(&settings, keys, Arc::clone(clock), Arc::clone(entropy)).await;
    Ok(Arc::new(opened.map_err(during)?))
}

/// Makes the store: a folder in `work`, or what makes a bucket one.
///
/// # Errors
/// As `open`; a bucket that holds anything else.
pub(crate) async fn create(
    work: &Path,
    data_dir: &Path,
    config: &Config,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<(), AppError> {
    let during = || AppError::store("making the store");
    let Some((settings, keys)) = bucket(data_dir, config)? else {
        return Disk::create(work.join(init::STORE_DIR), Bytes(0)).await.map(|_| ()).map_err(during());
    };
    let made = S3::create(&settings, Arc::clone(&keys), Arc::clone(clock), Arc::clone(entropy)).await;
    let Err(error @ StoreError::StoreExists { .. }) = made else { return made.map(|_| ()).map_err(during()) };
    // A former `init` may have been interrupted after this step: a store without an object is nobody's.
    let found = S3::open(&settings, keys, Arc::clone(clock), Arc::clone(entropy)).await.map_err(during())?;
    let is_empty = found.list("", None, 1).await.map_err(during())?.is_empty();
    if is_empty { Ok(()) } else { Err(during()(error)) }
}

/// Opens the store that is there, or makes one in the data directory or the bucket.
///
/// # Errors
/// As `open`; a bucket that holds what is no store.
pub(crate) async fn open_or_create(
    data_dir: &Path,
    config: &Config,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Arc<dyn Store>, AppError> {
    match open(data_dir, config, clock, entropy).await {
        Err(AppError::Store { cause: StoreError::NoStore { .. }, .. }) => {}
        opened => return opened,
    }
    create(data_dir, data_dir, config, clock, entropy).await?;
    open(data_dir, config, clock, entropy).await
}

/// Whether two configurations, of these data directories, name the same store. Never fails.
pub(crate) fn is_same(one: (&Path, &Config), other: (&Path, &Config)) -> bool {
    let bucket = |config: &Config| {
        let prefix = config.s3_prefix.trim_matches('/').to_owned();
        (config.s3_bucket.clone(), address(config).trim_end_matches('/').to_owned(), prefix)
    };
    match (one.1.s3_bucket.is_empty(), other.1.s3_bucket.is_empty()) {
        (true, true) => one.0 == other.0,
        (false, false) => bucket(one.1) == bucket(other.1),
        _ => false,
    }
}

/// Where the objects are, for a person. Never fails.
pub(crate) fn place(data_dir: &Path, config: &Config) -> String {
    if config.s3_bucket.is_empty() {
        let folder = data_dir.join(init::STORE_DIR);
        return format!("the folder {}", std::path::absolute(&folder).unwrap_or(folder).display());
    }
    let below = if config.s3_prefix.is_empty() { String::new() } else { format!(", below {}", config.s3_prefix) };
    format!("the bucket {} at {}{below}", config.s3_bucket, address(config))
}

/// Where the S3 server is: its address, or Amazon's region.
fn address(config: &Config) -> &str {
    if config.s3_endpoint.is_empty() { &config.s3_region } else { &config.s3_endpoint }
}

/// Where a bucket is, and what signs its requests.
type Bucket = (S3Settings, Arc<dyn S3Keys>);

/// The bucket of the configuration; `None` for a folder.
fn bucket(data_dir: &Path, config: &Config) -> Result<Option<Bucket>, AppError> {
    if config.s3_bucket.is_empty() {
        return Ok(None);
    }
    let authority_pem = match config.s3_ca_file.as_str() {
        "" => None,
        file => Some(read(&data_dir.join(file))?.as_bytes().to_vec()),
    };
    let settings = S3Settings {
        endpoint: config.s3_endpoint.clone(),
        region: config.s3_region.clone(),
        prefix: config.s3_prefix.clone(),
        addressing: if config.s3_bucket_in_name { Addressing::Name } else { Addressing::Path },
        authority_pem,
        plain_http_anywhere: config.s3_plain_remote,
        ..S3Settings::new(config.s3_bucket.clone())
    };
    let file = KeyFile { path: data_dir.join(&config.s3_key_file) };
    // What is wrong with the file is said at once, and not at the first request.
    private_or_refuse(&file.path, FILE_MODE)?;
    file.read().map_err(|cause| AppError::File { during: "reading", path: file.path.clone(), cause })?;
    Ok(Some((settings, Arc::new(file))))
}

/// A file with an access key: its id, its secret and, if need be, what comes with a lent one, a line each. Read anew
/// whenever a key is asked for, so that one that was rotated counts without a restart.
#[derive(Debug)]
struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    fn read(&self) -> io::Result<S3Key> {
        let wrong = || {
            let said = "it must have the id of an access key, its secret, and maybe a session token, a line each";
            io::Error::new(io::ErrorKind::InvalidData, said)
        };
        if std::fs::metadata(&self.path)?.len() > KEY_FILE_BYTES_MAX {
            return Err(wrong());
        }
        let text = Zeroizing::new(std::fs::read_to_string(&self.path)?);
        let mut lines = text.lines().map(str::trim);
        let mut line = || lines.next().filter(|line| !line.is_empty());
        let (id, secret) = (line().ok_or_else(wrong)?.to_owned(), line().ok_or_else(wrong)?.to_owned());
        Ok(S3Key { id, secret: Zeroizing::new(secret), token: line().map(|token| Zeroizing::new(token.to_owned())) })
    }
}

#[async_trait]
impl S3Keys for KeyFile {
    async fn key(&self) -> io::Result<S3Key> {
        self.read()
    }
}

fn read(path: &Path) -> Result<String, AppError> {
    let file_error = |cause| AppError::File { during: "reading", path: path.to_owned(), cause };
    std::fs::read_to_string(path).map_err(file_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_file_has_two_lines_or_three_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("s3.key");
        let config = Config::parse("s3.bucket = \"backups\"\ns3.key_file = \"s3.key\"").expect("good text");
        let put = |text: &str, mode: u32| {
            std::fs::write(&path, text).expect("own file");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("own file");
            bucket(dir.path(), &config).map(|found| found.is_some())
        };
        assert!(put("id\nsecret\n", 0o600).expect("good"));
        let key = KeyFile { path: path.clone() }.read().expect("good");
        assert_eq!((key.id.as_str(), key.secret.as_str(), key.token.is_none()), ("id", "secret", true));
        assert!(put("id\r\nsecret\r\ntoken\r\n", 0o400).expect("good"));
        assert_eq!(put("id\nsecret\n", 0o644).expect_err("others can read it").code(), "keys_exposed");
        for wrong in ["", "id\n", "id\n\n"] {
            let error = put(wrong, 0o600).expect_err("no key");
            assert!(crate::chain(&error).contains("a line each"), "{}", crate::chain(&error));
        }
        assert!(bucket(dir.path(), &Config::default()).expect("a folder").is_none());
    }
}
