//! Policies at every level, folders and quota in `/api/v1`. Refuses to decide: `app::policy`, `app::folders` and
//! `app::quota` do.

use crate::admin::extract::{AtAdmin, Body, Named, Query, ask, word};
use crate::admin::{Entry, delete, get, post, put};
use crate::reply::{No, Reply, Yes};
use app::PolicySubject;
use app::folders::{self, FolderDraft};
use app::policy::{self, PolicyView};
use app::quota::{self, QuotaView};
use base::{Bytes, DeviceId, FolderId, ProfileId, UserId};
use control::Permit;
use control::policy::{self as rules, EffectiveFolder, FolderOs, Key};
use protocol::Text;
use protocol::admin::policy::{
    Folder, FolderSet, Folders, HeldFolder, HeldValue, LevelValue, LevelValues, Policy, PolicyKey, PolicyKeys, Quota,
    ValuesSet,
};
use protocol::admin::{Nothing, Page, PageQuery};

/// A body with a few hundred patterns.
const LIST_BYTES_MAX: Bytes = Bytes::kib(256);

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::{ProfileManage, ProfileRead, UserRead};
    vec![
        get("policy_list", "/api/v1/policies", ProfileRead, "Every policy: what may be set, and where.", keys),
        get("organisation_values", "/api/v1/organisation/values", ProfileRead, "What the organisation has set.",
            of_all),
        post("organisation_values_set", "/api/v1/organisation/values", ProfileManage,
            "Set values for everyone, or take them back.", of_all_set).body(LIST_BYTES_MAX),
        get("profile_values", "/api/v1/profiles/{profile}/values", ProfileRead, "What a profile has set.", of_profile),
        post("profile_values_set", "/api/v1/profiles/{profile}/values", ProfileManage,
            "Set a profile's values, or take them back.", of_profile_set).body(LIST_BYTES_MAX),
        get("profile_folders", "/api/v1/profiles/{profile}/folders", ProfileRead, "The folders of a profile.",
            profile_folders),
        post("profile_folder_add", "/api/v1/profiles/{profile}/folders", ProfileManage, "Add a folder to a profile.",
            profile_folder_add).body(LIST_BYTES_MAX),
        get("user_values", "/api/v1/users/{user}/values", ProfileRead, "What was set for a user.", of_user),
        post("user_values_set", "/api/v1/users/{user}/values", ProfileManage, "Set a user's values, or take them back.",
            of_user_set).body(LIST_BYTES_MAX),
        get("user_folders", "/api/v1/users/{user}/folders", ProfileRead, "The folders that one user has besides.",
            user_folders),
        post("user_folder_add", "/api/v1/users/{user}/folders", ProfileManage, "Add a folder for one user.",
            user_folder_add).body(LIST_BYTES_MAX),
        get("user_policy", "/api/v1/users/{user}/policy", ProfileRead,
            "What holds for a user, and where it comes from.", user_policy),
        get("user_quota", "/api/v1/users/{user}/quota", UserRead, "What a user takes, and may take.", user_quota),
        get("device_values", "/api/v1/devices/{device}/values", ProfileRead, "What was set at a device.", of_device),
        post("device_values_set", "/api/v1/devices/{device}/values", ProfileManage,
            "Set a device's values, or take them back.", of_device_set).body(LIST_BYTES_MAX),
        get("device_policy", "/api/v1/devices/{device}/policy", ProfileRead,
            "What holds for a device, and where it comes from.", device_policy),
        put("folder_change", "/api/v1/folders/{folder}", ProfileManage, "Change what a folder says.",
            folder_change).body(LIST_BYTES_MAX),
        delete("folder_remove", "/api/v1/folders/{folder}", ProfileManage,
            "Remove a folder; what was backed up of it stays.", folder_remove),
        get("quota_list", "/api/v1/quota", UserRead, "What users take, and may take, by identifier.", quota_list),
    ]
}

async fn keys(at: AtAdmin) -> Reply<PolicyKeys> {
    at.actor.need(Permit::ProfileRead)?;
    let key = |key: &Key| PolicyKey {
        key: word_of(*key),
        default: key.default_text().to_owned(),
        allowed: key.allowed().to_owned(),
        levels: key.levels().iter().map(ToString::to_string).collect(),
        user_may: key.user_permit().map(word_of),
        resets: key.resets(),
        obeyed_by: key.obeyed_by().word().to_owned(),
    };
    Ok(Yes(PolicyKeys { items: Key::ALL.iter().map(key).collect() }))
}

async fn of_all(at: AtAdmin) -> Reply<LevelValues> {
    values(&at, PolicySubject::Organisation).await
}

async fn of_all_set(at: AtAdmin, Body(body): Body<ValuesSet>) -> Reply<LevelValues> {
    set(&at, PolicySubject::Organisation, body).await
}

async fn of_profile(at: AtAdmin, Named(id): Named<ProfileId>) -> Reply<LevelValues> {
    values(&at, PolicySubject::Profile(id)).await
}

async fn of_profile_set(at: AtAdmin, Named(id): Named<ProfileId>, Body(body): Body<ValuesSet>) -> Reply<LevelValues> {
    set(&at, PolicySubject::Profile(id), body).await
}

async fn of_user(at: AtAdmin, Named(id): Named<UserId>) -> Reply<LevelValues> {
    values(&at, PolicySubject::User(id)).await
}

async fn of_user_set(at: AtAdmin, Named(id): Named<UserId>, Body(body): Body<ValuesSet>) -> Reply<LevelValues> {
    set(&at, PolicySubject::User(id), body).await
}

async fn of_device(at: AtAdmin, Named(id): Named<DeviceId>) -> Reply<LevelValues> {
    values(&at, PolicySubject::Device(id)).await
}

async fn of_device_set(at: AtAdmin, Named(id): Named<DeviceId>, Body(body): Body<ValuesSet>) -> Reply<LevelValues> {
    set(&at, PolicySubject::Device(id), body).await
}

async fn profile_folders(at: AtAdmin, Named(id): Named<ProfileId>) -> Reply<Folders> {
    folders_of(&at, PolicySubject::Profile(id)).await
}

async fn profile_folder_add(at: AtAdmin, Named(id): Named<ProfileId>, Body(body): Body<FolderSet>) -> Reply<Folder> {
    folder_add(&at, PolicySubject::Profile(id), body).await
}

async fn user_folders(at: AtAdmin, Named(id): Named<UserId>) -> Reply<Folders> {
    folders_of(&at, PolicySubject::User(id)).await
}

async fn user_folder_add(at: AtAdmin, Named(id): Named<UserId>, Body(body): Body<FolderSet>) -> Reply<Folder> {
    folder_add(&at, PolicySubject::User(id), body).await
}

async fn folder_change(at: AtAdmin, Named(id): Named<FolderId>, Body(body): Body<FolderSet>) -> Reply<Folder> {
    Ok(Yes(folder(folders::change(&at.app, &at.actor, id, &draft(body)?).await?)))
}

async fn folder_remove(at: AtAdmin, Named(id): Named<FolderId>) -> Reply<Nothing> {
    folders::remove(&at.app, &at.actor, id).await?;
    Ok(Yes(Nothing {}))
}

async fn user_policy(at: AtAdmin, Named(id): Named<UserId>) -> Reply<Policy> {
    Ok(Yes(held(policy::of_user(&at.app, &at.actor, id).await?)))
}

async fn device_policy(at: AtAdmin, Named(id): Named<DeviceId>) -> Reply<Policy> {
    Ok(Yes(held(policy::of_device(&at.app, &at.actor, id).await?)))
}

async fn user_quota(at: AtAdmin, Named(id): Named<UserId>) -> Reply<Quota> {
    Ok(Yes(taken(quota::of_user(&at.app, &at.actor, id).await?)))
}

async fn quota_list(at: AtAdmin, Query(query): Query<PageQuery>) -> Reply<Page<Quota>> {
    let page = quota::page(&at.app, &at.actor, &ask(query.after, query.limit)?).await?;
    Ok(Yes(Page { items: page.items.into_iter().map(taken).collect(), next: page.next }))
}

/// Values as `app` takes them. Never fails.
pub(super) fn pairs(body: ValuesSet) -> Vec<(String, Option<String>)> {
    body.values.into_iter().collect()
}

/// A policy's word. Never fails.
pub(super) fn word_of(key: Key) -> String {
    key.word().to_owned()
}

async fn values(at: &AtAdmin, subject: PolicySubject) -> Reply<LevelValues> {
    let rows = policy::values(&at.app, &at.actor, subject).await?;
    Ok(Yes(LevelValues { items: rows.iter().map(|row| value(row.key, &row.set)).collect() }))
}

async fn set(at: &AtAdmin, subject: PolicySubject, body: ValuesSet) -> Reply<LevelValues> {
    let rows = policy::set(&at.app, &at.actor, subject, &pairs(body)).await?;
    Ok(Yes(LevelValues { items: rows.iter().map(|row| value(row.key, &row.set)).collect() }))
}

fn value(key: Key, set: &rules::Set) -> LevelValue {
    LevelValue { key: word_of(key), value: set.value.to_string(), by_user: set.by_user }
}

async fn folders_of(at: &AtAdmin, subject: PolicySubject) -> Reply<Folders> {
    let items = folders::list(&at.app, &at.actor, subject).await?;
    Ok(Yes(Folders { items: items.into_iter().map(folder).collect() }))
}

async fn folder_add(at: &AtAdmin, subject: PolicySubject, body: FolderSet) -> Reply<Folder> {
    Ok(Yes(folder(folders::add(&at.app, &at.actor, subject, &draft(body)?).await?)))
}

fn draft(body: FolderSet) -> Result<FolderDraft, No> {
    let FolderSet { os, path, mandatory, include, exclude } = body;
    let os = word("os", os.as_deref(), &FolderOs::ALL, FolderOs::word)?.unwrap_or(FolderOs::Any);
    Ok(FolderDraft { os, path, mandatory, include, exclude })
}

fn folder(folder: rules::Folder) -> Folder {
    let rules::Folder { id, from, os, path, mandatory, include, exclude } = folder;
    let (from, os) = (from.to_string(), os.word().to_owned());
    Folder { folder: Text(id), from, os, path, mandatory, include, exclude }
}

fn held(view: PolicyView) -> Policy {
    let PolicyView { revision, profile, profile_name, policy, may_change, folders, used } = view;
    let value = |(key, value, level): (Key, &rules::Value, rules::PolicyLevel)| HeldValue {
        key: word_of(key),
        value: value.to_string(),
        from: level.to_string(),
        may_change: may_change.contains(&key),
    };
    let held = |found: EffectiveFolder| HeldFolder { folder: folder(found.folder), linked: found.linked };
    Policy {
        revision,
        profile: Text(profile),
        profile_name,
        values: policy.iter().map(value).collect(),
        folders: folders.into_iter().map(held).collect(),
        used: used.0,
    }
}

fn taken(view: QuotaView) -> Quota {
    let QuotaView { user, email, used, limit, from } = view;
    Quota { user: Text(user), email, used: used.0, limit: limit.map(|limit| limit.0), from: from.to_string() }
}
