//! `/api/v1/profiles`. Refuses to decide: `app::profiles` does.

use crate::admin::extract::{AtAdmin, Body, Named, Query, ask};
use crate::admin::policies::{pairs, word_of};
use crate::admin::{Entry, delete, get, post};
use crate::reply::{Reply, Yes};
use app::profiles::{self, Difference, Preview, ProfileView};
use base::ProfileId;
use control::Permit;
use protocol::Text;
use protocol::admin::policy::ValuesSet;
use protocol::admin::profile::{Profile, ProfileAssign, ProfileDifference, ProfileName, ProfilePreview, ProfileQuery};
use protocol::admin::{Nothing, Page};

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::{ProfileManage, ProfileRead};
    vec![
        get("profile_list", "/api/v1/profiles", ProfileRead, "Profiles, by name.", list),
        post("profile_make", "/api/v1/profiles", ProfileManage, "Make a profile without anything of its own.", make),
        get("profile_show", "/api/v1/profiles/{profile}", ProfileRead, "One profile.", show),
        delete("profile_remove", "/api/v1/profiles/{profile}", ProfileManage,
            "Remove a profile that no user has, with its values and folders.", remove),
        post("profile_copy", "/api/v1/profiles/{profile}/copy", ProfileManage,
            "Make a profile with the values and folders of another.", copy),
        post("profile_rename", "/api/v1/profiles/{profile}/rename", ProfileManage, "Rename a profile.", rename),
        post("profile_assign", "/api/v1/profiles/{profile}/assign", ProfileManage,
            "Give a user a profile; it holds at once.", assign),
        post("profile_preview", "/api/v1/profiles/{profile}/preview", ProfileRead,
            "What setting these values would change, and for how many; changes nothing.", preview),
    ]
}

async fn list(at: AtAdmin, Query(query): Query<ProfileQuery>) -> Reply<Page<Profile>> {
    let ProfileQuery { after, limit, name } = query;
    let page = profiles::page(&at.app, &at.actor, name.as_deref(), &ask(after, limit)?).await?;
    Ok(Yes(Page { items: page.items.into_iter().map(profile).collect(), next: page.next }))
}

async fn make(at: AtAdmin, Body(body): Body<ProfileName>) -> Reply<Profile> {
    Ok(Yes(profile(profiles::make(&at.app, &at.actor, &body.name).await?)))
}

async fn show(at: AtAdmin, Named(id): Named<ProfileId>) -> Reply<Profile> {
    Ok(Yes(profile(profiles::get(&at.app, &at.actor, id).await?)))
}

async fn remove(at: AtAdmin, Named(id): Named<ProfileId>) -> Reply<Nothing> {
    profiles::remove(&at.app, &at.actor, id).await?;
    Ok(Yes(Nothing {}))
}

async fn copy(at: AtAdmin, Named(id): Named<ProfileId>, Body(body): Body<ProfileName>) -> Reply<Profile> {
    Ok(Yes(profile(profiles::copy(&at.app, &at.actor, id, &body.name).await?)))
}

async fn rename(at: AtAdmin, Named(id): Named<ProfileId>, Body(body): Body<ProfileName>) -> Reply<Profile> {
    Ok(Yes(profile(profiles::rename(&at.app, &at.actor, id, &body.name).await?)))
}

async fn assign(at: AtAdmin, Named(id): Named<ProfileId>, Body(body): Body<ProfileAssign>) -> Reply<Nothing> {
    profiles::assign(&at.app, &at.actor, id, body.user.0).await?;
    Ok(Yes(Nothing {}))
}

async fn preview(at: AtAdmin, Named(id): Named<ProfileId>, Body(body): Body<ValuesSet>) -> Reply<ProfilePreview> {
    let Preview { users, devices, users_changed, devices_changed, differences } =
        profiles::preview(&at.app, &at.actor, id, &pairs(body)).await?;
    let difference = |difference: Difference| ProfileDifference {
        key: word_of(difference.key),
        was: difference.was.to_string(),
        now: difference.now.to_string(),
        users: difference.users.0,
        devices: difference.devices.0,
    };
    Ok(Yes(ProfilePreview {
        users: users.0,
        devices: devices.0,
        users_changed: users_changed.0,
        devices_changed: devices_changed.0,
        differences: differences.into_iter().map(difference).collect(),
    }))
}

fn profile(view: ProfileView) -> Profile {
    let ProfileView { id, name, is_default, created_at, users, revision } = view;
    Profile { profile: Text(id), name, is_default, users: users.0, revision, created_at_ms: created_at.as_ms() }
}
