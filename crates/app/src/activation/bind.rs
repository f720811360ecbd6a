//! The transaction of an activation: what was proved is looked at again, the record is decided, the key bound, what
//! is used up is used up, the answer kept, the audit row written. Refuses to do half of it.

use super::keep::{self, Binding, Kept, binding_keep};
use super::prove::Proved;
use super::standing::{self, Standing};
use super::{Activation, Outcome, evidence};
use crate::audit::{self, Deed};
use crate::{App, AppError, campaigns, conflicts, effects, policy, rates};
use base::{Count, DeviceId, Span, Timestamp};
use control::activation::{Basis, Candidate, Decision, Question, Request, Restore, decide};
use control::attempts::Limit;
use control::token::RATE_SPAN;
use control::{Event, Proof, Refusal, State, lifecycle};
use db::{ActivationRow, Came, DeviceRow, Former, Tx, WaitingRow};

/// When an activation comes again whose row of the device map another one has just used.
const COME_AGAIN: Span = Span::seconds(5);

/// What has come of it.
pub(super) enum Done {
    /// What is kept with the request.
    Kept(Kept),
    /// Nothing; a person is asked.
    Asks(Question),
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
    if let Some(kept) = keep::earlier(&mut tx, activation, digest).await? {
        // ORDER: committed before it is answered: the other may share this commit, and not be durable yet.
        tx.commit().await.map_err(during())?;
        return Ok(Done::Kept(kept));
    }
    if db::credential_key_get(&mut tx, &activation.device_key).await.map_err(during())?.is_some() {
        return Err(Refusal::KeyInUse.into());
    }
    let standing = standing::now(app, &mut tx, now, activation, proved).await?;
    let work = Work { app, now, activation, digest, standing: &standing };
    if let Some(address) = &standing.spent.address {
        db::sign_in_failure_remove(&mut tx, address).await.map_err(during())?;
    }
    let decision = match work.decide(&mut tx).await? {
        Ok(decision) => decision,
        // What a token is refused is remembered by `tokens::refused`, and nothing of this stays.
        Err(refusal) if standing.spent.token.is_some() => return Err(refusal.into()),
        Err(refusal) => {
            let subject = standing.user.email.clone();
            let detail = format!("refused: {}", refusal.code());
            if let Some(device) = standing.old_key {
                campaigns::came_refused(&mut tx, now, device, refusal.code()).await?;
            }
            work.write(&mut tx, standing.proof, subject, detail).await?;
            tx.commit().await.map_err(during())?;
            return Err(refusal.into());
        }
    };
    let (kept, device) = match decision {
        Decision::Ask(question) => {
            tx.commit().await.map_err(during())?;
            return Ok(Done::Asks(question));
        }
        Decision::Wait { device } => {
            work.wait_there(&mut tx, device).await?;
            (Kept::Waits(device), device)
        }
        Decision::Add { event: None, resembles } => {
            let device = work.wait_anew(&mut tx, resembles).await?;
            (Kept::Waits(device), device)
        }
        Decision::Add { event: Some(event), resembles } => {
            let record = work.record_new();
            db::device_insert(&mut tx, &record).await.map_err(during())?;
            let way = Way { event, basis: None, resembles };
            let row = work.carry_out(&mut tx, record, way).await?;
            let device = row.device;
            (Kept::Bound(row), device)
        }
        Decision::Attach { device, basis, event, .. } => {
            let record = db::device_get(&mut tx, device).await.map_err(during())?.ok_or(Refusal::DeviceNotYours)?;
            let way = Way { event, basis: Some(basis), resembles: None };
            (Kept::Bound(work.carry_out(&mut tx, record, way).await?), device)
        }
    };
    tx.commit().await.map_err(during())?;
    // ORDER: said after the commit, or a request in between would remember the old state.
    app.states.changed(device);
    Ok(Done::Kept(kept))
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
        let records = db::device_list_by_user(tx, user.id).await.map_err(AppError::db("listing a user's devices"))?;
        let mut candidates = Vec::with_capacity(records.len());
        for record in records {
            let asked = record.state == State::Pending && waits(tx, record.id).await?;
            let (device, owner, evidence) = (record.id, record.user, evidence(&record.about));
            candidates.push(Candidate { device, owner, state: record.state, evidence, asked });
        }
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

    /// Puts the event to the record, binds the key, and keeps the answer.
    async fn carry_out(&self, tx: &mut Tx, record: DeviceRow, way: Way) -> Result<ActivationRow, AppError> {
        let during = || AppError::db("binding a device key");
        let Work { now, activation, standing, .. } = *self;
        let Way { event, basis, resembles } = way;
        let (state, effects) = lifecycle::step(now, &record.state, &event)?;
        let key = Some(&activation.device_key);
        let effects::CarriedOut { epoch, changes } =
            effects::carry_out(self.app, tx, now, &record, &state, &effects, key).await?;
        db::device_state_update(tx, record.id, &state).await.map_err(during())?;
        db::device_binding_update(tx, record.id, epoch, &activation.about, now).await.map_err(during())?;
        assert!(epoch > record.epoch, "every way into service that a device asks for issues a credential");
        if let Event::Reactivate { proof } | Event::Replace { proof } = event {
            campaigns::came_back(tx, now, record.id, proof).await?;
        }
        if let Some(twin) = resembles {
            conflicts::resembles(self.app, tx, now, record.id, twin).await?;
        }
        let rights = state.rights().expect("an activation leads to an active device, which has rights");
        let outcome = Outcome::of(&event, basis);
        // What an old key or a map row makes of a token, too.
        let proof = event.proof().expect("`decide` puts only activate, reactivate and replace to a record");
        let came = self.came(&record, proof);
        let binding = Binding { device: record.id, epoch, rights, outcome, restore: self.restore(), changes, came };
        self.spend(tx, record.id).await?;
        if record.state == State::Pending {
            db::waiting_remove(tx, record.id).await.map_err(during())?;
        }
        let (request, key) = (&activation.request, &activation.device_key);
        let row = binding_keep(tx, now, request, key, self.digest, &binding).await?;
        let twin = resembles.map_or_else(String::new, |twin| format!(", resembles {twin}"));
        let changes = match binding.changes.is_empty() {
            true => String::new(),
            false => format!("; {}", binding.changes),
        };
        let detail = format!("{} by {proof}, epoch {epoch}{twin}{changes}", outcome.word());
        let (device, user) = (record.id, standing.user.id);
        tracing::info!(device.id = %device, user.id = %user, "device {device} is activated: {detail}");
        self.write(tx, proof, record.id.to_string(), detail).await?;
        Ok(row)
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
        let record = self.record_new();
        db::device_insert(tx, &record).await.map_err(AppError::db("letting a record wait"))?;
        self.wait(tx, record.id).await?;
        if let Some(twin) = resembles {
            conflicts::resembles(self.app, tx, self.now, record.id, twin).await?;
        }
        Ok(record.id)
    }

    /// A record waits that is there, as what the machine says of itself.
    async fn wait_there(&self, tx: &mut Tx, device: DeviceId) -> Result<(), AppError> {
        let during = || AppError::db("letting a record wait");
        db::waiting_remove(tx, device).await.map_err(during())?;
        db::device_binding_update(tx, device, 0, &self.activation.about, self.now).await.map_err(during())?;
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
        self.write(tx, standing.proof, device.to_string(), "waits".to_owned()).await
    }

    /// Uses up what is used up by an activation, exactly once.
    async fn spend(&self, tx: &mut Tx, device: DeviceId) -> Result<(), AppError> {
        let during = || AppError::db("counting a proof as used");
        let (now, spent) = (self.now, &self.standing.spent);
        if let Some(token) = &spent.token {
            if !db::token_used_update(tx, token.id, now).await.map_err(during())? {
                return Err(Refusal::TokenUsedUp.into());
            }
            if let Some(max) = token.rate_per_minute {
                let subject = rates::subject("token", token.id.as_bytes());
                let began = Limit { max, span: RATE_SPAN }.began(now);
                db::tally_update(tx, &subject, began).await.map_err(during())?;
            }
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
        let rate = self.app.config.activation_source_rate;
        if rate > 0 {
            let subject = rates::subject("activation", &rates::source_bytes(self.activation.source));
            rates::count(tx, now, &subject, Limit { max: Count(rate), span: RATE_SPAN }).await?;
        }
        // By its key alone it is the installation that it was: the token that it came by stays known.
        if self.standing.proof == Proof::OldKey {
            return db::device_source_update(tx, device, &self.activation.source_text()).await.map_err(during());
        }
        let token = spent.token.as_ref().map(|token| token.id);
        db::device_proof_update(tx, device, token, &self.activation.source_text()).await.map_err(during())
    }

    async fn write(&self, tx: &mut Tx, proof: Proof, subject: String, detail: String) -> Result<(), AppError> {
        let actor = match &self.standing.spent.token {
            Some(token) => format!("token {}", token.id),
            None => format!("user {}", self.standing.user.id),
        };
        let (source, proof) = (self.activation.source_text(), proof.word().to_owned());
        let deed = Deed { actor, action: "device_activate", subject, detail, source, proof, mark: None };
        audit::write(tx, self.now, deed).await
    }

    fn record_new(&self) -> DeviceRow {
        let (about, id) = (&self.activation.about, DeviceId::mint(self.app.entropy.as_ref()));
        let given = [self.standing.device_name.trim(), about.host_name.trim()];
        let name = given.into_iter().find(|name| !name.is_empty()).map_or_else(|| id.to_string(), str::to_owned);
        DeviceRow {
            id,
            user: self.standing.user.id,
            name,
            state: State::Pending,
            epoch: 0,
            about: about.clone(),
            created_at: self.now,
            activated_at: self.now,
            last_seen_at: None,
            last_snapshot: None,
        }
    }

    /// The user's wish, else the admin's.
    fn restore(&self) -> Restore {
        self.activation.restore.or(self.standing.restore).unwrap_or_default()
    }
}

/// Does a computer wait for this record?
async fn waits(tx: &mut Tx, device: DeviceId) -> Result<bool, AppError> {
    let waiting = db::waiting_get(tx, device).await.map_err(AppError::db("reading a record that waits"))?;
    Ok(waiting.is_some_and(|waiting| waiting.refused_at.is_none()))
}
