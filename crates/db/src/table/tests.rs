//! Rows of every table on both databases: the same bytes for the same rows, whichever way they went. Refuses to know
//! the tables by name: one is added here as a later migration adds one.

use super::*;
use crate::testing::{self, TempDb, execute};

/// A table as a later migration may add it: every type, nulls, a key of two columns, a reference.
const LATER: [(&str, &str); 2] = [
    (
        "create table later (b text not null, a bigint not null, o blob, t text, \"order\" bigint, \
         device blob references device (id), primary key (b, a)) without rowid",
        "create table later (b text collate \"C\" not null, a bigint not null, o bytea, t text collate \"C\", \
         \"order\" bigint, device bytea references device (id), primary key (b, a))",
    ),
    (
        "insert into later (b, a, o, t, \"order\", device) values ('b', -1, x'00ff', 'é\u{1f4bb}', 7, null), \
         ('b', -9223372036854775807, x'', '', null, (select id from device)), ('B', 3, null, null, 0, null), \
         ('a', 3, null, 'a', 1, null), ('é', 0, x'01', 'b', 2, null)",
        "insert into later (b, a, o, t, \"order\", device) values ('b', -1, '\\x00ff', 'é\u{1f4bb}', 7, null), \
         ('b', -9223372036854775807, '', '', null, (select id from device)), ('B', 3, null, null, 0, null), \
         ('a', 3, null, 'a', 1, null), ('é', 0, '\\x01', 'b', 2, null)",
    ),
];

async fn put(temp: &TempDb, statement: (&'static str, &'static str)) {
    let mut tx = temp.db.write().await.expect("nobody else writes");
    execute(&mut tx, if temp.name == "sqlite" { statement.0 } else { statement.1 }).await;
    tx.commit().await.expect("nothing stands against it");
}

/// Every table, and its rows as bytes, read three at a time.
async fn everything(temp: &TempDb) -> Vec<(Table, Vec<u8>)> {
    let mut tx = temp.db.read().await.expect("readable");
    let mut all = Vec::new();
    for table in table_list(&mut tx).await.expect("readable") {
        if table.name.starts_with("_sqlx") {
            continue;
        }
        let (mut bytes, mut after) = (Vec::new(), None);
        loop {
            let rows = table_row_list(&mut tx, &table, after.as_ref(), 3).await.expect("readable");
            rows.encode(&mut bytes);
            after = rows.end(&table).or(after);
            if rows.len() < 3 {
                break;
            }
        }
        all.push((table, bytes));
    }
    all
}

#[tokio::test]
async fn both_databases_give_the_same_tables_and_the_same_bytes_for_the_same_rows() {
    let all = testing::fixtures().await;
    let mut found = Vec::new();
    for temp in &all {
        for statement in LATER {
            put(temp, statement).await;
        }
        found.push(everything(temp).await);
    }
    for ((here, bytes), (there, other)) in found[0].iter().zip(&found[1]) {
        assert!(here.is_like(there) && here.parents == there.parents, "{here:?} {there:?}");
        assert_eq!(bytes, other, "{}", here.name);
    }
    assert_eq!(found[0].len(), found[1].len());
    let later = found[0].iter().find(|(table, _)| table.name == "later").expect("it is found by itself");
    assert_eq!(later.0.heading(), "later (a, b, device, o, order, t)");
    assert!(later.1.starts_with(&[b'i', 3, 0, 0, 0, 0, 0, 0, 0, b't', 1, 0, 0, 0, 0, 0, 0, 0, b'B', b'n', b'n']));
}

#[tokio::test]
async fn rows_go_from_each_database_to_each_in_pages_and_come_as_they_were() {
    for from_first in [true, false] {
        let (mut from, mut to) = (testing::fixtures().await, testing::databases().await);
        if from_first {
            to.reverse();
        } else {
            from.reverse();
        }
        for (from, to) in from.iter().zip(&to) {
            for statement in LATER {
                put(from, statement).await;
            }
            put(to, LATER[0]).await;
            let all = everything(from).await;
            let mut tx = from.db.read().await.expect("readable");
            // Parents first.
            for name in ["repository", "user", "device", "later"] {
                let (table, _) = all.iter().find(|(table, _)| table.name == name).expect("it is there");
                assert!(table_row_bytes_get(&mut tx, table).await.expect("readable") < 200);
                let mut after = None;
                loop {
                    let rows = table_row_list(&mut tx, table, after.as_ref(), 2).await.expect("readable");
                    after = rows.end(table);
                    if rows.is_empty() {
                        break;
                    }
                    let mut tx = to.db.write().await.expect("nobody else writes");
                    table_row_insert(&mut tx, table, rows).await.expect("they are new");
                    tx.commit().await.expect("nothing stands against it");
                }
            }
            assert_eq!(everything(to).await, everything_like(&all, to).await, "{} to {}", from.name, to.name);
            let mut tx = to.db.read().await.expect("readable");
            assert_eq!(table_broken_get(&mut tx).await.expect("readable"), None);
        }
    }
}

/// What was read elsewhere, with the tables as this database has them: which of them count is its own.
async fn everything_like(all: &[(Table, Vec<u8>)], temp: &TempDb) -> Vec<(Table, Vec<u8>)> {
    let mut tx = temp.db.read().await.expect("readable");
    let tables = table_list(&mut tx).await.expect("readable");
    let own = tables.into_iter().filter(|table| !table.name.starts_with("_sqlx"));
    own.zip(all).map(|(table, (_, bytes))| (table, bytes.clone())).collect()
}

#[tokio::test]
async fn a_number_is_not_given_again_and_tables_are_emptied_from_their_children_on() {
    for temp in testing::fixtures().await {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        let all = table_list(&mut tx).await.expect("readable");
        let table = |name: &str| all.iter().find(|table| table.name == name).expect("it is there");
        let (pack, audit) = (table("pack"), table("audit"));
        assert_eq!(table_number_get(&mut tx, audit).await.expect("readable"), None, "it is given its numbers");
        assert_eq!(table_number_get(&mut tx, pack).await.expect("readable"), Some(0));
        for last in [41, 0, 7] {
            table_number_update(&mut tx, pack, last).await.expect("writable");
            assert_eq!(table_number_get(&mut tx, pack).await.expect("readable"), Some(last));
        }
        let new = "insert into pack (id, repository, run_id, bytes, header, chunks_new, created_at) \
                   select id, 1, id, 5, id, 1, 1 from device";
        execute(&mut tx, new).await;
        assert_eq!(table_number_get(&mut tx, pack).await.expect("readable"), Some(8));
        let parents = ["profile", "repository", "user", "device"].map(table);
        let [_, _, user, device] = parents;
        assert!(table_filled_get(&mut tx, device).await.expect("readable"));
        let children = all.iter().filter(|table| !parents.contains(table));
        let order: Vec<&Table> = parents.into_iter().chain(children).collect();
        table_row_remove_all(&mut tx, &order).await.expect("writable");
        for table in [user, device, pack] {
            assert!(!table_filled_get(&mut tx, table).await.expect("readable"), "{}", table.name);
        }
    }
}
