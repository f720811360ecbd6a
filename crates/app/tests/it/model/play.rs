//! The play: a world, the book beside it, and the next random step. Refuses to go on when the two disagree.

use super::super::policy::draft;
use super::super::world::World;
use super::asks::{Asked, Machine};
use super::book::{Book, Person};
use super::dice::{Dice, JumpyClock};
use app::password::Password;
use app::{AdminActor, Config, PolicySubject, SecretText};
use base::{CampaignId, Clock as _, ManualClock, Span, TicketId, Timestamp, TokenId};
use control::Event;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

pub const ADMIN: AdminActor = AdminActor::Command;
pub const PASSWORD: &str = "correct horse battery";
/// Steps that a failure shows.
const SHOWN: usize = 25;

/// One play.
pub struct Play {
    pub world: World,
    pub clock: Arc<JumpyClock>,
    pub dice: Dice,
    pub book: Book,
    pub machines: Vec<Machine>,
    pub asked: Vec<Asked>,
    pub tokens: Vec<(TokenId, SecretText)>,
    pub tickets: Vec<(TicketId, String)>,
    pub folders: Vec<base::FolderId>,
    pub campaigns: Vec<(CampaignId, Event)>,
    pub log: Vec<String>,
    /// How often: bound, refused, read, appended, come back, come back with folders that the user had taken out.
    pub granted: [u32; 6],
}

impl Play {
    /// Plays `steps` steps with this seed. Gives how often what was played, as `granted` counts.
    pub async fn run(seed: u64, steps: u32) -> [u32; 6] {
        let mut play = Self::new(seed).await;
        let played = AssertUnwindSafe(async {
            for _ in 0..steps {
                play.step().await;
            }
            play.end().await;
        });
        let ended = futures::FutureExt::catch_unwind(played).await;
        if let Err(panic) = ended {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
            let steps = play.log.len();
            let last = play.log[steps.saturating_sub(SHOWN)..].join("\n  ");
            panic!("seed {seed}, step {steps}: {said}\nthe last steps:\n  {last}");
        }
        play.granted
    }

    async fn new(seed: u64) -> Self {
        let start = Timestamp::from_ms(1_750_000_000_000);
        let clock = Arc::new(JumpyClock::at(start));
        let config = Config::parse("password.memory_mib = 1\npassword.passes = 1").expect("good text");
        let world = World::with(clock.clone(), Arc::new(ManualClock::at(start)), config).await;
        let (tokens, tickets, folders) = (Vec::new(), Vec::new(), Vec::new());
        let (machines, asked, campaigns, log) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (dice, book, granted) = (Dice::new(seed), Book::default(), [0; 6]);
        let mut play =
            Self { world, clock, dice, book, machines, asked, tokens, tickets, folders, campaigns, log, granted };
        play.furnish().await;
        play
    }

    /// People, machines with names that collide, and folders of the profile.
    async fn furnish(&mut self) {
        let password = Password::new(PASSWORD.to_owned());
        for name in ["anna", "ben", "cleo"] {
            let email = format!("{name}@example.org");
            let added = app::users::add(&self.world.app, &ADMIN, &email, Some(&password)).await.expect("a new user");
            self.book.people.insert(added.id, Person { email, active: true, keep: None });
        }
        let profiles = app::profiles::page(&self.world.app, &ADMIN, None, &app::page::PageAsk::first()).await;
        let of_profile = PolicySubject::Profile(profiles.expect("readable").items[0].id);
        for path in ["${home}/a", "${home}/b"] {
            let added = app::folders::add(&self.world.app, &ADMIN, of_profile, &draft(path, false)).await;
            self.folders.push(added.expect("a good folder").id);
        }
        for n in 0..7 {
            let machine = Machine::new(&mut self.dice, n);
            self.machines.push(machine);
        }
    }

    async fn step(&mut self) {
        match self.dice.below(100) {
            0..22 => self.ask().await,
            22..33 => self.ask_again().await,
            33..47 => self.open_any().await,
            47..61 => self.look().await,
            61..68 => self.back_up().await,
            68..78 => self.order().await,
            78..87 => self.choose().await,
            87..92 => self.make().await,
            92..95 => self.campaign().await,
            95..96 => self.decide().await,
            96..97 => self.jobs().await,
            97..98 => self.clone_machine(),
            _ => self.jump(),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn say(&mut self, text: String) {
        self.log.push(text);
    }

    /// The machine is copied with all that is on its disk.
    fn clone_machine(&mut self) {
        let (from, to) = (self.dice.below(self.machines.len()), self.dice.below(self.machines.len()));
        self.machines[to] = self.machines[from].clone();
        self.say(format!("machine {to} is a copy of {from}"));
    }

    fn jump(&mut self) {
        if self.dice.once_in(3) {
            self.clock.back(Span::seconds(1 + self.dice.below(300) as u64));
        } else {
            let spans = [Span::seconds(3), Span::minutes(2), Span::hours(2), Span::hours(30), Span::days(4)];
            self.clock.forward(spans[self.dice.below(spans.len())]);
        }
        self.say(format!("it is {}", self.now().as_ms()));
    }
}
