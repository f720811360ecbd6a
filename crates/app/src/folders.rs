//! Folders to back up: admins' at profiles and users, users' own at their devices, and what users take out.
//! Refuses to decide which: `control::policy` does. Rules: docs/control.md, "Folders".

use crate::audit::{self, Deed};
use crate::policy::{self, changed, revision_grow, subject_known, subject_text};
use crate::{AdminActor, App, AppError, DeviceActor, Doer, runs};
use base::{Count, FolderId, Timestamp};
use control::access::Verb;
use control::policy::{
    EffectiveFolder, FOLDERS_MAX, Folder, FolderOs, Key, PolicyLevel, effective, folders_of, may_unlink, path_parse,
    pattern,
};
use control::{Permit, Refusal};
use db::{PolicySubject, Tx};

/// What a folder is to say; nothing of it was looked at yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderDraft {
    /// For which system.
    pub os: FolderOs,
    /// As it was typed.
    pub path: String,
    /// Whether users may not take it out.
    pub mandatory: bool,
    /// Only what matches one of these; everything when there is none.
    pub include: Vec<String>,
    /// Nothing that matches one of these.
    pub exclude: Vec<String>,
}

/// The folders that a profile, user or device has for itself, by path.
///
/// # Errors
/// The subject's unknown; `not_permitted`; the database does not answer.
pub async fn list(app: &App, actor: &AdminActor, subject: PolicySubject) -> Result<Vec<Folder>, AppError> {
    actor.need(Permit::ProfileRead)?;
    let during = || AppError::db("listing folders");
    let mut tx = app.db.read().await.map_err(during())?;
    subject_known(&mut tx, subject).await?;
    db::folder_list(&mut tx, subject).await.map_err(during())
}

/// Adds a folder to a profile, or to one user.
///
/// # Errors
/// `folder_path_invalid`, `pattern_invalid`, `folder_exists`, `folder_limit`; `folder_level_wrong` for the
/// organisation and for a device; the subject's unknown; `not_permitted`.
pub async fn add(
    app: &App,
    actor: &AdminActor,
    subject: PolicySubject,
    draft: &FolderDraft,
) -> Result<Folder, AppError> {
    actor.need(Permit::ProfileManage)?;
    if !matches!(subject, PolicySubject::Profile(_) | PolicySubject::User(_)) {
        let sentence = "Folders are added to a profile or a user; a device's own are added at the device.";
        return Err(AppError::invalid("folder_level_wrong", sentence));
    }
    let folder = folder_parse(FolderId::mint(app.entropy.as_ref()), subject.level(), draft)?;
    let now = app.clock.now();
    let during = || AppError::db("adding a folder");
    let mut tx = app.db.write().await.map_err(during())?;
    subject_known(&mut tx, subject).await?;
    insert(&mut tx, now, actor, subject, &folder).await?;
    tx.commit().await.map_err(during())?;
    Ok(folder)
}

/// Changes what a folder of a profile or a user says.
///
/// # Errors
/// As `add`; `folder_unknown`.
pub async fn change(app: &App, actor: &AdminActor, id: FolderId, draft: &FolderDraft) -> Result<Folder, AppError> {
    let now = app.clock.now();
    let during = || AppError::db("changing a folder");
    let mut tx = app.db.write().await.map_err(during())?;
    let (subject, before) = found(&mut tx, actor, id).await?;
    let folder = folder_parse(id, subject.level(), draft)?;
    revision_grow(&mut tx, subject).await?;
    if !db::folder_update(&mut tx, &folder).await.map_err(during())? {
        return Err(Refusal::FolderExists.into());
    }
    let detail = format!("{}: {} to {}", subject_text(subject), shown(&before), shown(&folder));
    audit(&mut tx, now, actor, "folder_change", id, detail).await?;
    tx.commit().await.map_err(during())?;
    changed(app, subject);
    Ok(folder)
}

/// Removes a folder, wherever it is. What was backed up of it stays.
///
/// # Errors
/// `folder_unknown`; `not_permitted`.
pub async fn remove(app: &App, actor: &AdminActor, id: FolderId) -> Result<(), AppError> {
    let now = app.clock.now();
    let during = || AppError::db("removing a folder");
    let mut tx = app.db.write().await.map_err(during())?;
    let (subject, folder) = found(&mut tx, actor, id).await?;
    drop_folder(&mut tx, now, actor, subject, &folder).await?;
    tx.commit().await.map_err(during())?;
    changed(app, subject);
    Ok(())
}

/// Adds a folder of the user's own to the device that asks. One that says the same is given again.
///
/// # Errors
/// The refusal of the device's state; `policy_not_allowed`; `folder_path_invalid`, `pattern_invalid`,
/// `folder_exists`, `folder_limit`.
pub async fn own_add(
    app: &App,
    actor: &DeviceActor,
    path: &str,
    include: Vec<String>,
    exclude: Vec<String>,
) -> Result<EffectiveFolder, AppError> {
    let now = app.clock.now();
    let during = || AppError::db("adding a device's own folder");
    let mut tx = app.db.write().await.map_err(during())?;
    let Own { subject, policy, os, .. } = own(&mut tx, actor, now).await?;
    policy.user_may(Key::UserMayAddFolders)?;
    let draft =
        FolderDraft { os: os.unwrap_or(FolderOs::Any), path: path.to_owned(), mandatory: false, include, exclude };
    let folder = folder_parse(FolderId::mint(app.entropy.as_ref()), PolicyLevel::Device, &draft)?;
    let there = db::folder_list(&mut tx, subject).await.map_err(during())?;
    if let Some(same) = there.into_iter().find(|other| Folder { id: folder.id, ..other.clone() } == folder) {
        // ORDER: committed before it is answered: the other may share this commit, and not be durable yet.
        tx.commit().await.map_err(during())?;
        return Ok(EffectiveFolder { folder: same, linked: true });
    }
    insert(&mut tx, now, actor, subject, &folder).await?;
    tx.commit().await.map_err(during())?;
    changed(app, subject);
    Ok(EffectiveFolder { folder, linked: true })
}

/// Removes a folder of the user's own. What was backed up of it stays.
///
/// # Errors
/// The refusal of the device's state; `folder_not_yours` for every other folder.
pub async fn own_remove(app: &App, actor: &DeviceActor, id: FolderId) -> Result<(), AppError> {
    let now = app.clock.now();
    let during = || AppError::db("removing a device's own folder");
    let mut tx = app.db.write().await.map_err(during())?;
    let Own { subject, folders, .. } = own(&mut tx, actor, now).await?;
    let folder = folders.into_iter().find(|folder| folder.id == id && folder.from == PolicyLevel::Device);
    let folder = folder.ok_or(Refusal::FolderNotYours)?;
    drop_folder(&mut tx, now, actor, subject, &folder).await?;
    tx.commit().await.map_err(during())?;
    changed(app, subject);
    Ok(())
}

/// Takes a folder out of the backup of the device that asks, or in again. What is so already stays so. One that was
/// added at the device too is not taken out: it would be backed up all the same.
///
/// # Errors
/// The refusal of the device's state; `folder_not_yours`, `folder_own`, `folder_mandatory`; `policy_not_allowed`.
pub async fn own_link(app: &App, actor: &DeviceActor, id: FolderId, linked: bool) -> Result<EffectiveFolder, AppError> {
    let now = app.clock.now();
    let during = || AppError::db("unlinking a folder");
    let mut tx = app.db.write().await.map_err(during())?;
    let Own { subject, policy, os, folders } = own(&mut tx, actor, now).await?;
    let unlinked = db::unlinked_list(&mut tx, actor.device).await.map_err(during())?;
    let effective = folders_of(&policy, os, folders, &unlinked);
    let found = effective.iter().find(|found| found.folder.id == id).ok_or(Refusal::FolderNotYours)?;
    let folder = found.folder.clone();
    let own_too = effective.iter().any(|own| own.folder.from == PolicyLevel::Device && own.folder.path == folder.path);
    let is_out = unlinked.contains(&id);
    // Taking in is always possible; it also clears what does not count at present.
    if !linked {
        may_unlink(&policy, &folder)?;
        if own_too {
            return Err(Refusal::FolderOwn.into());
        }
    }
    if linked == is_out {
        revision_grow(&mut tx, subject).await?;
        let action = if linked {
            db::unlinked_remove(&mut tx, actor.device, id).await.map_err(during())?;
            "folder_link"
        } else {
            db::unlinked_insert(&mut tx, actor.device, id, now).await.map_err(during())?;
            "folder_unlink"
        };
        audit(&mut tx, now, actor, action, id, shown(&folder)).await?;
    }
    tx.commit().await.map_err(during())?;
    if linked == is_out {
        changed(app, subject);
    }
    Ok(EffectiveFolder { folder, linked })
}

/// A device that may change its policy, and what it has.
struct Own {
    subject: PolicySubject,
    policy: control::policy::EffectivePolicy,
    os: Option<FolderOs>,
    folders: Vec<Folder>,
}

async fn own(tx: &mut Tx, actor: &DeviceActor, now: Timestamp) -> Result<Own, AppError> {
    let during = || AppError::db("reading a device's folders");
    runs::allowed(tx, actor, now, Verb::ChangePolicy).await?;
    let loaded = policy::levels(tx, actor.user, Some(actor.device)).await?;
    let folders = db::folder_list_by_levels(tx, loaded.profile.id, actor.user, Some(actor.device)).await;
    let device = db::device_get(tx, actor.device).await.map_err(during())?.ok_or(Refusal::SessionInvalid)?;
    Ok(Own {
        subject: PolicySubject::Device(actor.device),
        policy: effective(&loaded.levels),
        os: policy::device_os(&device.about.os),
        folders: folders.map_err(during())?,
    })
}

/// The folder that an admin names, and whose it is.
async fn found(tx: &mut Tx, actor: &AdminActor, id: FolderId) -> Result<(PolicySubject, Folder), AppError> {
    actor.need(Permit::ProfileManage)?;
    let found = db::folder_get(tx, id).await.map_err(AppError::db("reading a folder"))?;
    found.ok_or_else(|| {
        AppError::not_found(
            "folder_unknown",
            format!("There is no folder {id}: `profile show` lists those of a profile."),
        )
    })
}

/// A draft as it is stored.
///
/// # Errors
/// `folder_path_invalid`, `pattern_invalid`.
fn folder_parse(id: FolderId, from: PolicyLevel, draft: &FolderDraft) -> Result<Folder, AppError> {
    let path = path_parse(draft.os, &draft.path)?;
    pattern::check_all(&draft.include)?;
    pattern::check_all(&draft.exclude)?;
    let (include, exclude) = (draft.include.clone(), draft.exclude.clone());
    let mandatory = draft.mandatory && from != PolicyLevel::Device;
    Ok(Folder { id, from, os: draft.os, path, mandatory, include, exclude })
}

async fn insert(
    tx: &mut Tx,
    now: Timestamp,
    by: &impl Doer,
    subject: PolicySubject,
    folder: &Folder,
) -> Result<(), AppError> {
    let during = || AppError::db("adding a folder");
    revision_grow(tx, subject).await?;
    if db::folder_list(tx, subject).await.map_err(during())?.len() >= FOLDERS_MAX {
        return Err(Refusal::FolderLimit { max: Count::of(FOLDERS_MAX) }.into());
    }
    if !db::folder_insert(tx, subject, folder, now).await.map_err(during())? {
        return Err(Refusal::FolderExists.into());
    }
    let detail = format!("{}: {}", subject_text(subject), shown(folder));
    audit(tx, now, by, "folder_add", folder.id, detail).await
}

async fn drop_folder(
    tx: &mut Tx,
    now: Timestamp,
    by: &impl Doer,
    subject: PolicySubject,
    folder: &Folder,
) -> Result<(), AppError> {
    let during = || AppError::db("removing a folder");
    revision_grow(tx, subject).await?;
    db::unlinked_remove_by_folder(tx, folder.id).await.map_err(during())?;
    db::folder_remove(tx, folder.id).await.map_err(during())?;
    let detail = format!("{}: {}", subject_text(subject), shown(folder));
    audit(tx, now, by, "folder_remove", folder.id, detail).await
}

async fn audit(
    tx: &mut Tx,
    now: Timestamp,
    by: &impl Doer,
    action: &str,
    id: FolderId,
    detail: String,
) -> Result<(), AppError> {
    audit::write(tx, now, Deed { action, subject: id.to_string(), detail, ..Deed::by(by) }).await
}

/// As the audit log writes it: `${home}/Documents (any, mandatory)`, and how many patterns there are.
fn shown(folder: &Folder) -> String {
    let mandatory = if folder.mandatory { ", mandatory" } else { "" };
    let patterns = match (folder.include.len(), folder.exclude.len()) {
        (0, 0) => String::new(),
        (include, exclude) => format!(", {include} included, {exclude} excluded"),
    };
    format!("{} ({}{mandatory}{patterns})", folder.path, folder.os.word())
}
