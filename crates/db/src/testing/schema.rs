//! The two sets of migrations make the same tables: columns, nulls, defaults, keys, references, indexes.

use super::databases;
use crate::row::Columns as _;
use crate::sql::{Pair, query_of};
use std::collections::BTreeSet;

/// Statements that give facts about the tables as text, the same text on both databases.
const FACTS: [Pair; 4] = [
    // Columns.
    Pair {
        sqlite: "select m.name || '.' || c.name || case c.type when 'BLOB' then ' octets' when 'TEXT' then ' text' \
                 when 'BIGINT' then ' int' when 'INTEGER' then ' int' else c.type end || \
                 case when c.\"notnull\" = 1 or c.pk > 0 then ' not null' else '' end || \
                 coalesce(' default ' || c.dflt_value, '') as fact \
                 from sqlite_master m join pragma_table_info(m.name) c where m.type = 'table'",
        postgres: "select table_name || '.' || column_name || case data_type when 'bytea' then ' octets' \
                   when 'text' then ' text' when 'bigint' then ' int' else data_type end || \
                   case is_nullable when 'NO' then ' not null' else '' end || \
                   coalesce(' default ' || split_part(column_default, '::', 1), '') as fact \
                   from information_schema.columns where table_schema = 'public'",
    },
    // Primary keys.
    Pair {
        sqlite: "select m.name || ' primary key ' || (select group_concat(name) from \
                 (select name from pragma_table_info(m.name) where pk > 0 order by pk)) as fact \
                 from sqlite_master m where m.type = 'table'",
        postgres: "select t.relname || ' primary key ' || (select string_agg(a.attname::text, ',' order by k.n) \
                   from unnest(x.indkey::int2[]) with ordinality k (attnum, n) \
                   join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum) as fact \
                   from pg_index x join pg_class t on t.oid = x.indrelid \
                   where t.relnamespace = 'public'::regnamespace and x.indisprimary",
    },
    // Other indexes.
    Pair {
        sqlite: "select m.name || case l.\"unique\" when 1 then ' unique' else ' index' end || \
                 case l.partial when 1 then ' partial ' else ' ' end || (select group_concat(name) from \
                 (select name from pragma_index_info(l.name) order by seqno)) as fact \
                 from sqlite_master m join pragma_index_list(m.name) l where m.type = 'table' and l.origin <> 'pk'",
        postgres: "select t.relname || case when x.indisunique then ' unique' else ' index' end || \
                   case when x.indpred is null then ' ' else ' partial ' end || \
                   (select string_agg(a.attname::text, ',' order by k.n) \
                   from unnest(x.indkey::int2[]) with ordinality k (attnum, n) \
                   join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum) as fact \
                   from pg_index x join pg_class t on t.oid = x.indrelid \
                   where t.relnamespace = 'public'::regnamespace and not x.indisprimary",
    },
    // References.
    Pair {
        sqlite: "select m.name || '.' || f.\"from\" || ' references ' || f.\"table\" || '.' || f.\"to\" as fact \
                 from sqlite_master m join pragma_foreign_key_list(m.name) f where m.type = 'table'",
        postgres: "select t.relname || '.' || a.attname || ' references ' || u.relname || '.' || b.attname as fact \
                   from pg_constraint c join pg_class t on t.oid = c.conrelid join pg_class u on u.oid = c.confrelid \
                   join pg_attribute a on a.attrelid = t.oid and a.attnum = c.conkey[1] \
                   join pg_attribute b on b.attrelid = u.oid and b.attnum = c.confkey[1] where c.contype = 'f'",
    },
];

#[tokio::test]
async fn both_sets_of_migrations_make_the_same_tables() {
    for pair in FACTS {
        let mut sets = Vec::new();
        for temp in databases().await {
            let mut tx = temp.db.read().await.expect("readable");
            let rows = query_of(pair).fetch_all(tx.conn()).await.expect("a statement");
            // SQLite's own table of numbers has no key.
            let facts = rows.iter().filter_map(|row| row.text_maybe("fact").expect("a text"));
            // The table of migrations is sqlx's own, and the one of numbers SQLite's.
            let own = |fact: &String| !fact.starts_with("_sqlx_migrations") && !fact.starts_with("sqlite_sequence");
            let facts: BTreeSet<String> = facts.filter(own).collect();
            assert!(facts.len() > 10, "{}: {facts:?}", temp.name);
            sets.push(facts);
        }
        let differ: Vec<_> = sets[0].symmetric_difference(&sets[1]).collect();
        assert!(differ.is_empty(), "{differ:#?}");
    }
}
