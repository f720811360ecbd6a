//! Statements and rows of either database: a statement is a text with `$1` parameters that SQLite and PostgreSQL both
//! take, or a pair of texts where they must differ. Refuses values of a type that only one of them has.
//!
//! A null carries the type of what it stands for, since PostgreSQL asks for it. Statements are prepared once for each
//! connection, by their text. On SQLite a statement runs where it is asked for, unless it is said to be long.

use crate::error::Cause;
use crate::sqlite::{self, Link};
use rusqlite::types::Value as Cell;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::{Arguments as _, AssertSqlSafe, Connection as _, Decode, Postgres, Row as _, SqlSafeStr as _, SqlStr, Type};
use std::borrow::Cow;

/// A statement in the two forms that it needs. Both take the same parameters and give the same columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    /// For SQLite; maybe several statements, with `; ` between them.
    pub(crate) sqlite: &'static str,
    /// For PostgreSQL.
    pub(crate) postgres: &'static str,
}

/// The text of a statement: one that stands in the source, or one that was made of names out of the catalogue.
pub(crate) type Text = Cow<'static, str>;

/// A statement with what was bound to it so far.
pub(crate) struct Query {
    sqlite: Text,
    postgres: Text,
    values: Vec<Value>,
    long: bool,
}

/// What a parameter may be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Octets(Option<Vec<u8>>),
}

/// The connection of a transaction.
pub(crate) enum Conn<'a> {
    Sqlite(&'a mut Link),
    Postgres(&'a mut PgConnection),
}

/// A row of an answer; `row::Columns` reads it.
pub(crate) enum Row {
    Sqlite(sqlite::Row),
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
    Query { sqlite: text.sqlite.into(), postgres: text.postgres.into(), values: Vec::new(), long: false }
}

/// A statement that both databases take, of names out of the catalogue: for what is done with every table there is
/// (`table`). Never fails.
pub(crate) fn query_made(text: String) -> Query {
    Query { sqlite: text.clone().into(), postgres: text.into(), values: Vec::new(), long: false }
}

impl Query {
    /// Binds the next parameter. Never fails.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Says that the statement may read or write hundreds of rows though it brings few bytes. Never fails.
    pub(crate) fn long(self) -> Self {
        Self { long: true, ..self }
    }

    /// Runs a statement that gives no rows.
    pub(crate) async fn execute(self, conn: Conn<'_>) -> Result<Done, Cause> {
        match conn {
            Conn::Sqlite(link) => Ok(Done { rows: link.run(self.sqlite, self.values, self.long).await?.changes }),
            Conn::Postgres(conn) => {
                let query = sqlx::query_with(safe(self.postgres), postgres(self.values)?);
                let done = query.execute(&mut *conn).await;
                Ok(Done { rows: refreshed(conn, done).await?.rows_affected() })
            }
        }
    }

    /// The rows, all of them.
    pub(crate) async fn fetch_all(self, conn: Conn<'_>) -> Result<Vec<Row>, Cause> {
        match conn {
            Conn::Sqlite(link) => {
                let rows = link.run(self.sqlite, self.values, self.long).await?.rows;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Conn::Postgres(conn) => {
                let query = sqlx::query_with(safe(self.postgres), postgres(self.values)?);
                let rows = query.fetch_all(&mut *conn).await;
                Ok(refreshed(conn, rows).await?.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional(self, conn: Conn<'_>) -> Result<Option<Row>, Cause> {
        match conn {
            Conn::Sqlite(link) => {
                let rows = link.run(self.sqlite, self.values, self.long).await?.rows;
                Ok(rows.into_iter().next().map(Row::Sqlite))
            }
            Conn::Postgres(conn) => {
                let query = sqlx::query_with(safe(self.postgres), postgres(self.values)?);
                let row = query.fetch_optional(&mut *conn).await;
                Ok(refreshed(conn, row).await?.map(Row::Postgres))
            }
        }
    }

    /// The first row; an error when there is none.
    pub(crate) async fn fetch_one(self, conn: Conn<'_>) -> Result<Row, Cause> {
        self.fetch_optional(conn).await?.ok_or(Cause::NoRow)
    }
}

impl Row {
    /// A column in a type that both databases know. Fails when the column is absent or holds something else.
    pub(crate) fn try_get<'r, T>(&'r self, column: &'static str) -> Result<T, Cause>
    where
        T: OfCell<'r> + Decode<'r, Postgres> + Type<Postgres>,
    {
        match self {
            Row::Sqlite(row) => row.cell(column).and_then(T::of).ok_or(Cause::NoValue(column)),
            Row::Postgres(row) => Ok(row.try_get(column)?),
        }
    }
}

impl Done {
    /// How many rows were inserted, updated or deleted. Never fails.
    pub(crate) fn rows_affected(self) -> u64 {
        self.rows
    }
}

/// The text as the driver takes it. INVARIANT: what is made at run time has no values in it, and its names are quoted.
pub(crate) fn safe(text: Text) -> SqlStr {
    match text {
        Cow::Borrowed(text) => text.into_sql_str(),
        Cow::Owned(text) => AssertSqlSafe(text).into_sql_str(),
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

/// What the value of a column in SQLite may be read as.
pub(crate) trait OfCell<'r>: Sized {
    /// The value; `None` where it is of another type. Never fails.
    fn of(cell: &'r Cell) -> Option<Self>;
}

impl<'r> OfCell<'r> for i64 {
    fn of(cell: &'r Cell) -> Option<Self> {
        if let Cell::Integer(number) = cell { Some(*number) } else { None }
    }
}

impl<'r> OfCell<'r> for &'r str {
    fn of(cell: &'r Cell) -> Option<Self> {
        if let Cell::Text(text) = cell { Some(text) } else { None }
    }
}

impl<'r> OfCell<'r> for String {
    fn of(cell: &'r Cell) -> Option<Self> {
        <&str>::of(cell).map(str::to_owned)
    }
}

impl<'r> OfCell<'r> for &'r [u8] {
    fn of(cell: &'r Cell) -> Option<Self> {
        if let Cell::Blob(bytes) = cell { Some(bytes) } else { None }
    }
}

impl<'r> OfCell<'r> for Vec<u8> {
    fn of(cell: &'r Cell) -> Option<Self> {
        <&[u8]>::of(cell).map(<[u8]>::to_vec)
    }
}

impl<'r, T: OfCell<'r>> OfCell<'r> for Option<T> {
    fn of(cell: &'r Cell) -> Option<Self> {
        if matches!(cell, Cell::Null) { Some(None) } else { T::of(cell).map(Some) }
    }
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
