//! `/api/v1/users`. Refuses to show a password's hash, and to say anything of a password but that it was set.

use crate::admin::extract::{AtAdmin, Body, Named, Query, ask, word};
use crate::admin::{Entry, get, post};
use crate::reply::{Reply, Yes};
use crate::routes::SIGN_IN_SPAN;
use app::password::Password;
use app::users::{self, Lockout, UserFilter, UserView};
use base::{Timestamp, UserId};
use control::{Permit, UserEvent, UserState};
use protocol::Text;
use protocol::admin::Page;
use protocol::admin::user::{PasswordSet, User, UserAdd, UserLockout, UserQuery};

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::{UserManage, UserRead};
    vec![
        get("user_list", "/api/v1/users", UserRead, "Users, by address.", list),
        post("user_add", "/api/v1/users", UserManage, "Add a user, who may then activate devices.", add)
            .span(SIGN_IN_SPAN),
        get("user_show", "/api/v1/users/{user}", UserRead, "One user.", show),
        post("user_password_set", "/api/v1/users/{user}/password", UserManage,
            "Give a user another password, and end a lock-out.", password_set).span(SIGN_IN_SPAN),
        post("user_lock", "/api/v1/users/{user}/lock", UserManage,
            "Lock a user out, with every device of the user, at once; everything is kept.", lock),
        post("user_unlock", "/api/v1/users/{user}/unlock", UserManage, 
            "End a lock, and what wrong passwords have locked.", unlock),
        post("user_preserve", "/api/v1/users/{user}/preserve", UserManage,
            "The user has left: stop the service, keep the data.", preserve),
        post("user_activate", "/api/v1/users/{user}/activate", UserManage,
            "Let a locked or preserved user act again.", activate),
        post("user_delete", "/api/v1/users/{user}/delete", UserManage,
            "Delete a user; for some days the deletion can be taken back.", delete),
        post("user_undelete", "/api/v1/users/{user}/undelete", UserManage, "Take a deletion back.", undelete),
    ]
}

async fn list(at: AtAdmin, Query(query): Query<UserQuery>) -> Reply<Page<User>> {
    let UserQuery { after, limit, email, part, state, profile } = query;
    let state = word("state", state.as_deref(), &UserState::ALL, UserState::word)?;
    let lower = |text: Option<String>| text.map(|text| text.trim().to_lowercase());
    let filter = UserFilter { email: lower(email), part: lower(part), state, profile: profile.map(|id| id.0) };
    let page = users::page(&at.app, &at.actor, &filter, &ask(after, limit)?).await?;
    Ok(Yes(Page { items: page.items.into_iter().map(user).collect(), next: page.next }))
}

async fn add(at: AtAdmin, Body(body): Body<UserAdd>) -> Reply<User> {
    let password = body.password.map(Password::new);
    let added = users::add(&at.app, &at.actor, &body.email, password.as_ref()).await?;
    Ok(Yes(user(added)))
}

async fn show(at: AtAdmin, Named(id): Named<UserId>) -> Reply<User> {
    Ok(Yes(user(users::get(&at.app, &at.actor, id).await?)))
}

async fn password_set(at: AtAdmin, Named(id): Named<UserId>, Body(body): Body<PasswordSet>) -> Reply<User> {
    Ok(Yes(user(users::password_set(&at.app, &at.actor, id, &Password::new(body.password)).await?)))
}

async fn lock(at: AtAdmin, Named(id): Named<UserId>) -> Reply<User> {
    change(at, id, UserEvent::Lock).await
}

async fn unlock(at: AtAdmin, Named(id): Named<UserId>) -> Reply<User> {
    change(at, id, UserEvent::Unlock).await
}

async fn preserve(at: AtAdmin, Named(id): Named<UserId>) -> Reply<User> {
    change(at, id, UserEvent::Preserve).await
}

async fn activate(at: AtAdmin, Named(id): Named<UserId>) -> Reply<User> {
    change(at, id, UserEvent::Activate).await
}

async fn delete(at: AtAdmin, Named(id): Named<UserId>) -> Reply<User> {
    change(at, id, UserEvent::Delete).await
}

async fn undelete(at: AtAdmin, Named(id): Named<UserId>) -> Reply<User> {
    change(at, id, UserEvent::Undelete).await
}

async fn change(at: AtAdmin, id: UserId, event: UserEvent) -> Reply<User> {
    Ok(Yes(user(users::change(&at.app, &at.actor, id, event).await?)))
}

fn user(view: UserView) -> User {
    let UserView { id, email, state, devices, created_at, profile, purge_after, lockouts } = view;
    let lockout = |Lockout { source, wrong, until }: Lockout| UserLockout {
        source: Some(source).filter(|source| !source.is_empty()),
        wrong: wrong.0,
        until_ms: until.as_ms(),
    };
    User {
        user: Text(id),
        email,
        state: state.word().to_owned(),
        devices,
        profile: profile.map(Text),
        created_at_ms: created_at.as_ms(),
        purge_after_ms: purge_after.map(Timestamp::as_ms),
        lockouts: lockouts.into_iter().map(lockout).collect(),
    }
}
