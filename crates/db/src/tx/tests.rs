//! Transactions on real database files.

use super::*;
use crate::testing;
use base::Kind;

async fn count(tx: &mut Tx) -> i64 {
    sqlx::query_scalar("select count(*) from repository").fetch_one(tx.conn()).await.expect("a statement")
}

#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_no_trace_and_a_committed_one_survives_reopening() {
    let temp = testing::empty().await;
    for (seq, commits) in [(1, false), (2, true)] {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        testing::repository(&mut tx, seq).await;
        if commits {
            tx.commit().await.expect("nothing stands against it");
        }
    }
    temp.db.close().await;
    let again = Db::open(&temp.dir.path().join("holdfast.db")).await.expect("it is a database");
    assert_eq!(count(&mut again.read().await.expect("readable")).await, 1);
}

#[tokio::test]
async fn a_reader_sees_one_state_while_another_connection_writes() {
    let temp = testing::empty().await;
    let mut reader = temp.db.read().await.expect("readable");
    assert_eq!(count(&mut reader).await, 0);
    let mut tx = temp.db.write().await.expect("nobody else writes");
    testing::repository(&mut tx, 1).await;
    tx.commit().await.expect("nothing stands against it");
    assert_eq!(count(&mut reader).await, 0);
    assert_eq!(count(&mut temp.db.read().await.expect("readable")).await, 1);
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let temp = testing::empty().await;
    let mut tx = temp.db.read().await.expect("readable");
    sqlx::query("delete from repository").execute(tx.conn()).await.expect_err("a reader only reads");
}

#[tokio::test]
async fn writers_take_turns_and_none_is_lost() {
    let temp = testing::empty().await;
    let write = |seq: i64| {
        let db = temp.db.clone();
        async move {
            let mut tx = db.write().await.expect("its turn comes");
            testing::repository(&mut tx, seq).await;
            tx.commit().await.expect("nothing stands against it");
        }
    };
    let tasks: Vec<_> = (1..=20).map(|seq| tokio::spawn(write(seq))).collect();
    for task in tasks {
        task.await.expect("no writer panics");
    }
    assert_eq!(count(&mut temp.db.read().await.expect("readable")).await, 20);
}

#[tokio::test]
async fn a_full_disk_is_said_and_is_worth_another_try() {
    let temp = testing::empty().await;
    let mut tx = temp.db.write().await.expect("nobody else writes");
    // The file may not grow: what SQLite meets when the disk has no room.
    let pages: i64 = sqlx::query_scalar("pragma page_count").fetch_one(tx.conn()).await.expect("a statement");
    sqlx::query(sqlx::AssertSqlSafe(std::format!("pragma max_page_count = {pages}")))
        .execute(tx.conn())
        .await
        .expect("a statement");
    let cause = sqlx::query("insert into repository (seq, id, created_at) values (1, zeroblob(1000000), 0)")
        .execute(tx.conn())
        .await
        .expect_err("there is no room");
    let error = failed("insert a repository")(cause);
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(
        error.to_string(),
        "the server's disk is full or does not answer; the database could not insert a repository"
    );
}

#[tokio::test]
async fn two_processes_share_the_file_and_write_in_turn() {
    let temp = testing::empty().await;
    let other = Db::open(&temp.dir.path().join("holdfast.db")).await.expect("the file can be shared");
    let write = async |db: &Db, from: i64| {
        for seq in from..from + 20 {
            let mut tx = db.write().await.expect("its turn comes");
            testing::repository(&mut tx, seq).await;
            tx.commit().await.expect("nothing stands against it");
        }
    };
    tokio::join!(write(&temp.db, 100), write(&other, 200));
    for db in [&temp.db, &other] {
        assert_eq!(count(&mut db.read().await.expect("readable")).await, 40);
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_damage() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let path = dir.path().join("holdfast.db");
    std::fs::write(&path, [7; 8_192]).expect("the directory is ours");
    assert_eq!(Db::open(&path).await.expect_err("no database").kind(), Kind::Damaged);
}
