//! A server in this process with a few users, and a plan for a fleet that reaches it.

use app::init::{Init, init, tls_files};
use app::password::Password;
use app::{AdminActor, App, devices, users};
use base::{Clock, DeviceId, Entropy, OsEntropy, Span, SystemClock};
use control::Event;
use sim::fleet::{self, Device, Figures, Plan, Step};
use std::net::SocketAddr;
use std::sync::Arc;
use tempfile::TempDir;

/// Every user's password.
pub const PASSWORD: &str = "correct horse battery";
/// Users who share the devices.
pub const USERS: u32 = 8;

/// A server and its directory.
pub struct World {
    pub app: Arc<App>,
    address: SocketAddr,
    authorities: String,
    _dir: TempDir,
}

impl World {
    /// A fresh server with its users, and these lines in its configuration.
    pub async fn start(config: &str) -> World {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let data = dir.path().join("data");
        let password = Password::new("the admin's password".to_owned());
        let asked = Init {
            data_dir: &data,
            admin_email: "admin@example.test",
            admin_password: &password,
            names: &[],
            master_key: None,
        };
        let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(OsEntropy));
        init(&asked, &clock, &entropy).await.expect("an empty directory");
        let cheap = format!("[password]\nmemory_mib = 1\npasses = 1\n{config}\n");
        std::fs::write(data.join("holdfast.toml"), cheap).expect("own file");
        let app = App::open(&data, Arc::new(SystemClock), Arc::new(OsEntropy)).await.expect("what init has made");
        let app = Arc::new(app);
        let password = Password::new(PASSWORD.to_owned());
        for number in 0..USERS {
            let email = format!("user{number}@example.test");
            users::add(&app, &AdminActor::Command, &email, Some(&password)).await.expect("a new user");
        }
        let files = tls_files(&data).expect("what init has made");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let serving = server::serve(app.clone(), &files, any, std::future::pending()).await.expect("a free port");
        let authorities = std::fs::read_to_string(data.join("ca.pem")).expect("what init has made");
        World { app, address: serving.address, authorities, _dir: dir }
    }

    /// A plan with these steps, by password.
    pub fn plan(&self, steps: &[Step]) -> Plan {
        Plan {
            server: format!("https://{}", self.address),
            authorities: self.authorities.clone(),
            steps: steps.to_vec(),
            email: "user{}@example.test".to_owned(),
            users: USERS,
            user_from: 0,
            token: None,
            password: Some(PASSWORD.to_owned()),
            rate: None,
            connections: 4,
            reuse: false,
            stay: Span::ZERO,
            look_every: Span::seconds(60),
            patience: Span::seconds(20),
            seed: 7,
        }
    }

    /// Lets these devices do the plan; every one must come through.
    pub async fn run(&self, plan: Plan, devices: Vec<Device>) -> (Figures, Vec<Device>) {
        let (figures, devices) = fleet::run(plan, devices, Arc::new(SystemClock), || ()).await.expect("a good plan");
        assert_eq!(figures.stopped_count(), 0, "{}", figures.text());
        (figures, devices)
    }

    /// Puts an event to every device that has a record.
    pub async fn admin(&self, fleet: &[Device], event: &Event) {
        for device in records(fleet) {
            devices::change(&self.app, &AdminActor::Command, device, *event).await.expect("granted");
        }
    }
}

/// The records of a fleet.
pub fn records(fleet: &[Device]) -> Vec<DeviceId> {
    fleet.iter().filter_map(|device| device.record.map(|record| record.0)).collect()
}
