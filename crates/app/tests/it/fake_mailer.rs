//! A mail server that is none, for tests of what is sent, and when.

use super::world::World;
use app::mail::{Answer, Letter, Mailer};
use async_trait::async_trait;
use control::mail::MailStatus;
use db::Db;
use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex};

/// A mail server that gives the answers it was told, then takes everything.
pub struct Fake {
    db: Db,
    answers: Mutex<VecDeque<Answer>>,
    heard: Mutex<Vec<Letter>>,
    rests: Mutex<u32>,
    hangs: Mutex<bool>,
}

impl Fake {
    pub fn heard(&self) -> Vec<Letter> {
        self.heard.lock().expect("no test panics with it").clone()
    }

    pub fn answer(&self, answer: Answer) {
        self.answers.lock().expect("no test panics with it").push_back(answer);
    }

    /// How often it was said that no further letter follows.
    pub fn rests(&self) -> u32 {
        *self.rests.lock().expect("no test panics with it")
    }

    pub fn hang(&self, hangs: bool) {
        *self.hangs.lock().expect("no test panics with it") = hangs;
    }
}

#[async_trait]
impl Mailer for Fake {
    async fn send(&self, letter: &Letter) -> Answer {
        let mut tx = self.db.read().await.expect("the database answers");
        let stored = db::mail_get(&mut tx, letter.id).await.expect("the database answers");
        // A test message is not in the outbox.
        if let Some(stored) = stored {
            assert_eq!(stored.status, MailStatus::Sending, "stored before the mail server hears of it");
        }
        drop(tx);
        self.heard.lock().expect("no test panics with it").push(letter.clone());
        let hangs = *self.hangs.lock().expect("no test panics with it");
        if hangs {
            pending::<()>().await;
        }
        self.answers.lock().expect("no test panics with it").pop_front().unwrap_or_else(Answer::accepted)
    }

    async fn rest(&self) {
        *self.rests.lock().expect("no test panics with it") += 1;
    }
}

/// A world that sends its mail there.
pub async fn world() -> (World, Arc<Fake>) {
    let mut world = World::new().await;
    let fake = Arc::new(Fake {
        db: world.app.db.clone(),
        answers: Mutex::default(),
        heard: Mutex::default(),
        rests: Mutex::default(),
        hangs: Mutex::default(),
    });
    Arc::get_mut(&mut world.app).expect("nobody else has it").mailer = Some(fake.clone());
    (world, fake)
}
