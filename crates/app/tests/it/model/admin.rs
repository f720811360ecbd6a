//! What admins and the server's jobs do in the meantime: orders, tokens, tickets, rows of the device map, profiles,
//! campaigns, the purge. Refuses a change of a record that none of it explains.

use super::book::{Ticket, Token};
use super::play::{ADMIN, Play};
use app::campaigns::{self, Plan};
use app::device_map::RowText;
use app::devices::{self, DeviceOrder};
use app::{PolicySubject, desk, jobs, policy, tickets, tokens, users};
use base::{Count, DeviceId, Span, UserId};
use control::activation::{Choice, Restore};
use control::campaign::{Reminders, Reset, Scope, Tell};
use control::{Event, Level, Proof, State, UserEvent};

impl Play {
    /// An admin orders something at a record.
    pub async fn order(&mut self) {
        let devices: Vec<DeviceId> = self.book.records.keys().copied().collect();
        if let Some(device) = self.dice.pick(&devices) {
            self.order_to(device).await;
            self.erase().await;
        }
    }

    pub async fn order_to(&mut self, device: DeviceId) {
        let now = self.now();
        let hold = Span::hours(1 + self.dice.below(48) as u64);
        let level = [Level::Rotate, Level::Revoke, Level::Distrust][self.dice.below(3)];
        let (order, event) = match self.dice.below(14) {
            0..2 => (DeviceOrder::Hold { append: Some(hold) }, Event::Hold { append_until: now + hold }),
            2..4 => (DeviceOrder::Deactivate { level }, Event::Deactivate { level }),
            4..7 => (DeviceOrder::Reactivate, Event::Reactivate { proof: Proof::Admin }),
            7..9 => (DeviceOrder::Approve, Event::Approve),
            9 => (DeviceOrder::Suspend, Event::Suspend),
            10..12 => (DeviceOrder::Enable, Event::Enable),
            12 if self.dice.once_in(2) => (DeviceOrder::Decommission, Event::Decommission),
            12 => return self.no(device).await,
            _ if self.dice.once_in(2) => (DeviceOrder::Undelete, Event::Undelete),
            _ => {
                let purge_after = now + self.world.app.config.device_undelete;
                (DeviceOrder::Delete, Event::Delete { purge_after })
            }
        };
        self.order_as(device, order, event).await;
    }

    /// This order, which puts this event to the device.
    pub async fn order_as(&mut self, device: DeviceId, order: DeviceOrder, event: Event) {
        let audited = self.audited().await;
        let ordered = devices::order(&self.world.app, &ADMIN, device, order).await;
        let code = ordered.map(|view| view.state).map_err(|error| error.code());
        self.say(format!("{device} is to be {order:?}: {code:?}"));
        // A no is audited as well, but for a record that nobody has asked for.
        let quiet = code == Err("nobody_waits");
        assert_eq!(self.audited_of(device, audited).await, usize::from(!quiet), "one line for each order");
        self.overtaken(device, &event);
        let mut events = Vec::new();
        if code.is_ok() {
            events.push((Some(device), event));
            // Records that were merged into this one go and come with it.
            let follows = matches!(event, Event::Delete { .. } | Event::Undelete);
            let merged = self.book.merged.iter().filter(|(_, kept)| follows && **kept == device);
            events.extend(merged.map(|(other, _)| (Some(*other), event)));
        }
        self.explain(&events).await;
        if code.is_ok() && matches!(event, Event::Delete { .. }) {
            let gone =
                |other: &DeviceId| matches!(self.book.records[other].state, State::Deleted { .. } | State::Purged);
            let all = self.book.merged.iter().filter(|(_, kept)| **kept == device).all(|(other, _)| gone(other));
            assert!(all, "what was merged into {device} is deleted with it");
        }
        self.settle(&[device]).await;
    }

    /// No to a record that waits.
    async fn no(&mut self, device: DeviceId) {
        let event = Event::Delete { purge_after: self.now() + self.world.app.config.device_undelete };
        let refused = desk::refuse(&self.world.app, &ADMIN, device, "not one of ours").await;
        if refused.is_ok() {
            self.waits_no_longer(device);
        }
        self.say(format!("{device} is refused: {:?}", refused.map(|view| view.state).map_err(|error| error.code())));
        self.explain(&[(Some(device), event)]).await;
        self.settle(&[device]).await;
    }

    /// An admin makes, withdraws or changes something that activations depend on.
    pub async fn make(&mut self) {
        let people: Vec<UserId> = self.book.people.keys().copied().collect();
        let user = self.dice.pick(&people).expect("there are three");
        match self.dice.below(11) {
            0..2 => self.token().await,
            2..5 => self.ticket(user).await,
            5..7 => self.map_row(user).await,
            7 => self.withdraw().await,
            8 => self.lock(user).await,
            _ => self.profile(user).await,
        }
        self.settle(&[]).await;
    }

    async fn token(&mut self) {
        let uses_max = (!self.dice.once_in(3)).then(|| 1 + self.dice.below(3) as u64);
        let expires_at = self.dice.once_in(2).then(|| self.now() + Span::hours(5));
        let network_only = self.dice.once_in(3);
        let wish = tokens::Wish {
            name: format!("installer {}", self.tokens.len()),
            domains: vec!["example.org".to_owned()],
            networks: if network_only { vec!["192.0.2.0/24".to_owned()] } else { Vec::new() },
            uses_max: uses_max.map(Count),
            expires_at,
            ..tokens::Wish::default()
        };
        let made = tokens::make(&self.world.app, &ADMIN, &wish).await.expect("a good wish");
        let token = Token { uses: 0, uses_max, expires_at, revoked: false, network_only };
        self.say(format!("token {}: {wish:?}", made.token.id));
        self.book.tokens.insert(made.token.id, token);
        self.tokens.push((made.token.id, made.text));
    }

    async fn ticket(&mut self, user: UserId) {
        let devices: Vec<DeviceId> =
            self.book.records.iter().filter(|(_, record)| record.owner == user).map(|(id, _)| *id).collect();
        let choice = match (self.dice.below(4), self.dice.pick(&devices)) {
            (0, _) => Choice::AddNew,
            (1, Some(device)) => Choice::Replace(device),
            _ => Choice::Auto,
        };
        let email = self.book.people[&user].email.clone();
        let wish = tickets::Wish { email, choice, restore: Restore::None, span: None, show: false };
        let made = tickets::make(&self.world.app, &ADMIN, &wish).await;
        self.say(format!("a ticket for {user}, {choice:?}: {:?}", made.as_ref().map(|made| made.ticket.id)));
        let Ok(made) = made else { return };
        let ticket = Ticket { user, expires_at: made.ticket.expires_at, revoked: false, used: false };
        self.book.tickets.insert(made.ticket.id, ticket);
        let tickets::TicketWay::Shown { code, .. } = made.way else { panic!("there is no mail server") };
        self.tickets.push((made.ticket.id, code.to_text()));
    }

    async fn map_row(&mut self, user: UserId) {
        let machine = self.dice.below(self.machines.len());
        let devices: Vec<DeviceId> =
            self.book.records.iter().filter(|(_, record)| record.owner == user).map(|(id, _)| *id).collect();
        let replaces = self.dice.pick(&devices).filter(|_| self.dice.once_in(2));
        let row = RowText {
            email: self.book.people[&user].email.clone(),
            device_id: self.machines[machine].about.serial.clone(),
            device_id_type: "serial".to_owned(),
            replace_device: replaces.map(|device| device.to_string()).unwrap_or_default(),
            ..RowText::default()
        };
        self.say(format!("a row of the map: {row:?}"));
        app::device_map::import_rows(&self.world.app, &ADMIN, vec![row]).await.expect("a good row");
    }

    async fn withdraw(&mut self) {
        if let Some((id, _)) = self.dice.pick(&self.tokens).filter(|_| self.dice.once_in(2)) {
            let withdrawn = tokens::revoke(&self.world.app, &ADMIN, id).await.is_ok();
            let token = self.book.tokens.get_mut(&id).expect("it is in the book");
            assert_eq!(withdrawn, !token.revoked, "a token is withdrawn once");
            token.revoked = true;
            self.say(format!("token {id} is withdrawn: {withdrawn}"));
        } else if let Some((id, _)) = self.dice.pick(&self.tickets) {
            let withdrawn = tickets::revoke(&self.world.app, &ADMIN, id).await.is_ok();
            let ticket = self.book.tickets.get_mut(&id).expect("it is in the book");
            ticket.revoked |= withdrawn && !ticket.used;
            self.say(format!("ticket {id} is withdrawn: {withdrawn}"));
        }
    }

    async fn lock(&mut self, user: UserId) {
        let person = self.book.people.get_mut(&user).expect("it is in the book");
        // Who is let in again is so by either of two words: one of them fits.
        let event = match (person.active && self.dice.once_in(2), self.dice.once_in(3)) {
            (true, false) => UserEvent::Lock,
            (true, true) => UserEvent::Preserve,
            (false, false) => UserEvent::Unlock,
            (false, true) => UserEvent::Activate,
        };
        let done = users::change(&self.world.app, &ADMIN, user, event).await.is_ok();
        if done {
            person.active = matches!(event, UserEvent::Unlock | UserEvent::Activate);
        }
        self.say(format!("user {user}: {event:?} {done}"));
    }

    /// What the profile of a user, or an admin at one device, says.
    async fn profile(&mut self, user: UserId) {
        let devices: Vec<DeviceId> = self.book.records.keys().copied().collect();
        let (key, value) = match self.dice.below(6) {
            0..2 => ("on_reactivation", ["keep", "reset"][self.dice.below(2)]),
            2 => ("first_device_only", ["yes", "no", "no"][self.dice.below(3)]),
            3 => ("device_limit", ["1", "3", "none", "none"][self.dice.below(4)]),
            4 => ("token_waits", ["yes", "no"][self.dice.below(2)]),
            _ => ("cpu_priority", ["high", "normal"][self.dice.below(2)]),
        };
        let pair = [(key.to_owned(), Some(value.to_owned()))];
        let device = self.dice.pick(&devices).filter(|_| key == "cpu_priority");
        let subject = device.map_or(PolicySubject::User(user), PolicySubject::Device);
        let set = policy::set(&self.world.app, &ADMIN, subject, &pair).await;
        self.say(format!("{subject:?}: {key} {value}: {:?}", set.as_ref().map(|_| ()).map_err(|error| error.code())));
        if set.is_err() {
            return;
        }
        match (key, device) {
            ("on_reactivation", _) => {
                self.book.people.get_mut(&user).expect("it is in the book").keep = Some(value == "keep");
            }
            (_, Some(device)) => {
                let record = self.book.records.get_mut(&device).expect("it is in the book");
                record.set.insert(key.to_owned(), value.to_owned());
            }
            _ => {}
        }
    }

    /// A campaign begins, goes on, or ends.
    pub async fn campaign(&mut self) {
        if self.campaigns.is_empty() || self.dice.once_in(5) {
            let level = [Reset::Hold, Reset::Rotate, Reset::Revoke][self.dice.below(3)];
            let append_until = self.now() + Span::hours(40);
            let plan = Plan {
                name: format!("campaign {}", self.campaigns.len()),
                reason: "a laptop was stolen".to_owned(),
                level,
                scope: Scope { everyone: true, ..Scope::default() },
                deadline: None,
                append_until: Some(append_until),
                wave_size: 3,
                wave_span: Span::minutes(1),
                watch_span: None,
                template: String::new(),
                tell: Tell::All,
                reminders: Reminders::USUAL,
            };
            let made = campaigns::make(&self.world.app, &ADMIN, plan).await.expect("a good plan");
            campaigns::start(&self.world.app, &ADMIN, made.id, None).await.expect("a draft starts");
            self.campaigns.push((made.id, level.event(append_until)));
            self.say(format!("a campaign: {level:?}"));
        } else if self.dice.once_in(4) {
            let (id, _) = self.dice.pick(&self.campaigns).expect("there is one");
            let done = match self.dice.below(4) {
                0 => campaigns::pause(&self.world.app, &ADMIN, id).await.is_ok(),
                1..3 => campaigns::resume(&self.world.app, &ADMIN, id).await.is_ok(),
                _ => campaigns::abort(&self.world.app, &ADMIN, id, "a mistake").await.is_ok(),
            };
            self.say(format!("campaign {id} is paused, resumed or aborted: {done}"));
        }
        for _ in 0..2 {
            campaigns::tick(&self.world.app).await.expect("the job works");
            let events: Vec<_> = self.campaigns.iter().map(|(_, event)| (None, *event)).collect();
            let touched = self.explain(&events).await;
            self.say(format!("campaigns tick: {touched:?}"));
            self.settle(&touched).await;
            self.clock.forward(Span::seconds(30));
        }
    }

    /// Every job once: what was deleted long ago is purged.
    pub async fn jobs(&mut self) {
        jobs::tick_all(&self.world.app).await.expect("the jobs work");
        let mut events: Vec<_> = self.campaigns.iter().map(|(_, event)| (None, *event)).collect();
        events.push((None, Event::Purge));
        let touched = self.explain(&events).await;
        self.say(format!("the jobs tick: {touched:?}"));
        for device in &touched {
            if self.book.records[device].state == State::Purged {
                self.waits_no_longer(*device);
            }
        }
        self.settle_merged().await;
        self.settle(&touched).await;
    }
}
