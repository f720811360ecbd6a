//! Policies as they are stored, set and shown: values at every level, and what holds for a user or a device.
//! Refuses to decide: which values there are and who may set them is `control::policy`. Rules: docs/control.md.

use crate::audit::{self, Deed};
use crate::error::there_is_no;
use crate::{AdminActor, App, AppError, DeviceActor, Doer, runs, states};
use base::{Bytes, DeviceId, ProfileId, Timestamp, UserId};
use control::access::Verb;
use control::activation::Rules;
use control::policy::{
    EffectiveFolder, EffectivePolicy, FolderOs, Key, Levels, PolicyLevel, Set, Value, effective, folders_of,
};
use control::{Permit, Refusal};
use db::{PolicySubject, PolicyValueRow, ProfileRow, Tx};
use std::collections::BTreeMap;

/// The longest text of a value in the audit log; a longer one is cut.
const SHOWN_CHARS_MAX: usize = 200;

/// What holds for a user or a device.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyView {
    /// Grows with every change of it; of a user, without those of the user's devices.
    pub revision: u64,
    /// The user's profile.
    pub profile: ProfileId,
    /// Its name.
    pub profile_name: String,
    /// Every value, with the level that it comes from.
    pub policy: EffectivePolicy,
    /// Which of them the user may change at the device; none for a user without one.
    pub may_change: Vec<Key>,
    /// The folders, those that the user has taken out too.
    pub folders: Vec<EffectiveFolder>,
    /// How much the user's newest snapshots take, as far as who asks may know them.
    pub used: Bytes,
}

/// What holds for the device that asks.
///
/// # Errors
/// `session_invalid` when the record is gone; the database does not answer.
pub async fn own(app: &App, actor: &DeviceActor) -> Result<PolicyView, AppError> {
    let mut tx = app.db.read().await.map_err(AppError::db("reading a policy"))?;
    of_actor(app, &mut tx, actor).await
}

/// What holds for a device.
///
/// # Errors
/// `device_unknown`; `not_permitted`; the database does not answer.
pub async fn of_device(app: &App, actor: &AdminActor, id: DeviceId) -> Result<PolicyView, AppError> {
    actor.need(Permit::ProfileRead)?;
    let during = || AppError::db("reading a policy");
    let mut tx = app.db.read().await.map_err(during())?;
    let device = db::device_get(&mut tx, id).await.map_err(during())?.ok_or_else(|| AppError::device_unknown(id))?;
    view(&mut tx, device.user, Some(id)).await
}

/// What holds for a user, and for a device that the user may add.
///
/// # Errors
/// `user_unknown`; `not_permitted`; the database does not answer.
pub async fn of_user(app: &App, actor: &AdminActor, id: UserId) -> Result<PolicyView, AppError> {
    actor.need(Permit::ProfileRead)?;
    let mut tx = app.db.read().await.map_err(AppError::db("reading a policy"))?;
    view(&mut tx, id, None).await
}

/// What one level has set for itself, by policy.
///
/// # Errors
/// `not_permitted`; the database does not answer.
pub async fn values(app: &App, actor: &AdminActor, subject: PolicySubject) -> Result<Vec<PolicyValueRow>, AppError> {
    actor.need(Permit::ProfileRead)?;
    let during = || AppError::db("reading the values of a level");
    let mut tx = app.db.read().await.map_err(during())?;
    subject_known(&mut tx, subject).await?;
    db::policy_value_list(&mut tx, subject).await.map_err(during())
}

/// The number of a device's effective policy; no older than what is known of its state.
///
/// # Errors
/// `device_unknown`; the database does not answer.
pub async fn revision(app: &App, device: DeviceId) -> Result<u64, AppError> {
    let standing = states::standing(app, device).await?.ok_or_else(|| AppError::device_unknown(device))?;
    Ok(standing.policy_revision)
}

/// What the profile of a user says about activation.
///
/// # Errors
/// The database does not answer, or a stored value is damaged.
pub async fn activation_rules(tx: &mut Tx, user: UserId) -> Result<Rules, AppError> {
    let rows = db::policy_value_list_by_user(tx, user).await;
    let rows = rows.map_err(AppError::db("reading what a profile says about activation"))?;
    Ok(effective(&levels_of(rows)?).activation_rules())
}

/// Whom the users of the organisation may ask for help, where an admin has said so.
///
/// # Errors
/// The database does not answer, or a stored value is damaged.
pub(crate) async fn support(tx: &mut Tx) -> Result<Option<String>, AppError> {
    let rows = db::policy_value_list(tx, PolicySubject::Organisation).await;
    let rows = rows.map_err(AppError::db("reading whom to ask for help"))?;
    Ok(effective(&levels_of(rows)?).support().map(str::to_owned))
}

/// Sets values at a level, or takes them back (`None`): all of them or none. The answer is what the level has then.
///
/// # Errors
/// `policy_unknown`, `policy_value_invalid`, `policy_level_wrong`; the subject's unknown; `not_permitted`.
pub async fn set(
    app: &App,
    actor: &AdminActor,
    subject: PolicySubject,
    values: &[(String, Option<String>)],
) -> Result<Vec<PolicyValueRow>, AppError> {
    actor.need(Permit::ProfileManage)?;
    let changes = changes_parse(subject.level(), values, false)?;
    let now = app.clock.now();
    let during = || AppError::db("setting policies");
    let mut tx = app.db.write().await.map_err(during())?;
    subject_known(&mut tx, subject).await?;
    change(&mut tx, now, actor, subject, &changes).await?;
    let rows = db::policy_value_list(&mut tx, subject).await.map_err(during())?;
    tx.commit().await.map_err(during())?;
    changed(app, subject);
    Ok(rows)
}

/// Sets a user's own values at the user's device, or takes them back: all of them or none.
///
/// # Errors
/// The refusal of the device's state; `policy_not_allowed`; `policy_unknown`, `policy_value_invalid`.
pub async fn own_set(
    app: &App,
    actor: &DeviceActor,
    values: &[(String, Option<String>)],
) -> Result<PolicyView, AppError> {
    let now = app.clock.now();
    let during = || AppError::db("setting a device's own policies");
    let mut tx = app.db.write().await.map_err(during())?;
    runs::allowed(&mut tx, actor, now, Verb::ChangePolicy).await?;
    let before = levels(&mut tx, actor.user, Some(actor.device)).await?.levels;
    let policy = effective(&before);
    for (word, _) in values {
        policy.user_may_change(&before, key_parse(word)?)?;
    }
    let changes = changes_parse(PolicyLevel::Device, values, true)?;
    let subject = PolicySubject::Device(actor.device);
    change(&mut tx, now, actor, subject, &changes).await?;
    let view = of_actor(app, &mut tx, actor).await?;
    tx.commit().await.map_err(during())?;
    changed(app, subject);
    Ok(view)
}

/// The profile of a user, and what every level has set for the user or a device of the user.
pub(crate) struct Loaded {
    pub(crate) profile: ProfileRow,
    pub(crate) levels: Levels,
}

/// Reads what holds for a user, or for a device of the user.
///
/// # Errors
/// `user_unknown`; the database does not answer, or a stored value is damaged.
pub(crate) async fn levels(tx: &mut Tx, user: UserId, device: Option<DeviceId>) -> Result<Loaded, AppError> {
    let during = || AppError::db("reading policies");
    let profile = db::profile_get_by_user(tx, user).await.map_err(during())?;
    // Looked up for nobody too: a sign-in is the same work whoever it is for.
    let id = profile.as_ref().map_or(ProfileId::from_bytes([0; 16]), |profile| profile.id);
    let rows = db::policy_value_list_by_levels(tx, id, user, device).await.map_err(during())?;
    let profile = profile.ok_or_else(|| AppError::user_unknown(user))?;
    Ok(Loaded { levels: levels_of(rows)?, profile })
}

/// The levels that rows say. A level that a policy no longer has is damage, as is another policy's value: nothing is
/// guessed.
///
/// # Errors
/// `row_damaged`.
pub(crate) fn levels_of(rows: impl IntoIterator<Item = PolicyValueRow>) -> Result<Levels, AppError> {
    let mut levels = Levels::default();
    for PolicyValueRow { level, key, set } in rows {
        let damaged =
            |_| AppError::damaged("row_damaged", format!("A stored value of {key} is not one of this policy."));
        levels.set(level, key, set).map_err(damaged)?;
    }
    Ok(levels)
}

/// The system of a device, as its endpoint said; `None` when that is none of those that folders know.
pub(crate) fn device_os(word: &str) -> Option<FolderOs> {
    FolderOs::from_word(word).filter(|os| *os != FolderOs::Any)
}

/// Counts a change of what a subject's policies are made of. It also holds the subject's row for this transaction.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn revision_grow(tx: &mut Tx, subject: PolicySubject) -> Result<(), AppError> {
    let grown = match subject {
        PolicySubject::Organisation => db::profile_revision_update_all(tx).await,
        PolicySubject::Profile(id) => db::profile_revision_update(tx, id).await,
        PolicySubject::User(id) => db::user_policy_revision_update(tx, id).await,
        PolicySubject::Device(id) => db::device_policy_revision_update(tx, id).await,
    };
    grown.map_err(AppError::db("counting a change of a policy"))
}

/// Lets this process see a change at once where that is cheap; elsewhere what is known of a device grows old soon.
pub(crate) fn changed(app: &App, subject: PolicySubject) {
    if let PolicySubject::Device(device) = subject {
        app.states.changed(device);
    }
}

/// A subject as the audit log names it.
pub(crate) fn subject_text(subject: PolicySubject) -> String {
    match subject {
        PolicySubject::Organisation => "organisation".to_owned(),
        PolicySubject::Profile(id) => id.to_string(),
        PolicySubject::User(id) => id.to_string(),
        PolicySubject::Device(id) => id.to_string(),
    }
}

/// Fails unless the subject is there.
///
/// # Errors
/// `profile_unknown`, `user_unknown`, `device_unknown`.
pub(crate) async fn subject_known(tx: &mut Tx, subject: PolicySubject) -> Result<(), AppError> {
    let during = || AppError::db("looking for the subject of a policy");
    match subject {
        PolicySubject::Organisation => Ok(()),
        PolicySubject::Profile(id) => match db::profile_get(tx, id).await.map_err(during())? {
            Some(_) => Ok(()),
            None => Err(profile_unknown(&id.to_string())),
        },
        PolicySubject::User(id) => match db::user_get(tx, id).await.map_err(during())? {
            Some(_) => Ok(()),
            None => Err(AppError::user_unknown(id)),
        },
        PolicySubject::Device(id) => match db::device_get(tx, id).await.map_err(during())? {
            Some(_) => Ok(()),
            None => Err(AppError::device_unknown(id)),
        },
    }
}

/// The answer about a profile that is not there.
pub(crate) fn profile_unknown(text: &str) -> AppError {
    AppError::not_found(
        "profile_unknown",
        there_is_no(format_args!("profile \"{}\"", text.escape_debug()), "profile list"),
    )
}

/// What holds for the device that asks. One that may not list snapshots is not told what the others take.
async fn of_actor(app: &App, tx: &mut Tx, actor: &DeviceActor) -> Result<PolicyView, AppError> {
    let view = view(tx, actor.user, Some(actor.device)).await?;
    if actor.may(app.clock.now(), Verb::ListSnapshots).is_ok() {
        return Ok(view);
    }
    let newest =
        db::snapshot_get_newest(tx, actor.device).await.map_err(AppError::db("reading the newest snapshot"))?;
    let own = newest.filter(|row| runs::is_own(actor, row));
    Ok(PolicyView { used: own.map_or(Bytes(0), |row| row.new.totals.bytes), ..view })
}

async fn view(tx: &mut Tx, user: UserId, device: Option<DeviceId>) -> Result<PolicyView, AppError> {
    let during = || AppError::db("reading a policy");
    let Loaded { profile, levels } = levels(tx, user, device).await?;
    let policy = effective(&levels);
    let folders = db::folder_list_by_levels(tx, profile.id, user, device).await.map_err(during())?;
    let usage = db::usage_list(tx, user).await.map_err(during())?;
    let (mut revision, mut may_change, mut os, mut unlinked) = (profile.revision, Vec::new(), None, Vec::new());
    if let Some(id) = device {
        let standing = db::device_standing_get(tx, id).await.map_err(during())?.ok_or(Refusal::SessionInvalid)?;
        let row = db::device_get(tx, id).await.map_err(during())?.ok_or(Refusal::SessionInvalid)?;
        revision = standing.policy_revision;
        may_change = Key::ALL.iter().copied().filter(|key| policy.user_may_change(&levels, *key).is_ok()).collect();
        os = device_os(&row.about.os);
        unlinked = db::unlinked_list(tx, id).await.map_err(during())?;
    }
    let folders = folders_of(&policy, os, folders, &unlinked);
    let used = usage.into_iter().map(|(_, bytes)| bytes).sum();
    Ok(PolicyView { revision, profile: profile.id, profile_name: profile.name, policy, may_change, folders, used })
}

/// What to make of one policy at one level: set it, or take its value back.
type Change = (Key, Option<Set>);

fn changes_parse(
    level: PolicyLevel,
    values: &[(String, Option<String>)],
    by_user: bool,
) -> Result<Vec<Change>, AppError> {
    let parse = |(word, text): &(String, Option<String>)| {
        let key = key_parse(word)?;
        key.may_be_set_at(level)?;
        let value = text.as_deref().map(|text| Value::parse(key, text)).transpose()?;
        Ok((key, value.map(|value| Set { value, by_user })))
    };
    values.iter().map(parse).collect()
}

/// The policy with this word.
///
/// # Errors
/// `policy_unknown`.
pub(crate) fn key_parse(word: &str) -> Result<Key, AppError> {
    let unknown = || {
        let shown: String = word.chars().take(40).flat_map(char::escape_debug).collect();
        AppError::invalid("policy_unknown", there_is_no(format_args!("policy \"{shown}\""), "policy keys"))
    };
    Key::from_word(word).ok_or_else(unknown)
}

/// Carries changes out, with an audit row each that says what was there before.
async fn change(
    tx: &mut Tx,
    now: Timestamp,
    by: &impl Doer,
    subject: PolicySubject,
    changes: &[Change],
) -> Result<(), AppError> {
    let during = || AppError::db("setting policies");
    // ORDER: the revision first: its row is the lock that two changes of one subject wait for.
    revision_grow(tx, subject).await?;
    let rows = db::policy_value_list(tx, subject).await.map_err(during())?;
    let mut held: BTreeMap<Key, Set> = rows.into_iter().map(|row| (row.key, row.set)).collect();
    for (key, after) in changes {
        // A key may be named twice: what the first has made of it is what the second finds.
        let before = match after {
            Some(set) => held.insert(*key, set.clone()),
            None => held.remove(key),
        };
        if before == *after {
            continue;
        }
        match after {
            Some(set) => db::policy_value_update(tx, subject, *key, set, now, &by.to_string()).await,
            None => db::policy_value_remove(tx, subject, *key).await,
        }
        .map_err(during())?;
        let detail = format!("{key}: {} to {}", shown(before.as_ref()), shown(after.as_ref()));
        let deed = Deed { action: "policy_set", subject: subject_text(subject), detail, ..Deed::by(by) };
        audit::write(tx, now, deed).await?;
    }
    Ok(())
}

fn shown(set: Option<&Set>) -> String {
    let Some(set) = set else { return "nothing".to_owned() };
    let text = set.value.to_string();
    let shown: String = text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().count() > SHOWN_CHARS_MAX { format!("{shown}…") } else { shown }
}
