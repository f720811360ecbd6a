//! The play: a world, the book beside it, and the next random step. Refuses to go on when the two disagree.

use super::super::policy::draft;
use super::super::world::{CACHE_SPAN, World};
use super::asks::{Asked, Machine};
use super::book::{Book, Person};
use super::dice::{Dice, JumpyClock};
use app::password::Password;
use app::{AdminActor, App, Config, PolicySubject, SecretText};
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
    /// How often: bound, refused, read, appended, come back, come back with folders that the user had taken out, shown
    /// what would be, erased.
    pub granted: [u32; 8],
    /// How often an admin has found one machine, two machines, or decided about two records, and taken back.
    pub at_desk: [u32; 4],
    /// The other server of the two that share the database; none where there is one alone.
    other: Option<Arc<App>>,
}

impl Play {
    /// Plays `steps` steps with this seed: an even one with two servers. Gives how often what was played, as `granted`
    /// and `at_desk` count.
    pub async fn run(seed: u64, steps: u32) -> ([u32; 8], [u32; 4]) {
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
        (play.granted, play.at_desk)
    }

    async fn new(seed: u64) -> Self {
        let start = Timestamp::from_ms(1_750_000_000_000);
        let clock = Arc::new(JumpyClock::at(start));
        let config = Config::parse("password.memory_mib = 1\npassword.passes = 1").expect("good text");
        let world = World::with(clock.clone(), Arc::new(ManualClock::at(start)), config).await;
        let (tokens, tickets, folders) = (Vec::new(), Vec::new(), Vec::new());
        let (machines, asked, campaigns, log) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (dice, book, granted, at_desk) = (Dice::new(seed), Book::default(), [0; 8], [0; 4]);
        let other = if seed.is_multiple_of(2) { Some(world.beside().await) } else { None };
        let mut play = Self {
            world,
            clock,
            dice,
            book,
            machines,
            asked,
            tokens,
            tickets,
            folders,
            campaigns,
            log,
            granted,
            at_desk,
            other,
        };
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
        self.change_server();
        match self.dice.below(100) {
            0..20 => self.ask().await,
            20..30 => self.ask_again().await,
            30..43 => self.open_any().await,
            43..55 => self.look().await,
            55..62 => self.back_up().await,
            62..71 => self.order().await,
            71..79 => self.choose().await,
            79..84 => self.make().await,
            84..87 => self.campaign().await,
            87..94 => self.desk().await,
            94..95 => self.jobs().await,
            95..98 => self.clone_machine(),
            _ => self.jump(),
        }
    }

    /// The next request goes to the other server, sometimes. What that remembers of a device is over by then.
    pub fn change_server(&mut self) {
        if self.dice.once_in(3)
            && let Some(other) = &mut self.other
        {
            std::mem::swap(&mut self.world.app, other);
            self.clock.forward(CACHE_SPAN);
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
        // What a server remembers is as old as its own clock says: of two, none is set back.
        if self.other.is_none() && self.dice.once_in(3) {
            self.clock.back(Span::seconds(1 + self.dice.below(300) as u64));
        } else {
            let spans = [Span::seconds(3), Span::minutes(2), Span::hours(2), Span::hours(30), Span::days(4)];
            self.clock.forward(spans[self.dice.below(spans.len())]);
        }
        self.say(format!("it is {}", self.now().as_ms()));
    }
}
