//! Profiles: made, copied, renamed, removed, given to users. Refuses to remove one that users have, or the default.

mod preview;

pub use preview::{Difference, Preview, preview};

use crate::audit::{self, Deed};
use crate::page::{Page, PageAsk, part};
use crate::policy::{profile_unknown, revision_grow};
use crate::{AdminActor, App, AppError};
use base::{Count, Entropy, FolderId, ProfileId, Timestamp, UserId};
use control::policy::Folder;
use control::{Permit, Refusal};
use db::{Db, PolicySubject, ProfileRow, Tx};

/// The longest name.
const NAME_CHARS_MAX: usize = 100;
/// The name of the profile that every server begins with.
const DEFAULT_NAME: &str = "Default";

/// A profile as an admin sees one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileView {
    /// Which.
    pub id: ProfileId,
    /// Its name.
    pub name: String,
    /// Whether users without a profile have this one.
    pub is_default: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// How many users have it.
    pub users: Count,
    /// Grows with every change.
    pub revision: u64,
}

/// The profiles, by name; with a `name`, the one that is called exactly so.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave; the database does not answer.
pub async fn page(
    app: &App,
    actor: &AdminActor,
    name: Option<&str>,
    ask: &PageAsk,
) -> Result<Page<ProfileView>, AppError> {
    actor.need(Permit::ProfileRead)?;
    let after = match ask.key::<1>()? {
        Some([name]) => part(String::from_utf8(name).ok())?,
        None => String::new(),
    };
    let during = || AppError::db("listing profiles");
    let mut tx = app.db.read().await.map_err(during())?;
    let rows = db::profile_page_list(&mut tx, name, &after, ask.rows()).await.map_err(during())?;
    let mut views = Vec::with_capacity(rows.len());
    for row in rows {
        views.push(view(&mut tx, row).await?);
    }
    Ok(ask.page(views, |view| [view.name.clone().into_bytes()], |view| view))
}

/// One profile.
///
/// # Errors
/// `profile_unknown`; `not_permitted`.
pub async fn get(app: &App, actor: &AdminActor, id: ProfileId) -> Result<ProfileView, AppError> {
    actor.need(Permit::ProfileRead)?;
    let mut tx = app.db.read().await.map_err(AppError::db("reading a profile"))?;
    let row = got(&mut tx, id).await?;
    view(&mut tx, row).await
}

/// Makes a profile that has nothing of its own yet.
///
/// # Errors
/// `profile_name_invalid`, `profile_exists`; `not_permitted`.
pub async fn make(app: &App, actor: &AdminActor, name: &str) -> Result<ProfileView, AppError> {
    actor.need(Permit::ProfileManage)?;
    let during = || AppError::db("making a profile");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = insert(app, &mut tx, name).await?;
    audit(app, &mut tx, actor, "profile_make", row.id, row.name.clone()).await?;
    tx.commit().await.map_err(during())?;
    Ok(ProfileView::of(row, Count(0)))
}

/// Makes a profile with the values and folders of another, under new identifiers.
///
/// # Errors
/// As `make`; `profile_unknown`.
pub async fn copy(app: &App, actor: &AdminActor, from: ProfileId, name: &str) -> Result<ProfileView, AppError> {
    actor.need(Permit::ProfileManage)?;
    let now = app.clock.now();
    let during = || AppError::db("copying a profile");
    let mut tx = app.db.write().await.map_err(during())?;
    let source = PolicySubject::Profile(got(&mut tx, from).await?.id);
    let row = insert(app, &mut tx, name).await?;
    let target = PolicySubject::Profile(row.id);
    for value in db::policy_value_list(&mut tx, source).await.map_err(during())? {
        let by = actor.to_string();
        db::policy_value_update(&mut tx, target, value.key, &value.set, now, &by).await.map_err(during())?;
    }
    for folder in db::folder_list(&mut tx, source).await.map_err(during())? {
        let folder = Folder { id: FolderId::mint(app.entropy.as_ref()), ..folder };
        db::folder_insert(&mut tx, target, &folder, now).await.map_err(during())?;
    }
    audit(app, &mut tx, actor, "profile_copy", row.id, format!("{} from {from}", row.name)).await?;
    tx.commit().await.map_err(during())?;
    Ok(ProfileView::of(row, Count(0)))
}

/// Renames a profile.
///
/// # Errors
/// As `make`; `profile_unknown`.
pub async fn rename(app: &App, actor: &AdminActor, id: ProfileId, name: &str) -> Result<ProfileView, AppError> {
    actor.need(Permit::ProfileManage)?;
    let name = name_parse(name)?;
    let during = || AppError::db("renaming a profile");
    let mut tx = app.db.write().await.map_err(during())?;
    let before = got(&mut tx, id).await?;
    let there = db::profile_get_by_name(&mut tx, &name).await.map_err(during())?;
    if there.is_some_and(|other| other.id != id) {
        return Err(exists(&name));
    }
    // The endpoint shows the profile's name: its change is one of the policy.
    revision_grow(&mut tx, PolicySubject::Profile(id)).await?;
    db::profile_name_update(&mut tx, id, &name).await.map_err(during())?;
    audit(app, &mut tx, actor, "profile_rename", id, format!("{} to {name}", before.name)).await?;
    let row = got(&mut tx, id).await?;
    let view = view(&mut tx, row).await?;
    tx.commit().await.map_err(during())?;
    Ok(view)
}

/// Removes a profile with its values and folders.
///
/// # Errors
/// `profile_default`, `profile_in_use`; `profile_unknown`; `not_permitted`.
pub async fn remove(app: &App, actor: &AdminActor, id: ProfileId) -> Result<(), AppError> {
    actor.need(Permit::ProfileManage)?;
    let during = || AppError::db("removing a profile");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = got(&mut tx, id).await?;
    if row.is_default {
        return Err(Refusal::ProfileDefault.into());
    }
    let users = db::profile_user_count_get(&mut tx, id).await.map_err(during())?;
    if users > Count(0) {
        return Err(Refusal::ProfileInUse { users }.into());
    }
    let subject = PolicySubject::Profile(id);
    db::policy_value_remove_by_subject(&mut tx, subject).await.map_err(during())?;
    db::unlinked_remove_by_subject(&mut tx, subject).await.map_err(during())?;
    db::folder_remove_by_subject(&mut tx, subject).await.map_err(during())?;
    db::profile_remove(&mut tx, id).await.map_err(during())?;
    audit(app, &mut tx, actor, "profile_remove", id, row.name).await?;
    tx.commit().await.map_err(during())
}

/// Gives a user a profile; what it says holds at once.
///
/// # Errors
/// `profile_unknown`, `user_unknown`; `not_permitted`.
pub async fn assign(app: &App, actor: &AdminActor, id: ProfileId, user: UserId) -> Result<(), AppError> {
    actor.need(Permit::ProfileManage)?;
    let during = || AppError::db("giving a user a profile");
    let mut tx = app.db.write().await.map_err(during())?;
    let after = got(&mut tx, id).await?;
    let before =
        db::profile_get_by_user(&mut tx, user).await.map_err(during())?.ok_or_else(|| AppError::user_unknown(user))?;
    if before.id == after.id {
        return tx.commit().await.map_err(during());
    }
    // INVARIANT: the revision of a device, the sum of its profile's, its user's and its own, grows.
    let more = before.revision.saturating_sub(after.revision) + 1;
    db::user_profile_update(&mut tx, user, id, more).await.map_err(during())?;
    let devices = db::device_list_by_user(&mut tx, user).await.map_err(during())?;
    let deed = Deed {
        action: "profile_assign",
        subject: user.to_string(),
        detail: format!("{} to {}", before.name, after.name),
        ..Deed::by(actor)
    };
    audit::write(&mut tx, app.clock.now(), deed).await?;
    tx.commit().await.map_err(during())?;
    devices.iter().for_each(|device| app.states.changed(device.id));
    Ok(())
}

/// Makes the default profile where there is none.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn default_make(db: &Db, entropy: &dyn Entropy, now: Timestamp) -> Result<(), AppError> {
    let during = || AppError::db("making the default profile");
    let mut tx = db.read().await.map_err(during())?;
    let there = db::profile_get_default(&mut tx).await.map_err(during())?;
    drop(tx);
    if there.is_some() {
        return Ok(());
    }
    let mut tx = db.write().await.map_err(during())?;
    // RACE: another process may make one between the two: the insert leaves it as it is.
    if db::profile_get_default(&mut tx).await.map_err(during())?.is_some() {
        return tx.commit().await.map_err(during());
    }
    let taken = db::profile_get_by_name(&mut tx, DEFAULT_NAME).await.map_err(during())?.is_some();
    let id = ProfileId::mint(entropy);
    let name = if taken { id.to_string() } else { DEFAULT_NAME.to_owned() };
    let row = ProfileRow { id, name, is_default: true, created_at: now, revision: 1 };
    if db::profile_insert(&mut tx, &row).await.map_err(during())? {
        // Nobody has asked for it: whatever opens the database first makes it.
        let (actor, subject, detail) = ("server".to_owned(), id.to_string(), format!("{}, the default", row.name));
        let deed = Deed { actor, action: "profile_make", subject, detail, ..Deed::default() };
        audit::write(&mut tx, now, deed).await?;
    }
    tx.commit().await.map_err(during())
}

impl ProfileView {
    fn of(row: ProfileRow, users: Count) -> Self {
        let ProfileRow { id, name, is_default, created_at, revision } = row;
        Self { id, name, is_default, created_at, users, revision }
    }
}

async fn view(tx: &mut Tx, row: ProfileRow) -> Result<ProfileView, AppError> {
    let users = db::profile_user_count_get(tx, row.id).await.map_err(AppError::db("counting users"))?;
    Ok(ProfileView::of(row, users))
}

async fn got(tx: &mut Tx, id: ProfileId) -> Result<ProfileRow, AppError> {
    let row = db::profile_get(tx, id).await.map_err(AppError::db("reading a profile"))?;
    row.ok_or_else(|| profile_unknown(&id.to_string()))
}

async fn insert(app: &App, tx: &mut Tx, name: &str) -> Result<ProfileRow, AppError> {
    let name = name_parse(name)?;
    let (id, created_at) = (ProfileId::mint(app.entropy.as_ref()), app.clock.now());
    let row = ProfileRow { id, name, is_default: false, created_at, revision: 1 };
    match db::profile_insert(tx, &row).await.map_err(AppError::db("making a profile"))? {
        true => Ok(row),
        false => Err(exists(&row.name)),
    }
}

fn exists(name: &str) -> AppError {
    AppError::conflict(
        "profile_exists",
        format!("There is a profile \"{name}\" already: take another name, or change that one."),
    )
}

fn name_parse(text: &str) -> Result<String, AppError> {
    let name = text.trim();
    let good = !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control);
    // A name that reads as an identifier would name two things.
    if !good || name.parse::<ProfileId>().is_ok() {
        let sentence = "A profile's name has 1 to 100 characters, on one line, and is no identifier.";
        return Err(AppError::invalid("profile_name_invalid", sentence));
    }
    Ok(name.to_owned())
}

async fn audit(
    app: &App,
    tx: &mut Tx,
    actor: &AdminActor,
    action: &str,
    id: ProfileId,
    detail: String,
) -> Result<(), AppError> {
    audit::write(tx, app.clock.now(), Deed { action, subject: id.to_string(), detail, ..Deed::by(actor) }).await
}
