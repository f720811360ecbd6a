//! What a device is to do, and what its user may change of it. Refuses to decide: `app::policy` and `app::folders` do.

use crate::extract::{AtDevice, FromJson, Named};
use crate::reply::{Reply, Yes};
use app::policy::PolicyView;
use base::FolderId;
use control::policy::{self as rules, EffectiveFolder, Key};
use protocol::Text;
use protocol::agent::policy as wire;

/// `GET /v1/policy`.
pub(crate) async fn show(at: AtDevice) -> Reply<wire::PolicyReply> {
    Ok(Yes(to_wire(app::policy::own(&at.app, &at.actor).await?)))
}

/// `PATCH /v1/policy/values`.
pub(crate) async fn values(at: AtDevice, FromJson(request): FromJson<wire::ValuesRequest>) -> Reply<wire::PolicyReply> {
    let values: Vec<(String, Option<String>)> = request.values.into_iter().collect();
    Ok(Yes(to_wire(app::policy::own_set(&at.app, &at.actor, &values).await?)))
}

/// `POST /v1/policy/folders`.
pub(crate) async fn folder_add(
    at: AtDevice,
    FromJson(request): FromJson<wire::FolderRequest>,
) -> Reply<wire::PolicyFolder> {
    let wire::FolderRequest { path, include, exclude } = request;
    let folder = app::folders::own_add(&at.app, &at.actor, &path, include, exclude).await?;
    Ok(Yes(folder_to_wire(folder)))
}

/// `DELETE /v1/policy/folders/{folder}`.
pub(crate) async fn folder_remove(at: AtDevice, Named(folder): Named<FolderId>) -> Reply<()> {
    app::folders::own_remove(&at.app, &at.actor, folder).await?;
    Ok(Yes(()))
}

/// `POST /v1/policy/folders/{folder}/unlink`.
pub(crate) async fn folder_unlink(at: AtDevice, Named(folder): Named<FolderId>) -> Reply<wire::PolicyFolder> {
    let folder = app::folders::own_link(&at.app, &at.actor, folder, false).await?;
    Ok(Yes(folder_to_wire(folder)))
}

/// `POST /v1/policy/folders/{folder}/link`.
pub(crate) async fn folder_link(at: AtDevice, Named(folder): Named<FolderId>) -> Reply<wire::PolicyFolder> {
    let folder = app::folders::own_link(&at.app, &at.actor, folder, true).await?;
    Ok(Yes(folder_to_wire(folder)))
}

/// What an activation has changed, as it travels.
pub(crate) fn changes_to_wire(changes: rules::PolicyChanges) -> wire::PolicyChanges {
    let folder = |change: rules::FolderChange| wire::FolderChange { folder: Text(change.folder), path: change.path };
    let value = |change: rules::ValueChange| wire::ValueChange {
        key: change.key.to_string(),
        was: change.was.to_string(),
        now: change.now.to_string(),
    };
    wire::PolicyChanges {
        kept: changes.kept,
        folders: changes.folders.into_iter().map(folder).collect(),
        values: changes.values.into_iter().map(value).collect(),
    }
}

fn to_wire(view: PolicyView) -> wire::PolicyReply {
    let PolicyView { revision, profile: _, profile_name, policy, may_change, folders, used } = view;
    let value = |(key, value, level): (Key, &rules::Value, rules::PolicyLevel)| wire::PolicyValue {
        key: key.to_string(),
        value: value.to_string(),
        from: level.to_string(),
        may_change: may_change.contains(&key),
    };
    wire::PolicyReply {
        revision,
        profile: profile_name,
        values: policy.iter().map(value).collect(),
        folders: folders.into_iter().map(folder_to_wire).collect(),
        exclusions: policy.exclusions().to_vec(),
        quota: wire::QuotaDetail {
            used: used.0,
            limit: policy.quota().map(|limit| limit.0),
            from: policy.from(Key::Quota).to_string(),
        },
    }
}

fn folder_to_wire(folder: EffectiveFolder) -> wire::PolicyFolder {
    let EffectiveFolder { folder, linked } = folder;
    wire::PolicyFolder {
        folder: Text(folder.id),
        path: folder.path,
        os: folder.os.word().to_owned(),
        from: folder.from.to_string(),
        mandatory: folder.mandatory,
        linked,
        include: folder.include,
        exclude: folder.exclude,
    }
}
