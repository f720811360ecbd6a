//! The transaction of an activation: what was proved is looked at again, the record is decided, the key bound, what
//! is used up is used up, the answer kept, the audit row written. Refuses to do half of it.

use super::keep::{self, Binding, Earlier, Kept, binding_keep};
use super::prove::Proved;
use super::standing::{self, Standing};
use super::{Activation, Outcome, Preview};
use crate::audit::{self, Deed};
use crate::effects::{self, Comer};
use crate::{App, AppError, campaigns, conflicts, counters, policy, rates};
use base::{Count, DeviceId, Span, Timestamp};
use control::activation::{self, Basis, Decision, Question, Request, Restore, decide};
use control::attempts::Limit;
use control::policy::PolicyChanges;
use control::token::RATE_SPAN;
use control::{Event, Proof, Refusal, Rights, State, lifecycle};
use db::{ActivationRow, Came, DeviceRow, Former, Tx, UserRow, WaitingRow};

/// When an activation comes again whose row of the device map another one has just used.
const COME_AGAIN: Span = Span::seconds(5);

/// What has come of it.
pub(super) enum Done {
    /// The key is bound; and what the logs say of it.
    Bound(Box<Bound>, String),
    /// What is kept with the request.
    Kept(Kept),
    /// Nothing; a person is asked.
    Asks(Question),
    /// Nothing; a person is shown what would.
    Shows(Preview),
}

/// A key that is bound: the answer that is kept, the record as it is then, and whose it is.
pub(super) struct Bound {
    pub row: ActivationRow,
    pub device: DeviceRow,
    pub user: UserRow,
}

/// Decides, and carries it out.
///
/// # Errors
/// As `activate`, without what `prove` refuses.
pub(super) async fn bind(
    app: &App,
    activation: &Activation,
    digest: &[u8; 32],
    proved: &Proved,
) -> Result<Done, AppError> {
    let now = app.clock.now();
    let during = || AppError::db("binding a device key");
    let mut tx = app.db.write().await.map_err(during())?;
    // RACE: the same request may have been carried out since `activate` looked.
    match keep::earlier(&mut tx, activation, digest).await? {
        Earlier::Kept(kept) => {
            // ORDER: committed before it is answered: the other may share this commit, and not be durable yet.
            tx.commit().await.map_err(during())?;
            return Ok(Done::Kept(kept));
        }
        Earlier::Bound => return Err(Refusal::KeyInUse.into()),
        Earlier::Unknown => {}
    }
    let standing = standing::now(app, &mut tx, now, activation, proved).await?;
    let work = Work { app, now, activation, digest, standing: &standing };
    let decision = match work.decide(&mut tx).await? {
        Ok(decision) => decision,
        // What a token is refused is remembered by `tokens::refused`, and nothing of this stays.
        Err(refusal) if standing.spent.token.is_some() => return Err(refusal.into()),
        Err(refusal) => {
            work.refused(&mut tx, &refusal).await?;
            tx.commit().await.map_err(during())?;
            return Err(refusal.into());
        }
    };
    if let Some(preview) = work.preview(&mut tx, &decision).await? {
        return work.shown(tx, &decision, preview).await;
    }
    let done = match decision {
        Decision::Ask(question) => Done::Asks(question),
        Decision::Wait { device } => {
            work.wait_there(&mut tx, device).await?;
            Done::Kept(Kept::Waits(device))
        }
        Decision::Add { event: None, resembles } => {
            let device = work.wait_anew(&mut tx, resembles).await?;
            Done::Kept(Kept::Waits(device))
        }
        Decision::Add { event: Some(event), resembles } => {
            let way = Way { event, basis: None, resembles };
            work.carry_out(&mut tx, work.record_new(), way).await?
        }
        Decision::Attach { device, basis, event, .. } => {
            let record = db::device_get(&mut tx, device).await.map_err(during())?.ok_or(Refusal::DeviceNotYours)?;
            if let Some(refusal) = work.copied(&mut tx, &record, &event).await? {
                return work.refuse_copy(tx, device, refusal).await;
            }
            let way = Way { event, basis: Some(basis), resembles: None };
            work.carry_out(&mut tx, record, way).await?
        }
    };
    tx.commit().await.map_err(during())?;
    said(app, &done);
    Ok(done)
}

/// ORDER: said after the commit, or a request in between would remember the old state, and the log would tell of what
/// did not stay.
fn said(app: &App, done: &Done) {
    match done {
        Done::Bound(bound, detail) => {
            let Bound { device, user, .. } = bound.as_ref();
            app.states.changed(device.id);
            tracing::info!(device.id = %device.id, user.id = %user.id, "device {} is activated: {detail}", device.id);
        }
        Done::Kept(Kept::Waits(device)) => app.states.changed(*device),
        Done::Kept(Kept::Bound(_)) | Done::Asks(_) | Done::Shows(_) => {}
    }
}

/// What every step of it needs.
struct Work<'a> {
    app: &'a App,
    now: Timestamp,
    activation: &'a Activation,
    digest: &'a [u8; 32],
    standing: &'a Standing,
}

/// How a computer comes to its record.
struct Way {
    event: Event,
    /// `None` for a record that was made for it.
    basis: Option<Basis>,
    /// A record of the user that is of the same machine all the same.
    resembles: Option<DeviceId>,
}

impl Work<'_> {
    async fn decide(&self, tx: &mut Tx) -> Result<Result<Decision, Refusal>, AppError> {
        let user = &self.standing.user;
        let candidates = db::device_candidate_list(tx, user.id).await;
        let candidates = candidates.map_err(AppError::db("listing a user's devices"))?;
        let request = Request {
            user: user.id,
            user_state: user.state,
            proof: self.standing.proof,
            old_key: self.standing.old_key,
            map_row: self.standing.named,
            choice: self.activation.choice,
            can_ask: self.activation.can_ask,
            evidence: self.activation.evidence(),
        };
        let rules = policy::activation_rules(tx, user.id).await?;
        Ok(decide(self.now, &request, &rules, &candidates))
    }

    /// Why this is not bound, where the old key that has signed is on two machines; the desk is told then.
    async fn copied(&self, tx: &mut Tx, record: &DeviceRow, event: &Event) -> Result<Option<Refusal>, AppError> {
        let Work { app, now, activation, .. } = *self;
        let counter = activation.old_key.as_ref().and_then(|old| old.counter.as_ref());
        let proof = event.proof().unwrap_or(self.standing.proof);
        let refusal = counters::is_copy(app, tx, now, record, event, counter, self.deed(proof)).await?;
        if let Some(refusal) = &refusal {
            campaigns::came_refused(tx, now, record.id, refusal.code()).await?;
            self.write(tx, proof, record.id.to_string(), format!("refused: {}", refusal.code())).await?;
        }
        Ok(refusal)
    }

    /// Ends with the refusal of a copy, whose alarm stays.
    async fn refuse_copy(&self, tx: Tx, device: DeviceId, refusal: Refusal) -> Result<Done, AppError> {
        tx.commit().await.map_err(AppError::db("keeping a conflict"))?;
        // ORDER: said after the commit, or a request in between would remember the old state.
        self.app.states.changed(device);
        Err(refusal.into())
    }

    /// Writes down what is refused to whoever has proved who asks.
    async fn refused(&self, tx: &mut Tx, refusal: &Refusal) -> Result<(), AppError> {
        let Work { now, standing, .. } = *self;
        if let Some(device) = standing.old_key {
            campaigns::came_refused(tx, now, device, refusal.code()).await?;
        }
        let (subject, detail) = (standing.user.id.to_string(), format!("refused: {}", refusal.code()));
        self.write(tx, standing.proof, subject, detail).await
    }

    /// What the decision would change, where that is to be shown first.
    async fn preview(&self, tx: &mut Tx, decision: &Decision) -> Result<Option<Preview>, AppError> {
        let asked = self.activation.preview;
        // What is new, or may not be read, has neither a name nor choices to be shown.
        let bare = |outcome| Preview { device: None, name: String::new(), outcome, changes: PolicyChanges::default() };
        let preview = match decision {
            // Nothing is read for who does not want to see it.
            _ if asked == activation::Preview::None => return Ok(None),
            // Nothing is bound, and the desk shows what there is.
            Decision::Ask(_) | Decision::Wait { .. } => return Ok(None),
            Decision::Add { .. } => bare(Outcome::New),
            Decision::Attach { basis, event, rights: Rights::AppendOnly, .. } => bare(Outcome::of(event, Some(*basis))),
            Decision::Attach { device, basis, event, rights } => {
                let record = db::device_get(tx, *device).await.map_err(AppError::db("reading a device"))?;
                let record = record.ok_or(Refusal::DeviceNotYours)?;
                let (_, effects) = lifecycle::step(self.now, &record.state, event)?;
                let changes = effects::changes(tx, &record, &effects, self.restore().takes_settings(*rights)).await?;
                Preview { device: Some(*device), name: record.name, outcome: Outcome::of(event, Some(*basis)), changes }
            }
        };
        Ok(Some(preview).filter(|preview| asked.shows(&preview.changes)))
    }

    /// Ends with what is shown. By a token that is counted and written down: or whoever has one could find out without
    /// end, and without a trace, what it would get.
    async fn shown(&self, tx: Tx, decision: &Decision, preview: Preview) -> Result<Done, AppError> {
        let during = || AppError::db("showing what an activation would change");
        let Some(token) = &self.standing.spent.token else {
            tx.commit().await.map_err(during())?;
            return Ok(Done::Shows(preview));
        };
        // Nothing of it stays, not even a user whom the token would add.
        drop(tx);
        let mut tx = self.app.db.write().await.map_err(during())?;
        // RACE: others may have been shown something since this one was let in.
        standing::admitted(&mut tx, self.now, self.activation, token).await?;
        self.rated(&mut tx).await?;
        let subject = match decision {
            Decision::Attach { device, .. } | Decision::Wait { device } => device.to_string(),
            Decision::Add { .. } | Decision::Ask(_) => self.activation.about.host_name.clone(),
        };
        let detail = format!("would be {}", preview.outcome.word());
        let deed = Deed { action: "device_activate_preview", subject, detail, ..self.deed(self.standing.proof) };
        audit::write(&mut tx, self.now, deed).await?;
        tx.commit().await.map_err(during())?;
        Ok(Done::Shows(preview))
    }

    /// Puts the event to the record, binds the key, and keeps the answer.
    async fn carry_out(&self, tx: &mut Tx, record: DeviceRow, way: Way) -> Result<Done, AppError> {
        let during = || AppError::db("binding a device key");
        let Work { app, now, activation, standing, .. } = *self;
        let Way { event, basis, resembles } = way;
        let epoch_before = record.epoch;
        let follows = counters::follows(&event, &record.state);
        let step = lifecycle::step(now, &record.state, &event)?;
        // What an old key or a map row makes of a token, too.
        let proof = event.proof().expect("`decide` puts only activate, reactivate and replace to a record");
        let came = self.came(&record, proof);
        let rights = step.0.rights().expect("an activation leads to an active device, which has rights");
        let takes_settings = self.restore().takes_settings(rights);
        let comer = Comer { key: &activation.device_key, record_new: basis.is_none(), takes_settings };
        let record = DeviceRow { about: activation.about.clone(), activated_at: now, ..self.traced(record) };
        let effects::Changed { device, was, changes, .. } =
            effects::carry_out(app, tx, now, record, step, Some(comer)).await?;
        let (id, epoch) = (device.id, device.epoch);
        assert!(epoch > epoch_before, "every way into service that a device asks for issues a credential");
        if follows {
            db::credential_follows_update(tx, id, epoch).await.map_err(during())?;
        }
        if let Event::Reactivate { proof } | Event::Replace { proof } = event {
            campaigns::came_back(tx, now, &device, &was, proof).await?;
        }
        if let Some(twin) = resembles {
            conflicts::resembles(app, tx, now, id, twin, self.deed(proof)).await?;
        }
        let outcome = Outcome::of(&event, basis);
        let binding = Binding { device: id, epoch, rights, outcome, restore: self.restore(), changes, came };
        self.spend(tx, id).await?;
        if was == State::Pending && basis.is_some() {
            db::waiting_remove(tx, id).await.map_err(during())?;
        }
        let (request, key) = (&activation.request, &activation.device_key);
        let row = binding_keep(tx, now, request, key, self.digest, &binding).await?;
        let twin = resembles.map_or_else(String::new, |twin| format!(", resembles {twin}"));
        let changes = match binding.changes.is_empty() {
            true => String::new(),
            false => format!("; {}", binding.changes),
        };
        let spent = self.spent_text();
        let detail = format!("{} by {proof}{spent}, epoch {epoch}{twin}{changes}", outcome.word());
        self.write(tx, proof, id.to_string(), detail.clone()).await?;
        Ok(Done::Bound(Box::new(Bound { row, device, user: standing.user.clone() }), detail))
    }

    /// The record with where the request comes from, by which token, and that it was heard of by it.
    fn traced(&self, record: DeviceRow) -> DeviceRow {
        // By its key alone it is the installation that it was: the token that it came by stays known.
        let token = match self.standing.proof == Proof::OldKey {
            true => record.token,
            false => self.standing.spent.token.as_ref().map(|token| token.id),
        };
        DeviceRow { token, source: Some(self.activation.source_text()), last_seen_at: Some(self.now), ..record }
    }

    /// How the machine comes to the record, beside what the record held before.
    fn came(&self, record: &DeviceRow, proof: Proof) -> Came {
        let about = record.about.clone();
        let (seen_at, activated_at) = (record.last_seen_at, record.activated_at);
        Came {
            proof: proof.word().to_owned(),
            token: self.standing.spent.token.as_ref().map(|token| token.id),
            source: self.activation.source_text(),
            former: (record.epoch > 0).then_some(Former { about, seen_at, activated_at }),
        }
    }

    /// A record is made, and waits.
    async fn wait_anew(&self, tx: &mut Tx, resembles: Option<DeviceId>) -> Result<DeviceId, AppError> {
        let record = self.traced(self.record_new());
        db::device_insert(tx, &record).await.map_err(AppError::db("letting a record wait"))?;
        self.wait(tx, record.id).await?;
        if let Some(twin) = resembles {
            conflicts::resembles(self.app, tx, self.now, record.id, twin, self.deed(self.standing.proof)).await?;
        }
        Ok(record.id)
    }

    /// A record waits that is there, as what the machine says of itself.
    async fn wait_there(&self, tx: &mut Tx, device: DeviceId) -> Result<(), AppError> {
        let during = || AppError::db("letting a record wait");
        db::waiting_remove(tx, device).await.map_err(during())?;
        let record = db::device_get(tx, device).await.map_err(during())?.ok_or(Refusal::DeviceNotYours)?;
        let record = self.traced(record);
        let record = DeviceRow { about: self.activation.about.clone(), activated_at: self.now, ..record };
        db::device_update(tx, &record).await.map_err(during())?;
        self.wait(tx, device).await
    }

    /// The record waits with the key of the request.
    async fn wait(&self, tx: &mut Tx, device: DeviceId) -> Result<(), AppError> {
        let during = || AppError::db("letting a record wait");
        let Work { now, activation, standing, .. } = *self;
        let waiting = WaitingRow {
            device,
            device_key: activation.device_key,
            request: activation.request,
            digest: *self.digest,
            restore: self.restore(),
            token: standing.spent.token.as_ref().map(|token| token.id),
            proof: standing.proof.word().to_owned(),
            reason: "token_waits".to_owned(),
            source: self.activation.source_text(),
            asked_at: now,
            refused_at: None,
            refusal: String::new(),
        };
        db::waiting_insert(tx, &waiting).await.map_err(during())?;
        self.spend(tx, device).await?;
        self.write(tx, standing.proof, device.to_string(), format!("waits{}", self.spent_text())).await
    }

    /// Uses up what is used up by an activation, exactly once.
    async fn spend(&self, tx: &mut Tx, device: DeviceId) -> Result<(), AppError> {
        let during = || AppError::db("counting a proof as used");
        let (now, spent) = (self.now, &self.standing.spent);
        if let Some(token) = &spent.token
            && !db::token_used_update(tx, token.id, now).await.map_err(during())?
        {
            return Err(Refusal::TokenUsedUp.into());
        }
        if let Some(ticket) = spent.ticket
            && !db::ticket_used_update(tx, ticket, device, now).await.map_err(during())?
        {
            return Err(Refusal::TicketInvalid.into());
        }
        if let Some(row) = spent.map_row
            && !db::device_map_consumed_update(tx, row, device, now).await.map_err(during())?
        {
            return Err(Refusal::ServerBusy { left: COME_AGAIN }.into());
        }
        self.rated(tx).await
    }

    /// Counts it for the token's rate and for its source.
    async fn rated(&self, tx: &mut Tx) -> Result<(), AppError> {
        let now = self.now;
        if let Some(token) = &self.standing.spent.token
            && let Some(limit) = control::token::rate(token.rate_per_minute)
        {
            let counted = db::tally_update(tx, &standing::rate_subject(token), limit.began(now)).await;
            counted.map_err(AppError::db("counting uses of a token"))?;
        }
        let rate = self.app.config.activation_source_rate;
        if rate > 0 {
            let subject = rates::subject("activation", &rates::source_bytes(self.activation.source));
            rates::count(tx, now, &subject, Limit { max: Count(rate), span: RATE_SPAN }).await?;
        }
        Ok(())
    }

    async fn write(&self, tx: &mut Tx, proof: Proof, subject: String, detail: String) -> Result<(), AppError> {
        let deed = Deed { action: "device_activate", subject, detail, ..self.deed(proof) };
        audit::write(tx, self.now, deed).await
    }

    /// Who activates, from where and by which proof.
    fn deed(&self, proof: Proof) -> Deed<'static> {
        let actor = match &self.standing.spent.token {
            Some(token) => format!("token {}", token.id),
            None => format!("user {}", self.standing.user.id),
        };
        let (source, proof) = (self.activation.source_text(), proof.word().to_owned());
        Deed { actor, source, proof, ..Deed::default() }
    }

    /// Which ticket and which row of the device map are used up by it, for the audit log: those have rows of their own
    /// there, that say who has made them.
    fn spent_text(&self) -> String {
        let spent = &self.standing.spent;
        let ticket = spent.ticket.map(|ticket| format!(", {ticket}"));
        let map_row = spent.map_row.map(|row| format!(", {row}"));
        [ticket, map_row].into_iter().flatten().collect()
    }

    fn record_new(&self) -> DeviceRow {
        let (about, id) = (&self.activation.about, DeviceId::mint(self.app.entropy.as_ref()));
        let given = [self.standing.device_name.trim(), about.host_name.trim()];
        let name = given.into_iter().find(|name| !name.is_empty()).map_or_else(|| id.to_string(), str::to_owned);
        DeviceRow::new(id, self.standing.user.id, name, about.clone(), self.now)
    }

    /// The user's wish, else the admin's.
    fn restore(&self) -> Restore {
        self.activation.restore.or(self.standing.restore).unwrap_or_default()
    }
}
