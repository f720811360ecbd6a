//! Statements and rows of either database: a statement is a text with `$1` parameters that SQLite and PostgreSQL both
//! take, or a pair of texts where they must differ. Refuses values of a type that only one of them has.
//!
//! A null carries the type of what it stands for, since PostgreSQL asks for it. Statements are prepared once for each
//! connection, by their text.

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments as _, Connection as _, Decode, Postgres, Row as _, Sqlite, Type};

/// A statement in the two forms that it needs. Both take the same parameters and give the same columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    /// For SQLite.
    pub(crate) sqlite: &'static str,
    /// For PostgreSQL.
    pub(crate) postgres: &'static str,
}

/// A statement with what was bound to it so far.
pub(crate) struct Query {
    text: Pair,
    values: Vec<Value>,
}

/// What a parameter may be.
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Octets(Option<Vec<u8>>),
}

/// The connection of a transaction.
pub(crate) enum Conn<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

/// A row of an answer; `row::Columns` reads it.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What a statement without rows did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    rows: u64,
}

/// A statement that both databases take as it is. Never fails.
pub(crate) fn query(text: &'static str) -> Query {
    query_of(Pair { sqlite: text, postgres: text })
}

/// A statement in two forms. Never fails.
pub(crate) fn query_of(text: Pair) -> Query {
    Query { text, values: Vec::new() }
}

impl Query {
    /// Binds the next parameter. Never fails.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs a statement that gives no rows.
    pub(crate) async fn execute(self, conn: Conn<'_>) -> Result<Done, sqlx::Error> {
        match conn {
            Conn::Sqlite(conn) => {
                let query = sqlx::query_with(self.text.sqlite, sqlite(self.values)?);
                Ok(Done { rows: query.execute(conn).await?.rows_affected() })
            }
            Conn::Postgres(conn) => {
                let query = sqlx::query_with(self.text.postgres, postgres(self.values)?);
                let done = query.execute(&mut *conn).await;
                Ok(Done { rows: refreshed(conn, done).await?.rows_affected() })
            }
        }
    }

    /// The rows, all of them.
    pub(crate) async fn fetch_all(self, conn: Conn<'_>) -> Result<Vec<Row>, sqlx::Error> {
        match conn {
            Conn::Sqlite(conn) => {
                let rows = sqlx::query_with(self.text.sqlite, sqlite(self.values)?).fetch_all(conn).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Conn::Postgres(conn) => {
                let query = sqlx::query_with(self.text.postgres, postgres(self.values)?);
                let rows = query.fetch_all(&mut *conn).await;
                Ok(refreshed(conn, rows).await?.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional(self, conn: Conn<'_>) -> Result<Option<Row>, sqlx::Error> {
        match conn {
            Conn::Sqlite(conn) => {
                let row = sqlx::query_with(self.text.sqlite, sqlite(self.values)?).fetch_optional(conn).await?;
                Ok(row.map(Row::Sqlite))
            }
            Conn::Postgres(conn) => {
                let query = sqlx::query_with(self.text.postgres, postgres(self.values)?);
                let row = query.fetch_optional(&mut *conn).await;
                Ok(refreshed(conn, row).await?.map(Row::Postgres))
            }
        }
    }

    /// The first row; an error when there is none.
    pub(crate) async fn fetch_one(self, conn: Conn<'_>) -> Result<Row, sqlx::Error> {
        self.fetch_optional(conn).await?.ok_or(sqlx::Error::RowNotFound)
    }
}

impl Row {
    /// A column in a type that both databases know. Fails when the column is absent or holds something else.
    pub(crate) fn try_get<'r, T>(&'r self, column: &'static str) -> Result<T, sqlx::Error>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
    {
        match self {
            Row::Sqlite(row) => row.try_get(column),
            Row::Postgres(row) => row.try_get(column),
        }
    }
}

impl Done {
    /// How many rows were inserted, updated or deleted. Never fails.
    pub(crate) fn rows_affected(self) -> u64 {
        self.rows
    }
}

/// PostgreSQL refuses a prepared `select *` once another release has added a column: the connection prepares anew.
async fn refreshed<T>(conn: &mut PgConnection, answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
    const PLAN_CHANGED: &str = "0A000";
    if let Err(sqlx::Error::Database(error)) = &answer
        && error.code().is_some_and(|code| code == PLAN_CHANGED)
    {
        conn.clear_cached_statements().await?;
    }
    answer
}

fn sqlite(values: Vec<Value>) -> Result<SqliteArguments, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        let added = match value {
            Value::Int(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Octets(value) => arguments.add(value),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn postgres(values: Vec<Value>) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for value in values {
        let added = match value {
            Value::Int(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Octets(value) => arguments.add(value),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

macro_rules! from {
    ($variant:ident: $($source:ty => $convert:expr),+ $(,)?) => {
        $(
            impl From<$source> for Value {
                fn from(value: $source) -> Self {
                    let convert: fn($source) -> _ = $convert;
                    Value::$variant(Some(convert(value)))
                }
            }

            impl From<Option<$source>> for Value {
                fn from(value: Option<$source>) -> Self {
                    let convert: fn($source) -> _ = $convert;
                    Value::$variant(value.map(convert))
                }
            }
        )+
    };
}

from!(Int: i64 => |n| n, i32 => i64::from, u32 => i64::from, bool => i64::from);
from!(Text: String => |text| text, &str => str::to_owned, &String => String::clone);
from!(Octets: Vec<u8> => |bytes| bytes, &[u8] => <[u8]>::to_vec, &Vec<u8> => Vec::clone);

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Self {
        Value::Octets(Some(bytes.to_vec()))
    }
}

impl From<&Option<String>> for Value {
    fn from(text: &Option<String>) -> Self {
        Value::Text(text.clone())
    }
}
