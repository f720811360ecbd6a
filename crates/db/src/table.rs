//! Every table of a database as the catalogue has it, and its rows as they are: for who moves all of them from one
//! database to another, of whichever kind. Refuses to know what a row means, to hold more than a page of them, and a
//! table without a key.
//!
//! The statements are made of the catalogue's names, so that no table can be forgotten. A row is given in the order of
//! its columns' names, and rows in the order of their key, which is the same on both kinds: so are their bytes.

use crate::error::{Cause, failed};
use crate::row::Columns as _;
use crate::sql::{Conn, Pair, Row, Value, query, query_made, query_of, safe};
use crate::{DbError, Tx};
use rusqlite::types::Value as Cell;
use sqlx::postgres::PgArguments;
use sqlx::{Arguments as _, Row as _};
use std::collections::BTreeMap;

const READ: &str = "read the rows of a table";
const WRITE: &str = "write the rows of a table";

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The tables that its rows refer to.
    pub parents: Vec<String>,
    /// By their names.
    columns: Vec<Column>,
    /// The places of its key among the columns.
    key: Vec<usize>,
    /// Whether the database itself numbers new rows, and never gives a number twice.
    counts: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    name: String,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Int,
    Text,
    Octets,
}

/// Rows of a table, in the order of its key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableRows(Vec<Vec<Value>>);

/// Where a page of rows ended: the next begins after it.
#[derive(Clone, Debug)]
pub struct TableKey(Vec<Value>);

/// The columns, what refers to what, and which tables number their rows: one row for each column.
const CATALOGUE: Pair = Pair {
    sqlite: "select m.name as owner, c.name as name, c.type as type, c.pk as place, \
             case when c.pk > 0 and upper(m.sql) like '%AUTOINCREMENT%' then 1 else 0 end as counts \
             from sqlite_master m join pragma_table_info(m.name) c \
             where m.type = 'table' and m.name not like 'sqlite\\_%' escape '\\' order by m.name, c.name",
    postgres: "select c.table_name::text as owner, c.column_name::text as name, c.data_type::text as type, \
               coalesce(k.ordinal_position, 0)::bigint as place, \
               case when c.is_identity = 'YES' then 1 else 0 end::bigint as counts \
               from information_schema.tables t \
               join information_schema.columns c on c.table_schema = t.table_schema and c.table_name = t.table_name \
               left join information_schema.table_constraints p on p.table_schema = t.table_schema \
               and p.table_name = t.table_name and p.constraint_type = 'PRIMARY KEY' \
               left join information_schema.key_column_usage k on k.constraint_schema = p.constraint_schema \
               and k.constraint_name = p.constraint_name and k.column_name = c.column_name \
               where t.table_schema = 'public' and t.table_type = 'BASE TABLE' \
               order by c.table_name::text collate \"C\", c.column_name::text collate \"C\"",
};
const REFERENCES: Pair = Pair {
    sqlite: "select distinct m.name as owner, f.\"table\" as parent from sqlite_master m \
             join pragma_foreign_key_list(m.name) f where m.type = 'table' order by owner, parent",
    postgres: "select distinct t.relname::text as owner, u.relname::text as parent from pg_constraint c \
               join pg_class t on t.oid = c.conrelid join pg_class u on u.oid = c.confrelid \
               where c.contype = 'f' and t.relnamespace = 'public'::regnamespace order by owner, parent",
};

/// Every table, by name; the migrations' own record is among them where the database has one.
///
/// # Errors
/// Damaged: a table without a key, or a column of a type that only one of the databases has.
pub async fn table_list(tx: &mut Tx) -> Result<Vec<Table>, DbError> {
    let op = || failed("list the tables");
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    let mut keys: BTreeMap<String, BTreeMap<i64, usize>> = BTreeMap::new();
    for row in query_of(CATALOGUE).fetch_all(tx.conn()).await.map_err(op())? {
        let name = row.text("owner")?;
        let made =
            || Table { name: name.clone(), parents: Vec::new(), columns: Vec::new(), key: Vec::new(), counts: false };
        let table = tables.entry(name.clone()).or_insert_with(made);
        let place = row.int("place")?;
        if place > 0 {
            keys.entry(name.clone()).or_default().insert(place, table.columns.len());
        }
        table.counts |= row.int("counts")? == 1;
        let column = row.text("name")?;
        let shape = match row.text("type")?.to_ascii_lowercase().as_str() {
            "integer" | "bigint" => Shape::Int,
            "text" => Shape::Text,
            "blob" | "bytea" => Shape::Octets,
            // The migrations' own record is nobody's to move.
            _ if name.starts_with("_sqlx") => Shape::Text,
            kind => return Err(strange(&format!("the column {column} of the table {name} is of the type {kind}"))),
        };
        table.columns.push(Column { name: column, shape });
    }
    for row in query_of(REFERENCES).fetch_all(tx.conn()).await.map_err(op())? {
        let (owner, parent) = (row.text("owner")?, row.text("parent")?);
        if let Some(table) = tables.get_mut(&owner) {
            table.parents.push(parent);
        }
    }
    for (name, table) in &mut tables {
        table.key = keys.remove(name).unwrap_or_default().into_values().collect();
        if table.key.is_empty() {
            return Err(strange(&format!("the table {name} has no key")));
        }
    }
    Ok(tables.into_values().collect())
}

/// The most bytes that a row of the table has in its texts and octets.
///
/// # Errors
/// The database does not answer.
pub async fn table_row_bytes_get(tx: &mut Tx, table: &Table) -> Result<u64, DbError> {
    let long = table.columns.iter().filter(|column| column.shape != Shape::Int);
    let lengths: Vec<String> =
        long.map(|column| format!("coalesce(octet_length({}), 0)", quoted(&column.name))).collect();
    let sum = if lengths.is_empty() { "0".to_owned() } else { lengths.join(" + ") };
    let text = format!("select coalesce(max(cast({sum} as bigint)), 0) as most from {}", quoted(&table.name));
    let row = query_made(text).fetch_one(tx.conn()).await.map_err(failed(READ))?;
    row.number("most")
}

/// At most `limit` rows after `after`, in the order of the key.
///
/// # Errors
/// The database does not answer; Damaged: a value that its column does not have.
pub async fn table_row_list(
    tx: &mut Tx,
    table: &Table,
    after: Option<&TableKey>,
    limit: u32,
) -> Result<TableRows, DbError> {
    let key: Vec<String> = table.key.iter().map(|at| quoted(&table.columns[*at].name)).collect();
    let beyond = after.map(|_| format!(" where ({}) > ({})", key.join(", "), numbered(key.len()))).unwrap_or_default();
    let limit_at = after.map_or(1, |_| key.len() + 1);
    let text = format!(
        "select {} from {}{beyond} order by {} limit ${limit_at}",
        names(table),
        quoted(&table.name),
        key.join(", ")
    );
    let mut page = query_made(text);
    for value in after.into_iter().flat_map(|key| &key.0) {
        page = page.bind(value.clone());
    }
    let rows = page.bind(i64::from(limit)).fetch_all(tx.conn()).await.map_err(failed(READ))?;
    rows.into_iter().map(|row| values(table, row)).collect::<Result<_, _>>().map(TableRows)
}

/// Adds rows to a table.
///
/// # Errors
/// Constraint: one of them is there, or refers to nothing; Disk; the database does not answer.
pub async fn table_row_insert(tx: &mut Tx, table: &Table, rows: TableRows) -> Result<(), DbError> {
    let (into, count) = (quoted(&table.name), table.columns.len());
    match tx.conn() {
        Conn::Sqlite(link) => {
            let text = format!("insert into {into} ({}) values ({})", names(table), numbered(count));
            link.run_each(text, rows.0).await.map_err(failed(WRITE))
        }
        // One statement for all of them: each column is an array.
        Conn::Postgres(conn) => {
            let of = |(at, column): (usize, &Column)| format!("${}::{}[]", at + 1, column.shape.postgres());
            let arrays: Vec<String> = table.columns.iter().enumerate().map(of).collect();
            let text = format!("insert into {into} ({}) select * from unnest({})", names(table), arrays.join(", "));
            let arguments = arrays_of(table, rows).map_err(failed(WRITE))?;
            let done = sqlx::query_with(safe(text.into()), arguments).execute(conn).await;
            done.map(drop).map_err(failed(WRITE))
        }
    }
}

/// Removes every row of these tables, of which none may be referred to by another table. Parents stand before their
/// children.
///
/// # Errors
/// The database does not answer.
pub async fn table_row_remove_all(tx: &mut Tx, tables: &[&Table]) -> Result<(), DbError> {
    let op = || failed("empty tables");
    match tx.conn() {
        Conn::Sqlite(_) => {
            for table in tables.iter().rev() {
                let text = format!("delete from {}", quoted(&table.name));
                query_made(text).long().execute(tx.conn()).await.map_err(op())?;
            }
        }
        Conn::Postgres(_) if tables.is_empty() => {}
        Conn::Postgres(_) => {
            let all: Vec<String> = tables.iter().map(|table| quoted(&table.name)).collect();
            query_made(format!("truncate {}", all.join(", "))).execute(tx.conn()).await.map_err(op())?;
        }
    }
    Ok(())
}

/// Whether the table has a row.
///
/// # Errors
/// The database does not answer.
pub async fn table_filled_get(tx: &mut Tx, table: &Table) -> Result<bool, DbError> {
    let text = format!("select 1 as one from {} limit 1", quoted(&table.name));
    Ok(query_made(text).fetch_optional(tx.conn()).await.map_err(failed(READ))?.is_some())
}

/// The last number that the database has given to a row of the table, whether or not that row is still there; `None`
/// where it gives none.
///
/// # Errors
/// The database does not answer.
pub async fn table_number_get(tx: &mut Tx, table: &Table) -> Result<Option<i64>, DbError> {
    if !table.counts {
        return Ok(None);
    }
    let (name, key) = (quoted(&table.name), quoted(&table.columns[table.key[0]].name));
    let op = || failed("look up the number of a row");
    let row = match tx.conn() {
        Conn::Sqlite(_) => query("select max(seq) as last from sqlite_sequence where name = $1").bind(&table.name),
        Conn::Postgres(_) => query(
            "select case when s.last_value is null then 0 else s.last_value end as last from pg_sequences s \
             where s.schemaname = 'public' and format('%I.%I', s.schemaname, s.sequencename)::regclass = \
             pg_get_serial_sequence(quote_ident($1), $2)::regclass",
        )
        .bind(&table.name)
        .bind(&table.columns[table.key[0]].name),
    };
    let row = row.fetch_optional(tx.conn()).await.map_err(op())?;
    let given = row.map(|row| row.try_get::<Option<i64>>("last").map_err(op())).transpose()?.flatten();
    let text = format!("select max({key}) as last from {name}");
    let row = query_made(text).fetch_one(tx.conn()).await.map_err(op())?;
    let there: Option<i64> = row.try_get("last").map_err(op())?;
    Ok(Some(given.unwrap_or(0).max(there.unwrap_or(0))))
}

/// Has the database give no number to a row of the table up to `last` again. Nothing where it gives none.
///
/// # Errors
/// The database does not answer.
pub async fn table_number_update(tx: &mut Tx, table: &Table, last: i64) -> Result<(), DbError> {
    if !table.counts {
        return Ok(());
    }
    let text = query_of(Pair {
        sqlite: "delete from sqlite_sequence where name = $1; \
                 insert into sqlite_sequence (name, seq) select $1, $3 where $3 > 0 and $2 <> ''",
        postgres: "select setval(pg_get_serial_sequence(quote_ident($1), $2), greatest($3, 1), $3 > 0)",
    });
    let bound = text.bind(&table.name).bind(&table.columns[table.key[0]].name).bind(last);
    bound.execute(tx.conn()).await.map_err(failed("number the rows of a table on"))?;
    Ok(())
}

/// Has the database count what is in these tables now, where it plans by such counts: it would learn of many new rows a
/// minute late, and read whole tables until then.
///
/// # Errors
/// The database does not answer.
pub async fn table_counts_update(tx: &mut Tx, tables: &[Table]) -> Result<(), DbError> {
    match tx.conn() {
        // It plans by the indexes alone.
        Conn::Sqlite(_) => Ok(()),
        Conn::Postgres(_) => {
            let names: Vec<String> = tables.iter().map(|table| quoted(&table.name)).collect();
            let counted = query_made(format!("analyze {}", names.join(", "))).execute(tx.conn()).await;
            counted.map(drop).map_err(failed("count what is in the tables"))
        }
    }
}

/// A table with a row that refers to nothing; `None` where all references hold.
///
/// # Errors
/// The database does not answer.
pub async fn table_broken_get(tx: &mut Tx) -> Result<Option<String>, DbError> {
    let row = query_of(Pair {
        sqlite: "select \"table\" as name from pragma_foreign_key_check limit 1",
        // It looks at every row that is written, unless somebody has told it not to.
        postgres: "select conrelid::regclass::text as name from pg_constraint where contype = 'f' \
                   and connamespace = 'public'::regnamespace and not convalidated limit 1",
    })
    .long()
    .fetch_optional(tx.conn())
    .await
    .map_err(failed("look at what refers to nothing"))?;
    row.map(|row| row.text("name")).transpose()
}

impl Table {
    /// The words by which a digest of the table begins: its name and those of its columns. Never fails.
    pub fn heading(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        format!("{} ({})", self.name, names.join(", "))
    }

    /// Whether both have the same columns of the same types, and the same key. Never fails.
    pub fn is_like(&self, other: &Table) -> bool {
        (&self.name, &self.columns, &self.key) == (&other.name, &other.columns, &other.key)
    }
}

impl TableRows {
    /// How many there are. Never fails.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none. Never fails.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the page ends; `None` for an empty one. Never fails.
    pub fn end(&self, table: &Table) -> Option<TableKey> {
        self.0.last().map(|row| TableKey(table.key.iter().map(|at| row[*at].clone()).collect()))
    }

    /// The rows as bytes, the same on both databases, and no two different rows the same: for each value a letter for
    /// its type, its length where it has one, and itself. Never fails.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        for value in self.0.iter().flatten() {
            let (letter, octets) = match value {
                Value::Int(None) | Value::Text(None) | Value::Octets(None) => {
                    bytes.push(b'n');
                    continue;
                }
                Value::Int(Some(number)) => {
                    bytes.push(b'i');
                    bytes.extend_from_slice(&number.to_le_bytes());
                    continue;
                }
                Value::Text(Some(text)) => (b't', text.as_bytes()),
                Value::Octets(Some(octets)) => (b'o', &octets[..]),
            };
            bytes.push(letter);
            bytes.extend_from_slice(&(octets.len() as u64).to_le_bytes());
            bytes.extend_from_slice(octets);
        }
    }
}

impl Shape {
    fn postgres(self) -> &'static str {
        match self {
            Shape::Int => "bigint",
            Shape::Text => "text",
            Shape::Octets => "bytea",
        }
    }
}

fn values(table: &Table, row: Row) -> Result<Vec<Value>, DbError> {
    match row {
        Row::Sqlite(row) => {
            let cells = table.columns.iter().zip(row.into_cells());
            cells.map(|(column, cell)| value(table, column, cell)).collect()
        }
        Row::Postgres(row) => {
            let value = |(at, column): (usize, &Column)| match column.shape {
                Shape::Int => row.try_get(at).map(Value::Int),
                Shape::Text => row.try_get(at).map(Value::Text),
                Shape::Octets => row.try_get(at).map(Value::Octets),
            };
            table.columns.iter().enumerate().map(|column| value(column).map_err(failed(READ))).collect()
        }
    }
}

/// SQLite has a type for each value, not for each column.
fn value(table: &Table, column: &Column, cell: Cell) -> Result<Value, DbError> {
    Ok(match (column.shape, cell) {
        (Shape::Int, Cell::Null) => Value::Int(None),
        (Shape::Text, Cell::Null) => Value::Text(None),
        (Shape::Octets, Cell::Null) => Value::Octets(None),
        (Shape::Int, Cell::Integer(number)) => Value::Int(Some(number)),
        (Shape::Text, Cell::Text(text)) => Value::Text(Some(text)),
        (Shape::Octets, Cell::Blob(octets)) => Value::Octets(Some(octets)),
        (_, _) => {
            let said = format!("the column {} of the table {} has a value of another type", column.name, table.name);
            return Err(strange(&said));
        }
    })
}

fn arrays_of(table: &Table, rows: TableRows) -> Result<PgArguments, sqlx::Error> {
    let mut columns: Vec<Vec<Value>> = table.columns.iter().map(|_| Vec::with_capacity(rows.len())).collect();
    for row in rows.0 {
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    let mut arguments = PgArguments::default();
    for (column, values) in table.columns.iter().zip(columns) {
        let values = values.into_iter();
        let added = match column.shape {
            Shape::Int => {
                arguments.add(values.map(|value| if let Value::Int(n) = value { n } else { None }).collect::<Vec<_>>())
            }
            Shape::Text => arguments
                .add(values.map(|value| if let Value::Text(text) = value { text } else { None }).collect::<Vec<_>>()),
            Shape::Octets => arguments
                .add(values.map(|value| if let Value::Octets(all) = value { all } else { None }).collect::<Vec<_>>()),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn names(table: &Table) -> String {
    let all: Vec<String> = table.columns.iter().map(|column| quoted(&column.name)).collect();
    all.join(", ")
}

fn numbered(count: usize) -> String {
    let all: Vec<String> = (1..=count).map(|number| format!("${number}")).collect();
    all.join(", ")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn strange(said: &str) -> DbError {
    DbError::Damaged { op: READ, cause: Cause::Again(said.to_owned()) }
}

#[cfg(test)]
mod tests;
