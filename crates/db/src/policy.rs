//! Values of policies, one row a level, subject and policy. Refuses a text that the policy does not have: such a row
//! is damaged, never guessed at.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::{DeviceId, ProfileId, Timestamp, UserId};
use control::policy::{Key, PolicyLevel, Set, Value};

/// Whose value or folder it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicySubject {
    /// Everyone's.
    Organisation,
    /// A profile's.
    Profile(ProfileId),
    /// A user's.
    User(UserId),
    /// A device's.
    Device(DeviceId),
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyValueRow {
    /// At which level.
    pub level: PolicyLevel,
    /// Of which policy.
    pub key: Key,
    /// What was set.
    pub set: Set,
}

impl PolicySubject {
    /// The level. Never fails.
    pub const fn level(&self) -> PolicyLevel {
        match self {
            PolicySubject::Organisation => PolicyLevel::Organisation,
            PolicySubject::Profile(_) => PolicyLevel::Profile,
            PolicySubject::User(_) => PolicyLevel::User,
            PolicySubject::Device(_) => PolicyLevel::Device,
        }
    }

    /// The identifier's bytes; none of the organisation. Never fails.
    pub(crate) const fn bytes(&self) -> &[u8] {
        match self {
            PolicySubject::Organisation => &[],
            PolicySubject::Profile(id) => id.as_bytes(),
            PolicySubject::User(id) => id.as_bytes(),
            PolicySubject::Device(id) => id.as_bytes(),
        }
    }

    /// The subject with this level and identifier. Fails when they are of no subject.
    pub(crate) fn read(row: &Row) -> Result<Self, DbError> {
        match level(row)? {
            PolicyLevel::Profile => Ok(PolicySubject::Profile(ProfileId::from_bytes(row.bytes("subject")?))),
            PolicyLevel::User => Ok(PolicySubject::User(UserId::from_bytes(row.bytes("subject")?))),
            PolicyLevel::Device => Ok(PolicySubject::Device(DeviceId::from_bytes(row.bytes("subject")?))),
            PolicyLevel::Organisation => Ok(PolicySubject::Organisation),
            PolicyLevel::Default => Err(DbError::Column { column: "level", what: "the levels of a policy" }),
        }
    }
}

/// Sets a value; it takes the place of the one that is there.
///
/// # Errors
/// The database does not answer.
pub async fn policy_value_update(
    tx: &mut Tx,
    subject: PolicySubject,
    key: Key,
    set: &Set,
    now: Timestamp,
    by: &str,
) -> Result<(), DbError> {
    query(
        "insert into policy_value (level, subject, key, value, by_user, set_at, set_by) \
         values ($1, $2, $3, $4, $5, $6, $7) \
         on conflict (level, subject, key) do update set value = excluded.value, by_user = excluded.by_user, \
         set_at = excluded.set_at, set_by = excluded.set_by",
    )
    .bind(subject.level().word())
    .bind(subject.bytes())
    .bind(key.word())
    .bind(set.value.to_string())
    .bind(i64::from(set.by_user))
    .bind(now.as_ms())
    .bind(by)
    .execute(tx.conn())
    .await
    .map_err(failed("set the value of a policy"))?;
    Ok(())
}

/// Takes a value back, whoever has set it.
///
/// # Errors
/// The database does not answer.
pub async fn policy_value_remove(tx: &mut Tx, subject: PolicySubject, key: Key) -> Result<(), DbError> {
    query("delete from policy_value where level = $1 and subject = $2 and key = $3")
        .bind(subject.level().word())
        .bind(subject.bytes())
        .bind(key.word())
        .execute(tx.conn())
        .await
        .map_err(failed("take the value of a policy back"))?;
    Ok(())
}

/// Takes every value of a subject back.
///
/// # Errors
/// The database does not answer.
pub async fn policy_value_remove_by_subject(tx: &mut Tx, subject: PolicySubject) -> Result<(), DbError> {
    query("delete from policy_value where level = $1 and subject = $2")
        .bind(subject.level().word())
        .bind(subject.bytes())
        .execute(tx.conn())
        .await
        .map_err(failed("take the values of a subject back"))?;
    Ok(())
}

/// The values of one subject, by policy.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn policy_value_list(tx: &mut Tx, subject: PolicySubject) -> Result<Vec<PolicyValueRow>, DbError> {
    let rows =
        query("select level, key, value, by_user from policy_value where level = $1 and subject = $2 order by key")
            .bind(subject.level().word())
            .bind(subject.bytes())
            .fetch_all(tx.conn())
            .await
            .map_err(failed("list the values of a subject"))?;
    rows.iter().map(read).collect()
}

/// What the organisation, a profile, a user and, if given, a device have set.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn policy_value_list_by_levels(
    tx: &mut Tx,
    profile: ProfileId,
    user: UserId,
    device: Option<DeviceId>,
) -> Result<Vec<PolicyValueRow>, DbError> {
    let rows = query(
        "select level, key, value, by_user from policy_value where (level = 'organisation' and subject = $1) \
         or (level = 'profile' and subject = $2) or (level = 'user' and subject = $3) \
         or (level = 'device' and subject = $4)",
    )
    .bind(PolicySubject::Organisation.bytes())
    .bind(&profile.as_bytes()[..])
    .bind(&user.as_bytes()[..])
    // No device has an identifier without bytes.
    .bind(device.map_or_else(Vec::new, |device| device.as_bytes().to_vec()))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the values of all levels"))?;
    rows.iter().map(read).collect()
}

/// What the users of a profile and their devices have set for themselves, each with whose it is.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn policy_value_list_below_profile(
    tx: &mut Tx,
    profile: ProfileId,
) -> Result<Vec<(PolicySubject, PolicyValueRow)>, DbError> {
    let rows = query(
        "select v.level, v.subject, v.key, v.value, v.by_user from policy_value v \
         join \"user\" u on u.id = v.subject \
         where v.level = 'user' and coalesce(u.profile_id, (select id from profile where is_default = 1)) = $1 \
         union all \
         select v.level, v.subject, v.key, v.value, v.by_user from policy_value v \
         join device d on d.id = v.subject join \"user\" u on u.id = d.user_id \
         where v.level = 'device' and coalesce(u.profile_id, (select id from profile where is_default = 1)) = $1",
    )
    .bind(&profile.as_bytes()[..])
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the values below a profile"))?;
    rows.iter().map(|row| Ok((PolicySubject::read(row)?, read(row)?))).collect()
}

/// What is set, at any level, of when the devices back up that are watched at `now`: each value with whose it is.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn policy_value_list_watched(
    tx: &mut Tx,
    now: Timestamp,
) -> Result<Vec<(PolicySubject, PolicyValueRow)>, DbError> {
    let rows = query(
        "select v.level, v.subject, v.key, v.value, v.by_user from policy_value v \
         where v.key in ('interval', 'start_hours', 'blackout_hours', 'user_may_change_interval') \
         and (v.level in ('organisation', 'profile') \
         or (v.level = 'user' and exists (select 1 from device d where d.user_id = v.subject and d.watch_until > $1)) \
         or (v.level = 'device' and exists (select 1 from device d where d.id = v.subject and d.watch_until > $1)))",
    )
    .bind(now.as_ms())
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list when watched devices back up"))?;
    rows.iter().map(|row| Ok((PolicySubject::read(row)?, read(row)?))).collect()
}

/// A word that every level has, except the default one, which nobody sets.
fn level(row: &Row) -> Result<PolicyLevel, DbError> {
    let wrong = DbError::Column { column: "level", what: "the levels of a policy" };
    PolicyLevel::from_word(&row.text("level")?).ok_or(wrong)
}

fn read(row: &Row) -> Result<PolicyValueRow, DbError> {
    let wrong = |column| DbError::Column { column, what: "the policies and what they may say" };
    let key = Key::from_word(&row.text("key")?).ok_or_else(|| wrong("key"))?;
    let value = Value::parse(key, &row.text("value")?).map_err(|_| wrong("value"))?;
    Ok(PolicyValueRow { level: level(row)?, key, set: Set { value, by_user: row.int("by_user")? == 1 } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProfileRow, profile_insert, testing};

    const PROFILE: ProfileId = ProfileId::from_bytes([7; 16]);

    fn set(key: Key, text: &str, by_user: bool) -> Set {
        Set { value: Value::parse(key, text).expect("a value"), by_user }
    }

    #[tokio::test]
    async fn values_of_every_level_come_back_with_their_level_and_others_do_not() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let now = Timestamp::from_ms(1);
            let row = ProfileRow { id: PROFILE, name: "p".to_owned(), is_default: true, created_at: now, revision: 1 };
            profile_insert(&mut tx, &row).await.expect("a statement");
            let other = DeviceId::from_bytes([0xd2; 16]);
            testing::device(&mut tx, other).await;
            let subjects = [
                (PolicySubject::Organisation, "6h", false),
                (PolicySubject::Profile(PROFILE), "5h", false),
                (PolicySubject::User(testing::USER), "3h", false),
                (PolicySubject::Device(testing::DEVICE), "2h", true),
                (PolicySubject::Device(other), "1h", false),
            ];
            for (subject, text, by_user) in subjects {
                for text in ["off", text] {
                    let set = set(Key::Interval, text, by_user);
                    policy_value_update(&mut tx, subject, Key::Interval, &set, now, "x").await.expect("a statement");
                }
            }
            let device = Some(testing::DEVICE);
            let rows = policy_value_list_by_levels(&mut tx, PROFILE, testing::USER, device).await.expect("readable");
            let mut texts: Vec<String> = rows.iter().map(|row| format!("{} {}", row.level, row.set.value)).collect();
            texts.sort_unstable();
            assert_eq!(texts, ["device 2h", "organisation 6h", "profile 5h", "user 3h"]);
            let rows = policy_value_list_by_levels(&mut tx, PROFILE, testing::USER, None).await.expect("readable");
            assert_eq!(rows.len(), 3);
            let below = policy_value_list_below_profile(&mut tx, PROFILE).await.expect("readable");
            assert_eq!(below.len(), 3, "one of the user, one of each device");
            let own = PolicySubject::Device(testing::DEVICE);
            let rows = policy_value_list(&mut tx, own).await.expect("readable");
            assert_eq!(rows[0].set, set(Key::Interval, "2h", true));
            policy_value_remove(&mut tx, own, Key::CpuPriority).await.expect("a statement");
            assert_eq!(policy_value_list(&mut tx, own).await.expect("readable").len(), 1);
            policy_value_remove(&mut tx, own, Key::Interval).await.expect("a statement");
            assert!(policy_value_list(&mut tx, own).await.expect("readable").is_empty());
            policy_value_remove_by_subject(&mut tx, PolicySubject::Organisation).await.expect("a statement");
            assert!(policy_value_list(&mut tx, PolicySubject::Organisation).await.expect("readable").is_empty());
        }
    }

    #[tokio::test]
    async fn a_row_that_no_policy_has_is_damage() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            for (key, value) in [("intervall", "1h"), ("interval", "1 hour")] {
                query("delete from policy_value").execute(tx.conn()).await.expect("a statement");
                query(
                    "insert into policy_value (level, subject, key, value, set_at, set_by) \
                 values ('organisation', $1, $2, $3, 0, 'x')",
                )
                .bind(&[][..])
                .bind(key)
                .bind(value)
                .execute(tx.conn())
                .await
                .expect("a statement");
                let error = policy_value_list(&mut tx, PolicySubject::Organisation).await.expect_err("no such policy");
                assert_eq!(error.kind(), base::Kind::Damaged, "{key} {value}");
            }
        }
    }
}
