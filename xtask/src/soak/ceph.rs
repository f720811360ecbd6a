//! A Ceph cluster of one's own with an S3 gateway: one monitor, one manager, one OSD on a sparse file and one gateway,
//! as processes without services of the system, with all that they write in one folder.
//! Refuses to install anything, to listen anywhere but on the loopback, and to leave a process behind.

use anyhow::{Context, Result, bail, ensure};
use base::{Clock as _, Span, SystemClock, Timestamp};
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The programs, and the packages of Debian and Ubuntu that hold them.
const PROGRAMS: [&str; 8] =
    ["ceph-mon", "ceph-mgr", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "ceph-authtool", "monmaptool"];
const PACKAGES: &str = "ceph-mon ceph-mgr ceph-osd radosgw";
/// Who is there, and what each may do.
const KEYS: [(&str, &[&str]); 5] = [
    ("mon.", &["mon", "allow *"]),
    ("client.admin", &["mon", "allow *", "osd", "allow *", "mgr", "allow *"]),
    ("mgr.a", &["mon", "allow profile mgr", "osd", "allow *"]),
    ("osd.0", &["mon", "allow profile osd", "mgr", "allow profile osd", "osd", "allow *"]),
    ("client.rgw", &["mon", "allow rw", "mgr", "allow rw", "osd", "allow rwx"]),
];
/// How long the gateway may take until it listens; usually it is some seconds.
const START_SPAN: Span = Span::seconds(120);
/// How long one command of Ceph's may take, in its own words.
const COMMAND_SECONDS: &str = "60";
/// Lines of a log that are shown when a process has ended.
const LOG_LINES: usize = 5;

/// A cluster that runs, for as long as it lives.
pub(super) struct Ceph {
    folder: PathBuf,
    /// Where the gateway listens on the loopback.
    port: u16,
    /// In the order in which they were started; ended in the other.
    processes: Vec<Process>,
}

impl Ceph {
    /// Which version is there.
    ///
    /// # Errors
    /// One sentence about what is missing.
    pub(super) fn version() -> Result<String> {
        let answer = |program: &str| Command::new(program).arg("--version").stdin(Stdio::null()).output().ok();
        let missing: Vec<_> = PROGRAMS.into_iter().filter(|program| answer(program).is_none()).collect();
        ensure!(
            missing.is_empty(),
            "a Ceph cluster needs {}, which this machine does not have: install the packages {PACKAGES} \
             (apt-get install --no-install-recommends {PACKAGES})",
            missing.join(", ")
        );
        let said = answer("radosgw").context("running radosgw")?.stdout;
        Ok(String::from_utf8_lossy(&said).split_whitespace().nth(2).unwrap_or("of no version").to_owned())
    }

    /// Starts a cluster with everything in a new folder, which nobody else can read.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        let (monitor_port, port) = free_ports()?;
        let mut ceph = Self { folder: folder.to_owned(), port, processes: Vec::new() };
        let (cluster, osd) = (uuid()?, uuid()?);
        fs::write(ceph.path("ceph.conf"), ceph.settings(&cluster, monitor_port)).context("writing ceph.conf")?;
        for data in ["mon", "mgr", "osd", "rgw"] {
            fs::create_dir(ceph.path(data)).with_context(|| format!("making the folder {data}"))?;
        }
        ceph.make_keys()?;
        let address = format!("[v2:127.0.0.1:{monitor_port}]");
        ceph.done("monmaptool", &["--create", "--fsid", &cluster, "--addv", "a", &address, "monmap"])?;
        ceph.done("ceph-mon", &["-c", "ceph.conf", "-i", "a", "--mkfs", "--monmap", "monmap", "--keyring", "keyring"])?;
        ceph.spawn("ceph-mon", &["-i", "a"])?;
        // ORDER: the OSD has a number before it has data.
        ceph.done("ceph", &["-c", "ceph.conf", "--connect-timeout", COMMAND_SECONDS, "osd", "create", &osd])?;
        ceph.spawn("ceph-mgr", &["-i", "a"])?;
        ceph.done("ceph-osd", &["-c", "ceph.conf", "-i", "0", "--mkfs", "--osd-uuid", &osd])?;
        ceph.spawn("ceph-osd", &["-i", "0"])?;
        ceph.spawn("radosgw", &["-n", "client.rgw"])?;
        ceph.wait_for_gateway(SystemClock.now())?;
        Ok(ceph)
    }

    /// Where the gateway is: a name, below which every bucket's name leads to the loopback too.
    pub(super) fn endpoint(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Makes a user, and writes the id of its access key and the secret into a new file, a line each. Ceph chooses
    /// both, so no command line has them.
    pub(super) fn make_user(&self, name: &str, key_file: &Path) -> Result<()> {
        let arguments = ["-c", "ceph.conf", "user", "create", "--uid", name, "--display-name", name];
        let answer = self.done("radosgw-admin", &arguments)?;
        // What it says has the secret in it, and is not repeated.
        let user: Value = serde_json::from_slice(&answer).ok().context("radosgw-admin does not answer in JSON")?;
        let text = |field: &str| user["keys"][0][field].as_str().with_context(|| format!("the user has no {field}"));
        let mut file = private(key_file)?;
        writeln!(file, "{}\n{}", text("access_key")?, text("secret_key")?).context("writing the access key")
    }

    fn settings(&self, cluster: &str, monitor_port: u16) -> String {
        let (folder, port) = (self.folder.display(), self.port);
        // With `auth_* = none` the gateway never starts, so keys stay on, as they are by default. A change of the
        // monitor waits for others a tenth of a second instead of one.
        format!(
            "[global]
fsid = {cluster}
mon_host = [v2:127.0.0.1:{monitor_port}]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr1 = false
ms_bind_ipv6 = false
auth_allow_insecure_global_id_reclaim = false
paxos_propose_interval = 0.1
keyring = {folder}/keyring
log_file = {folder}/$name.log
run_dir = {folder}
crash_dir = {folder}
admin_socket =
mon_data = {folder}/mon
mgr_data = {folder}/mgr
mgr_initial_modules =
osd_data = {folder}/osd
osd_objectstore = bluestore
bluestore_block_path = {folder}/block
bluestore_block_size = 10737418240
bluestore_block_create = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
rgw_data = {folder}/rgw
rgw_frontends = beast endpoint=127.0.0.1:{port}
rgw_dns_name = localhost
"
        )
    }

    /// One file with the keys of all, which the monitor takes in when it is made.
    fn make_keys(&self) -> Result<()> {
        private(&self.path("keyring"))?;
        for (name, rights) in KEYS {
            let rights = rights.chunks(2).flat_map(|pair| ["--cap", pair[0], pair[1]]);
            let arguments: Vec<_> = ["keyring", "--gen-key", "-n", name].into_iter().chain(rights).collect();
            self.done("ceph-authtool", &arguments)?;
        }
        Ok(())
    }

    fn wait_for_gateway(&mut self, began_at: Timestamp) -> Result<()> {
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            self.processes.iter_mut().try_for_each(Process::runs)?;
            if SystemClock.now().since(began_at) > START_SPAN {
                bail!("the gateway does not listen after {START_SPAN}: {}", last_lines(&self.path("client.rgw.log")));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Runs a command to its end; what it said on its standard output.
    fn done(&self, program: &str, arguments: &[&str]) -> Result<Vec<u8>> {
        let mut command = self.command(program);
        let output = command.args(arguments).output().with_context(|| format!("running {program}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{program} {} failed: {}", arguments.join(" "), said.trim());
        Ok(output.stdout)
    }

    fn spawn(&mut self, program: &'static str, who: &[&str]) -> Result<()> {
        let log = self.path(&format!("{program}.said"));
        let said = File::create(&log).with_context(|| format!("making {}", log.display()))?;
        let mut command = self.command(program);
        command.args(["-f", "-c", "ceph.conf"]).args(who).stdout(said.try_clone()?).stderr(said);
        let child = command.spawn().with_context(|| format!("starting {program}"))?;
        self.processes.push(Process { program, child, log });
        Ok(())
    }

    /// A command that knows of no other cluster.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).stdin(Stdio::null());
        for variable in ["CEPH_ARGS", "CEPH_CONF", "CEPH_KEYRING"] {
            command.env_remove(variable);
        }
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Ceph {
    fn drop(&mut self) {
        while self.processes.pop().is_some() {}
    }
}

/// A process of the cluster. Killed when it is dropped: what it has written is thrown away in any case.
struct Process {
    program: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    fn runs(&mut self) -> Result<()> {
        match self.child.try_wait().with_context(|| format!("looking for {}", self.program))? {
            None => Ok(()),
            Some(status) => bail!("{} has ended, {status}: {}", self.program, last_lines(&self.log)),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two ports of the loopback that nobody listens on now.
fn free_ports() -> Result<(u16, u16)> {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a free port");
    let (one, other) = (listen()?, listen()?);
    Ok((one.local_addr()?.port(), other.local_addr()?.port()))
}

fn uuid() -> Result<String> {
    // Ceph's programs run on Linux only.
    let text = fs::read_to_string("/proc/sys/kernel/random/uuid").context("asking the system for an identifier")?;
    Ok(text.trim().to_owned())
}

/// A new file that only its owner can read.
fn private(path: &Path) -> Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).with_context(|| format!("making {}", path.display()))
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
