//! Deployment tokens. Refuses their texts: the column holds a hash, and the first letters to tell tokens apart.

use crate::error::failed;
use crate::page::limit;
use crate::row::{Columns as _, int};
use crate::sql::{Row, query};
use crate::{DbError, PageKey, Tx};
use base::{Count, ProfileId, Timestamp, TokenId};

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Which.
    pub id: TokenId,
    /// 2, or 1 for the organisation's one legacy token.
    pub version: u8,
    /// What its maker calls it.
    pub name: String,
    /// The first letters of its text.
    pub prefix: String,
    /// The profile of users that it creates.
    pub profile: Option<ProfileId>,
    /// Networks in CIDR form, from which it may be used; none is everywhere.
    pub networks: Vec<String>,
    /// Hours of the week at which it may be used; empty is at all.
    pub hours: String,
    /// The time zone in which they are meant, by its IANA name; empty without hours.
    pub hours_zone: String,
    /// Mail domains at which an account of the operating system may name the user.
    pub domains: Vec<String>,
    /// Whether such a user is added who is not there yet.
    pub create_users: bool,
    /// How often it may be used.
    pub uses_max: Option<Count>,
    /// How often in one minute.
    pub rate_per_minute: Option<Count>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// How often it was used.
    pub uses: Count,
    /// When it was used last.
    pub last_used_at: Option<Timestamp>,
    /// How often it was refused.
    pub failures: Count,
    /// When it was refused last.
    pub last_failure_at: Option<Timestamp>,
    /// The code of that refusal.
    pub last_failure: Option<String>,
}

/// Adds a token.
///
/// # Errors
/// Constraint: a token with this text is there, or a second live legacy token; the database does not answer.
pub async fn token_insert(tx: &mut Tx, token: &TokenRow, hash: &[u8; 32]) -> Result<(), DbError> {
    query(
        "insert into token (id, version, name, prefix, hash, profile_id, networks, hours, hours_zone, domains, \
         create_users, uses_max, rate_per_minute, expires_at, created_at, created_by) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    )
    .bind(&token.id.as_bytes()[..])
    .bind(i64::from(token.version))
    .bind(&token.name)
    .bind(&token.prefix)
    .bind(&hash[..])
    .bind(token.profile.as_ref().map(|profile| &profile.as_bytes()[..]))
    .bind(token.networks.join("\n"))
    .bind(&token.hours)
    .bind(&token.hours_zone)
    .bind(token.domains.join("\n"))
    .bind(i64::from(token.create_users))
    .bind(token.uses_max.map(|max| int(max.0)))
    .bind(token.rate_per_minute.map(|rate| int(rate.0)))
    .bind(token.expires_at.map(Timestamp::as_ms))
    .bind(token.created_at.as_ms())
    .bind(&token.created_by)
    .execute(tx.conn())
    .await
    .map_err(failed("insert a token"))?;
    Ok(())
}

/// The token with this id.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn token_get(tx: &mut Tx, id: TokenId) -> Result<Option<TokenRow>, DbError> {
    let row = query("select * from token where id = $1")
        .bind(&id.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a token"))?;
    row.as_ref().map(read).transpose()
}

/// The token whose text has this hash, good or not.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn token_get_by_hash(tx: &mut Tx, hash: &[u8; 32]) -> Result<Option<TokenRow>, DbError> {
    let row = query("select * from token where hash = $1")
        .bind(&hash[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a token"))?;
    row.as_ref().map(read).transpose()
}

/// The tokens after this place, the oldest first.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn token_list(tx: &mut Tx, after: PageKey, rows: Count) -> Result<Vec<TokenRow>, DbError> {
    let rows = query(
        "select * from token where created_at > $1 or (created_at = $1 and id > $2) \
         order by created_at, id limit $3",
    )
    .bind(after.at.as_ms())
    .bind(&after.id[..])
    .bind(limit(rows))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list tokens"))?;
    rows.iter().map(read).collect()
}

/// Counts one use; false when the token has no use left, or was revoked.
///
/// # Errors
/// The database does not answer.
pub async fn token_used_update(tx: &mut Tx, id: TokenId, now: Timestamp) -> Result<bool, DbError> {
    let done = query(
        "update token set uses = uses + 1, last_used_at = $2 \
         where id = $1 and revoked_at is null and (uses_max is null or uses < uses_max)",
    )
    .bind(&id.as_bytes()[..])
    .bind(now.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("count a use of a token"))?;
    Ok(done.rows_affected() == 1)
}

/// Counts one refusal.
///
/// # Errors
/// The database does not answer.
pub async fn token_failed_update(tx: &mut Tx, id: TokenId, code: &str, now: Timestamp) -> Result<(), DbError> {
    query("update token set failures = failures + 1, last_failure_at = $2, last_failure = $3 where id = $1")
        .bind(&id.as_bytes()[..])
        .bind(now.as_ms())
        .bind(code)
        .execute(tx.conn())
        .await
        .map_err(failed("count a refusal of a token"))?;
    Ok(())
}

/// Revokes a token; false when it was revoked before, or is not there.
///
/// # Errors
/// The database does not answer.
pub async fn token_revoked_update(tx: &mut Tx, id: TokenId, now: Timestamp) -> Result<bool, DbError> {
    let done = query("update token set revoked_at = $2 where id = $1 and revoked_at is null")
        .bind(&id.as_bytes()[..])
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("revoke a token"))?;
    Ok(done.rows_affected() == 1)
}

/// Revokes the legacy token that is good, if there is one.
///
/// # Errors
/// The database does not answer.
pub async fn token_legacy_revoked_update(tx: &mut Tx, now: Timestamp) -> Result<(), DbError> {
    query("update token set revoked_at = $1 where version = 1 and revoked_at is null")
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("revoke the legacy token"))?;
    Ok(())
}

/// The legacy token that is good.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn token_legacy_get(tx: &mut Tx) -> Result<Option<TokenRow>, DbError> {
    let row = query("select * from token where version = 1 and revoked_at is null")
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get the legacy token"))?;
    row.as_ref().map(read).transpose()
}

/// Whether a token that is good at `now`, and not used up, has this name.
///
/// # Errors
/// The database does not answer.
pub async fn token_named_get(tx: &mut Tx, name: &str, now: Timestamp) -> Result<bool, DbError> {
    let row = query(
        "select count(*) as named from token where name = $1 and revoked_at is null \
         and (expires_at is null or expires_at > $2) and (uses_max is null or uses < uses_max)",
    )
    .bind(name)
    .bind(now.as_ms())
    .fetch_one(tx.conn())
    .await
    .map_err(failed("look for a token's name"))?;
    Ok(row.int("named")? > 0)
}

/// Sets when a token ends.
///
/// # Errors
/// The database does not answer.
pub async fn token_expiry_update(tx: &mut Tx, id: TokenId, expires_at: Option<Timestamp>) -> Result<(), DbError> {
    query("update token set expires_at = $2 where id = $1")
        .bind(&id.as_bytes()[..])
        .bind(expires_at.map(Timestamp::as_ms))
        .execute(tx.conn())
        .await
        .map_err(failed("update the end of a token"))?;
    Ok(())
}

fn read(row: &Row) -> Result<TokenRow, DbError> {
    let lines = |text: String| text.lines().map(str::to_owned).collect();
    Ok(TokenRow {
        id: TokenId::from_bytes(row.bytes("id")?),
        version: row.number("version")?,
        name: row.text("name")?,
        prefix: row.text("prefix")?,
        profile: row.bytes_maybe("profile_id")?.map(ProfileId::from_bytes),
        networks: lines(row.text("networks")?),
        hours: row.text("hours")?,
        hours_zone: row.text("hours_zone")?,
        domains: lines(row.text("domains")?),
        create_users: row.int("create_users")? != 0,
        uses_max: row.number_maybe("uses_max")?.map(Count),
        rate_per_minute: row.number_maybe("rate_per_minute")?.map(Count),
        expires_at: row.time_maybe("expires_at")?,
        revoked_at: row.time_maybe("revoked_at")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        uses: Count(row.number("uses")?),
        last_used_at: row.time_maybe("last_used_at")?,
        failures: Count(row.number("failures")?),
        last_failure_at: row.time_maybe("last_failure_at")?,
        last_failure: row.text_maybe("last_failure")?,
    })
}
