//! Links by which users set passwords, and the password policy. Refuses to show a link but in the answer that makes it.

use crate::admin::extract::{AtAdmin, Body, Named, one_of};
use crate::admin::{Entry, get, post};
use crate::reply::{Reply, Yes};
use app::passwords::{self, LinkWay, Purpose};
use base::UserId;
use control::Permit;
use control::password::PasswordSetting as Setting;
use protocol::admin::password::{LinkMade, LinkMake, LinkPurpose, PasswordPolicy, PasswordPolicySet, PasswordSetting};

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::{SettingManage, SettingRead, UserManage};
    vec![
        post("user_link_make", "/api/v1/users/{user}/links", UserManage,
            "Make a link by which the user sets a password, and mail it; older links end.", link_make),
        get("password_policy_show", "/api/v1/password-policy", SettingRead,
            "What the organisation asks of passwords.", show),
        post("password_policy_set", "/api/v1/password-policy", SettingManage,
            "Set a number of the password policy.", set),
    ]
}

async fn link_make(at: AtAdmin, Named(id): Named<UserId>, Body(body): Body<LinkMake>) -> Reply<LinkMade> {
    let purpose = match body.purpose {
        LinkPurpose::Set => Purpose::Set,
        LinkPurpose::Reset => Purpose::Reset,
    };
    let made = passwords::link_make(&at.app, &at.actor, id, purpose, body.show).await?;
    let (email, expires_at_ms) = (made.email, made.expires_at.as_ms());
    let (link, unmailed) = match made.way {
        LinkWay::Mailed => (None, None),
        LinkWay::Shown { link, why } => (Some(link.expose().to_owned()), Some(why.word().to_owned())),
    };
    Ok(Yes(LinkMade { email, mailed: link.is_none(), link, unmailed, expires_at_ms }))
}

async fn show(at: AtAdmin) -> Reply<PasswordPolicy> {
    Ok(Yes(policy(&passwords::policy(&at.app, &at.actor).await?)))
}

async fn set(at: AtAdmin, Body(body): Body<PasswordPolicySet>) -> Reply<PasswordPolicy> {
    let setting = one_of("setting", &body.setting, &Setting::ALL, Setting::word)?;
    Ok(Yes(policy(&passwords::policy_set(&at.app, &at.actor, setting, body.value).await?)))
}

fn policy(policy: &control::password::PasswordPolicy) -> PasswordPolicy {
    let setting = |setting: Setting| {
        let (min, max) = setting.range();
        PasswordSetting { setting: setting.word().to_owned(), value: policy.setting(setting), min, max }
    };
    PasswordPolicy { settings: Setting::ALL.into_iter().map(setting).collect() }
}
