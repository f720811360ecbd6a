//! A computer that asks to be activated, without the wire: what it says of itself, its keys, and its requests.

use super::world::{Device, World};
use app::activation::{Activated, Activation, Answer, Claim, OldKey, activate};
use app::page::PageAsk;
use app::password::Password;
use app::tickets::{Made, TicketWay};
use app::{AdminActor, AppError, DeviceAbout, DeviceActor, SecretText};
use base::{DeviceId, Entropy as _, UserId};
use control::UserState;
use control::activation::{Choice, Preview, Restore};
use db::DeviceRow;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use std::net::IpAddr;

pub const ADMIN: AdminActor = AdminActor::Command;
/// Where requests come from when a test does not say.
pub const SOURCE: &str = "192.0.2.1";

/// A computer.
pub struct Machine {
    pub about: DeviceAbout,
    key: Ed25519KeyPair,
    seed: [u8; 32],
}

/// A request on its way.
pub struct Asking<'a> {
    world: &'a World,
    pub activation: Activation,
}

/// The code of a ticket that was shown, as a person types it.
pub fn ticket_code(made: &Made) -> String {
    let TicketWay::Shown { code, .. } = &made.way else { panic!("there is no mail server") };
    code.to_text()
}

impl Machine {
    /// With a name and a serial number of its own.
    pub fn new(world: &World, name: &str) -> Self {
        let text = str::to_owned;
        let about = DeviceAbout {
            host_name: text(name),
            serial: format!("SN-{name}"),
            hardware_uuid: format!("4c4c4544-0051-3610-8052-{name:0>12}"),
            os_user: text("root"),
            os: text("linux"),
            arch: text("x86_64"),
            agent: text("0.0.0"),
        };
        let (seed, key) = fresh(world);
        Self { about, key, seed }
    }

    /// The same computer with another key.
    pub fn again(&self, world: &World) -> Self {
        let (seed, key) = fresh(world);
        Self { about: self.about.clone(), key, seed }
    }

    /// Whose account is at work.
    pub fn of(mut self, os_user: &str) -> Self {
        os_user.clone_into(&mut self.about.os_user);
        self
    }

    /// Opens a session as this record, with this counter; gives the next one.
    pub async fn open(
        &self,
        world: &World,
        device: DeviceId,
        counter: Option<[u8; 56]>,
    ) -> Result<[u8; 56], &'static str> {
        // A challenge that was given out in the very moment of a binding shows nothing.
        world.clock.advance(base::Span::ms(1));
        let challenge = app::session::challenge(&world.app, device).bytes;
        let signature = signature(&self.key, &challenge);
        let opening = app::session::Opening {
            device,
            challenge: &challenge,
            signed: &challenge,
            signature: &signature,
            counter: counter.as_ref(),
            source: SOURCE,
        };
        app::session::open(&world.app, &opening).await.map(|session| session.counter).map_err(|error| error.code())
    }

    /// This computer as the record that it was activated as, in a session.
    pub async fn device(&self, world: &World, device: DeviceId) -> Device {
        let DeviceRow { user, epoch, state, .. } = world.record(device).await;
        let (user_state, repository) = (UserState::Active, world.repository);
        let key = Ed25519KeyPair::from_seed_unchecked(&self.seed).expect("32 bytes are a seed");
        let source = Some(SOURCE.parse().expect("an address"));
        Device::new(DeviceActor { device, user, user_state, epoch, state, repository, source }, key)
    }

    pub fn public(&self) -> [u8; 32] {
        self.key.public_key().as_ref().try_into().expect("32 bytes")
    }

    /// A request with this proof.
    pub fn ask<'a>(&self, world: &'a World, email: &str, proof: Claim) -> Asking<'a> {
        let mut request = [0; 16];
        world.entropy.fill(&mut request);
        let activation = Activation {
            request,
            email: email.to_owned(),
            proof,
            old_key: None,
            device_key: self.public(),
            signature: [0; 64],
            signed: Vec::new(),
            about: self.about.clone(),
            choice: Choice::Auto,
            can_ask: false,
            preview: Preview::None,
            restore: None,
            source: SOURCE.parse().expect("an address"),
        };
        let mut asking = Asking { world, activation };
        asking.sign(self);
        asking
    }

    pub fn by_password<'a>(&self, world: &'a World, email: &str, password: &str) -> Asking<'a> {
        self.ask(world, email, Claim::Password(Password::new(password.to_owned())))
    }

    pub fn by_ticket<'a>(&self, world: &'a World, code: &str) -> Asking<'a> {
        self.ask(world, "", Claim::Ticket(Password::new(code.to_owned())))
    }

    pub fn by_token<'a>(&self, world: &'a World, text: &SecretText) -> Asking<'a> {
        self.ask(world, "", Claim::Token(text.clone()))
    }
}

impl Asking<'_> {
    fn sign(&mut self, machine: &Machine) {
        let asked = &self.activation;
        self.activation.signed = [
            &asked.request[..],
            asked.email.as_bytes(),
            format!("{:?} {} {:?} {:?}", asked.choice, asked.can_ask, asked.preview, asked.restore).as_bytes(),
        ]
        .concat();
        self.activation.signature = signature(&machine.key, &self.activation.signed);
    }

    pub fn choice(mut self, machine: &Machine, choice: Choice) -> Self {
        self.activation.choice = choice;
        self.sign(machine);
        self
    }

    pub fn restore(mut self, machine: &Machine, restore: Restore) -> Self {
        self.activation.restore = Some(restore);
        self.sign(machine);
        self
    }

    pub fn preview(mut self, machine: &Machine, preview: Preview) -> Self {
        self.activation.preview = preview;
        self.sign(machine);
        self
    }

    pub fn asks(mut self, machine: &Machine) -> Self {
        self.activation.can_ask = true;
        self.sign(machine);
        self
    }

    pub fn from(mut self, source: &str) -> Self {
        self.activation.source = source.parse::<IpAddr>().expect("an address");
        self
    }

    /// Beside the proof, the key that the record was bound to, from a state that has no counter.
    pub fn old_key(self, device: DeviceId, old: &Machine) -> Self {
        self.old_key_with(device, old, None)
    }

    /// The same, from a state with this counter.
    pub fn old_key_with(mut self, device: DeviceId, old: &Machine, counter: Option<[u8; 56]>) -> Self {
        let signature = signature(&old.key, &self.activation.signed);
        self.activation.old_key = Some(OldKey { device, signature, counter });
        self
    }

    pub async fn answer(&self) -> Result<Answer, AppError> {
        activate(&self.world.app, &self.activation).await
    }

    pub async fn bound(&self) -> Activated {
        match self.answer().await.expect("it is granted") {
            Answer::Activated(activated) => *activated,
            answer => panic!("not activated: {answer:?}"),
        }
    }

    pub async fn refused(&self) -> &'static str {
        super::world::code(self.answer().await)
    }
}

impl World {
    /// One more user.
    pub async fn person(&self, email: &str, password: Option<&str>) -> UserId {
        let password = password.map(|text| Password::new(text.to_owned()));
        app::users::add(&self.app, &ADMIN, email, password.as_ref()).await.expect("a new user").id
    }

    /// What the organisation has set for itself.
    /// Sets a policy for the whole organisation.
    pub async fn policy(&self, key: &str, value: &str) {
        let values = [(key.to_owned(), Some(value.to_owned()))];
        let set = app::policy::set(&self.app, &AdminActor::Command, app::PolicySubject::Organisation, &values).await;
        set.expect("a good value");
    }

    /// Everything on one page.
    pub fn all(&self) -> PageAsk {
        PageAsk::first()
    }

    pub async fn record(&self, device: DeviceId) -> DeviceRow {
        let mut tx = self.app.db.read().await.expect("readable");
        db::device_get(&mut tx, device).await.expect("readable").expect("the record is there")
    }

    pub async fn records(&self, user: UserId) -> Vec<DeviceRow> {
        let mut tx = self.app.db.read().await.expect("readable");
        db::device_list_by_user(&mut tx, user).await.expect("readable")
    }
}

fn fresh(world: &World) -> ([u8; 32], Ed25519KeyPair) {
    let mut seed = [0; 32];
    world.entropy.fill(&mut seed);
    (seed, Ed25519KeyPair::from_seed_unchecked(&seed).expect("32 bytes are a seed"))
}

fn signature(key: &Ed25519KeyPair, bytes: &[u8]) -> [u8; 64] {
    key.sign(bytes).as_ref().try_into().expect("64 bytes")
}
