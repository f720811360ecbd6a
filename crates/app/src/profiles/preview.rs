//! What a change of a profile's values would change, and for how many, before anybody makes it.
//! Refuses to change anything: everything is read in one transaction.

use crate::policy::{key_parse, levels_of, profile_unknown};
use crate::{AdminActor, App, AppError};
use base::{Count, ProfileId, UserId};
use control::Permit;
use control::policy::{EffectivePolicy, Key, Levels, PolicyLevel, Set, Value, effective};
use db::{PolicySubject, PolicyValueRow, Tx};
use std::collections::{BTreeMap, HashMap};

/// Users read at a time.
const PAGE: u32 = 1_000;

/// What would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// Users of the profile.
    pub users: Count,
    /// Their devices that count.
    pub devices: Count,
    /// Users for whom a value changes.
    pub users_changed: Count,
    /// Devices for which a value changes.
    pub devices_changed: Count,
    /// Which values, and for how many each.
    pub differences: Vec<Difference>,
}

/// One value that would become another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Of which policy.
    pub key: Key,
    /// What holds.
    pub was: Value,
    /// What would hold.
    pub now: Value,
    /// For how many users.
    pub users: Count,
    /// For how many devices.
    pub devices: Count,
}

/// What setting these values at a profile (`None` takes one back) would change for its users and their devices.
///
/// # Errors
/// `profile_unknown`; `policy_unknown`, `policy_value_invalid`, `policy_level_wrong`; `not_permitted`.
pub async fn preview(
    app: &App,
    actor: &AdminActor,
    id: ProfileId,
    values: &[(String, Option<String>)],
) -> Result<Preview, AppError> {
    actor.need(Permit::ProfileRead)?;
    let during = || AppError::db("previewing a change of a profile");
    let mut changes = Vec::with_capacity(values.len());
    for (word, text) in values {
        let key = key_parse(word)?;
        key.may_be_set_at(PolicyLevel::Profile)?;
        changes.push((key, text.as_deref().map(|text| Value::parse(key, text)).transpose()?));
    }
    let mut tx = app.db.read().await.map_err(during())?;
    if db::profile_get(&mut tx, id).await.map_err(during())?.is_none() {
        return Err(profile_unknown(&id.to_string()));
    }
    let mut shared = db::policy_value_list(&mut tx, PolicySubject::Organisation).await.map_err(during())?;
    shared.extend(db::policy_value_list(&mut tx, PolicySubject::Profile(id)).await.map_err(during())?);
    let mut own: HashMap<PolicySubject, Vec<PolicyValueRow>> = HashMap::new();
    for (subject, row) in db::policy_value_list_below_profile(&mut tx, id).await.map_err(during())? {
        own.entry(subject).or_default().push(row);
    }
    let mut sum = Sum { shared, own, changes, preview: Preview::default(), found: BTreeMap::new(), plain: None };
    sum.users_add(&mut tx, id).await?;
    Ok(sum.end())
}

/// The count so far. Users and devices without values of their own are alike, and compared once.
struct Sum {
    shared: Vec<PolicyValueRow>,
    own: HashMap<PolicySubject, Vec<PolicyValueRow>>,
    changes: Vec<(Key, Option<Value>)>,
    preview: Preview,
    found: BTreeMap<(Key, String, String), Difference>,
    plain: Option<Vec<(Key, Value, Value)>>,
}

impl Sum {
    async fn users_add(&mut self, tx: &mut Tx, id: ProfileId) -> Result<(), AppError> {
        let during = || AppError::db("previewing a change of a profile");
        let mut after = None;
        loop {
            let users = db::user_list_by_profile(tx, id, after, PAGE).await.map_err(during())?;
            for user in &users {
                self.user_add(tx, *user).await?;
            }
            after = users.last().copied();
            if users.len() < PAGE as usize {
                return Ok(());
            }
        }
    }

    async fn user_add(&mut self, tx: &mut Tx, user: UserId) -> Result<(), AppError> {
        let rows = self.own.remove(&PolicySubject::User(user)).unwrap_or_default();
        let differences = self.compare(&rows)?;
        self.preview.users += Count(1);
        self.preview.users_changed += Count(u64::from(!differences.is_empty()));
        self.add(&differences, Count(1), Count(0));
        let devices = db::device_list_by_user(tx, user).await.map_err(AppError::db("listing a user's devices"))?;
        for device in devices.iter().filter(|device| device.state.counts()) {
            let mut rows = rows.clone();
            rows.extend(self.own.remove(&PolicySubject::Device(device.id)).unwrap_or_default());
            let differences = self.compare(&rows)?;
            self.preview.devices += Count(1);
            self.preview.devices_changed += Count(u64::from(!differences.is_empty()));
            self.add(&differences, Count(0), Count(1));
        }
        Ok(())
    }

    fn compare(&mut self, rows: &[PolicyValueRow]) -> Result<Vec<(Key, Value, Value)>, AppError> {
        if let (true, Some(plain)) = (rows.is_empty(), &self.plain) {
            return Ok(plain.clone());
        }
        let before = levels_of(self.shared.iter().chain(rows).cloned())?;
        let differences = differences(&effective(&before), &effective(&self.changed(&before)?));
        if rows.is_empty() {
            self.plain = Some(differences.clone());
        }
        Ok(differences)
    }

    fn changed(&self, before: &Levels) -> Result<Levels, AppError> {
        let mut after = before.clone();
        for (key, value) in &self.changes {
            match value {
                Some(value) => {
                    after.set(PolicyLevel::Profile, *key, Set { value: value.clone(), by_user: false })?;
                }
                None => after.unset(PolicyLevel::Profile, *key),
            }
        }
        Ok(after)
    }

    fn add(&mut self, differences: &[(Key, Value, Value)], users: Count, devices: Count) {
        for (key, was, now) in differences {
            let found = self.found.entry((*key, was.to_string(), now.to_string())).or_insert_with(|| Difference {
                key: *key,
                was: was.clone(),
                now: now.clone(),
                users: Count(0),
                devices: Count(0),
            });
            found.users += users;
            found.devices += devices;
        }
    }

    fn end(self) -> Preview {
        Preview { differences: self.found.into_values().collect(), ..self.preview }
    }
}

fn differences(before: &EffectivePolicy, after: &EffectivePolicy) -> Vec<(Key, Value, Value)> {
    let differs = |key: &&Key| before.value(**key) != after.value(**key);
    let pair = |key: &Key| (*key, before.value(*key).clone(), after.value(*key).clone());
    Key::ALL.iter().filter(differs).map(pair).collect()
}
