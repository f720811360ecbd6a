//! Transactions on real databases of both kinds.

use super::*;
use crate::row::Columns as _;
use crate::sql::query;
use crate::testing;
use base::Kind;

async fn count(tx: &mut Tx) -> i64 {
    let row = query("select count(*) as rows from repository").fetch_one(tx.conn()).await.expect("a statement");
    row.int("rows").expect("a count is a number")
}

#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_no_trace_and_a_committed_one_survives_reopening() {
    for temp in testing::databases().await {
        for (seq, commits) in [(1, false), (2, true)] {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            testing::repository(&mut tx, seq).await;
            if commits {
                tx.commit().await.expect("nothing stands against it");
            }
        }
        temp.db.close().await;
        assert_eq!(temp.db.write().await.expect_err("it is closed").kind(), Kind::Unavailable);
        assert_eq!(count(&mut temp.again().await.read().await.expect("readable")).await, 1, "{}", temp.name);
    }
}

#[tokio::test]
async fn a_reading_transaction_sees_one_state_while_another_connection_writes() {
    for temp in testing::databases().await {
        let mut reader = temp.db.read().await.expect("readable");
        let mut each = temp.db.read_each().await.expect("readable");
        assert_eq!((count(&mut reader).await, count(&mut each).await), (0, 0));
        let mut tx = temp.db.write().await.expect("nobody else writes");
        testing::repository(&mut tx, 1).await;
        tx.commit().await.expect("nothing stands against it");
        assert_eq!(count(&mut reader).await, 0, "{}", temp.name);
        assert_eq!(count(&mut each).await, 1, "each statement sees what is there then: {}", temp.name);
        assert_eq!(count(&mut temp.db.read().await.expect("readable")).await, 1, "{}", temp.name);
    }
}

#[tokio::test]
async fn a_reader_cannot_write() {
    for temp in testing::databases().await {
        for mut tx in [temp.db.read().await.expect("readable"), temp.db.read_each().await.expect("readable")] {
            query("delete from repository").execute(tx.conn()).await.expect_err("a reader only reads");
        }
    }
}

#[tokio::test]
async fn writers_take_turns_and_none_is_lost() {
    for temp in testing::databases().await {
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
        assert_eq!(count(&mut temp.db.read().await.expect("readable")).await, 20, "{}", temp.name);
    }
}

#[tokio::test]
async fn a_writer_sees_all_that_the_writer_before_it_has_written() {
    for temp in testing::databases().await {
        let other = temp.again().await;
        let add_one = |db: Db| async move {
            for _ in 0..10 {
                let mut tx = db.write().await.expect("its turn comes");
                // Read, then write what was read: two at once would meet the same number.
                let next = count(&mut tx).await + 1;
                testing::repository(&mut tx, next).await;
                tx.commit().await.expect("nothing stands against it");
            }
        };
        tokio::join!(add_one(temp.db.clone()), add_one(other.clone()), add_one(temp.db.clone()));
        for db in [&temp.db, &other] {
            assert_eq!(count(&mut db.read().await.expect("readable")).await, 30, "{}", temp.name);
        }
    }
}

#[tokio::test]
async fn a_row_that_stands_against_another_is_a_constraint_and_ends_the_transaction() {
    for temp in testing::fixtures().await {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        let twice = query("insert into repository (seq, id, created_at) values (1, $1, 0)").bind(&[9_u8; 16]);
        let error = failed("insert a repository")(twice.execute(tx.conn()).await.expect_err("it is there"));
        assert!(error.is_constraint(), "{}: {error:?}", temp.name);
        drop(tx);
        assert_eq!(count(&mut temp.db.write().await.expect("the next is unharmed")).await, 1, "{}", temp.name);
    }
}

#[tokio::test]
async fn a_future_that_is_dropped_at_any_moment_harms_no_other_writer() {
    for temp in testing::databases().await {
        for polls in 0..12 {
            let db = temp.db.clone();
            let mut write = Box::pin(async move {
                let mut tx = db.write().await.expect("its turn comes");
                testing::repository(&mut tx, 1_000).await;
                query("delete from repository where seq = 1000").execute(tx.conn()).await.expect("a statement");
                tx.commit().await.expect("nothing stands against it");
            });
            let mut polled = 0;
            std::future::poll_fn(|cx| {
                polled += 1;
                let ready = write.as_mut().poll(cx).is_ready();
                if ready || polled > polls { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
            })
            .await;
            drop(write);
            let mut tx = temp.db.write().await.expect("the next has its turn");
            testing::repository(&mut tx, polls + 1).await;
            tx.commit().await.expect("nothing stands against it");
        }
        assert_eq!(count(&mut temp.db.read().await.expect("readable")).await, 12, "{}", temp.name);
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_is_worth_another_try() {
    let temp = testing::sqlite().await;
    let mut tx = temp.db.write().await.expect("nobody else writes");
    // The file may not grow: what SQLite meets when the disk has no room. Less than there is means what there is.
    query("pragma max_page_count = 1").fetch_all(tx.conn()).await.expect("a statement");
    let cause = query("insert into repository (seq, id, created_at) values (1, zeroblob(1000000), 0)")
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
async fn a_file_that_is_no_database_is_damage() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let path = dir.path().join("holdfast.db");
    std::fs::write(&path, [7; 8_192]).expect("the directory is ours");
    assert_eq!(Db::open(&path).await.expect_err("no database").kind(), Kind::Damaged);
}
