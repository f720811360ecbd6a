//! Interleavings of writers that share a commit: drops, failures, another process, and what may be seen when.

use super::Writer;
use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::query;
use crate::testing::{self, TempDb};
use crate::{Db, DbError, Tx};
use base::Kind;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::task::JoinHandle;

async fn seqs(db: &Db) -> Vec<i64> {
    let mut tx = db.read().await.expect("readable");
    let rows = query("select seq from repository order by seq").fetch_all(tx.conn()).await.expect("a statement");
    rows.iter().map(|row| row.int("seq").expect("a number")).collect()
}

/// Asks for a turn, and is in the queue when this returns.
async fn queued(db: &Db) -> JoinHandle<Result<Tx, DbError>> {
    let db = db.clone();
    let task = tokio::spawn(async move { db.write().await });
    settle().await;
    task
}

/// Lets every task go as far as it can without the database's answer.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

async fn turn(task: JoinHandle<Result<Tx, DbError>>) -> Tx {
    task.await.expect("no task panics").expect("its turn comes")
}

/// A first member that has written row 1 and waits for the commit, and the turn of the second.
async fn two(temp: &TempDb) -> (JoinHandle<Result<(), DbError>>, Tx) {
    let mut first = temp.db.write().await.expect("nobody else writes");
    let second = queued(&temp.db).await;
    testing::repository(&mut first, 1).await;
    let first = tokio::spawn(first.commit());
    (first, turn(second).await)
}

#[tokio::test]
async fn nobody_is_answered_and_nothing_is_seen_before_the_shared_commit() {
    let temp = testing::sqlite().await;
    let (first, mut second) = two(&temp).await;
    testing::repository(&mut second, 2).await;
    let third = queued(&temp.db).await;
    let second = tokio::spawn(second.commit());
    let mut third = turn(third).await;
    testing::repository(&mut third, 3).await;
    assert!(!first.is_finished() && !second.is_finished(), "the third still writes");
    assert_eq!(seqs(&temp.db).await, [0_i64; 0]);
    third.commit().await.expect("nothing stands against it");
    assert_eq!(seqs(&temp.db).await, [1, 2, 3]);
    for task in [first, second] {
        task.await.expect("no task panics").expect("the shared commit held");
    }
}

#[tokio::test]
async fn a_member_that_is_dropped_takes_only_its_own_work_with_it() {
    let temp = testing::sqlite().await;
    let (first, mut second) = two(&temp).await;
    testing::repository(&mut second, 2).await;
    let third = queued(&temp.db).await;
    drop(second);
    let mut third = turn(third).await;
    testing::repository(&mut third, 3).await;
    third.commit().await.expect("nothing stands against it");
    first.await.expect("no task panics").expect("nothing stands against it");
    assert_eq!(seqs(&temp.db).await, [1, 3]);
}

#[tokio::test]
async fn a_last_member_that_is_dropped_does_not_keep_the_others_waiting() {
    let temp = testing::sqlite().await;
    let (first, mut second) = two(&temp).await;
    testing::repository(&mut second, 2).await;
    drop(second);
    first.await.expect("no task panics").expect("nothing stands against it");
    assert_eq!(seqs(&temp.db).await, [1]);
}

#[tokio::test]
async fn a_first_member_that_is_dropped_leaves_the_next_a_clean_beginning() {
    let temp = testing::sqlite().await;
    let mut first = temp.db.write().await.expect("nobody else writes");
    let second = queued(&temp.db).await;
    testing::repository(&mut first, 1).await;
    drop(first);
    let mut second = turn(second).await;
    testing::repository(&mut second, 2).await;
    second.commit().await.expect("nothing stands against it");
    assert_eq!(seqs(&temp.db).await, [2]);
}

#[tokio::test]
async fn a_waiter_that_goes_away_is_passed_over() {
    let temp = testing::sqlite().await;
    let mut first = temp.db.write().await.expect("nobody else writes");
    let (second, third) = (queued(&temp.db).await, queued(&temp.db).await);
    second.abort();
    settle().await;
    testing::repository(&mut first, 1).await;
    let first = tokio::spawn(first.commit());
    let mut third = turn(third).await;
    testing::repository(&mut third, 3).await;
    third.commit().await.expect("nothing stands against it");
    first.await.expect("no task panics").expect("nothing stands against it");
    assert_eq!(seqs(&temp.db).await, [1, 3]);
}

#[tokio::test]
async fn a_constraint_that_one_member_meets_is_no_other_members_affair() {
    let temp = testing::sqlite().await;
    let (first, mut second) = two(&temp).await;
    // The row of the first member stands against it, though it is not durable yet.
    let twice = query("insert into repository (seq, id, created_at) values (1, $1, 0)").bind(&[9_u8; 16]);
    let error = failed("insert a repository")(twice.execute(second.conn()).await.expect_err("it is there"));
    assert!(error.is_constraint());
    drop(second);
    first.await.expect("no task panics").expect("nothing stands against it");
    assert_eq!(seqs(&temp.db).await, [1]);
}

#[tokio::test]
async fn a_shared_commit_that_fails_fails_for_every_member_and_nothing_is_left() {
    let temp = testing::sqlite().await;
    let (first, mut second) = two(&temp).await;
    // What is looked at only by the commit itself: a user in a repository that is not there.
    query("pragma defer_foreign_keys = on").fetch_all(second.conn()).await.expect("a statement");
    query(
        "insert into \"user\" (id, email, state, repository, password_hash, created_at) values ($1, '', '', 99, '', 0)",
    )
    .bind(&[1_u8; 16])
    .execute(second.conn())
    .await
    .expect("it is not looked at yet");
    let second = tokio::spawn(second.commit());
    for task in [first, second] {
        let error = task.await.expect("no task panics").expect_err("the commit fails");
        assert_eq!(error.kind(), Kind::Conflict, "{error:?}");
    }
    assert_eq!(seqs(&temp.db).await, [0_i64; 0]);
    let mut next = temp.db.write().await.expect("the next group begins anew");
    testing::repository(&mut next, 4).await;
    next.commit().await.expect("nothing stands against it");
    assert_eq!(seqs(&temp.db).await, [4]);
}

#[tokio::test]
async fn a_transaction_that_sqlite_itself_has_undone_fails_for_every_member() {
    for dropped in [true, false] {
        let temp = testing::sqlite().await;
        let (first, mut second) = two(&temp).await;
        // As SQLite does by itself when the disk is full or does not answer.
        query("rollback").execute(second.conn()).await.expect("a statement");
        if dropped {
            drop(second);
        } else {
            second.commit().await.expect_err("there is nothing to commit");
        }
        first.await.expect("no task panics").expect_err("its work is gone");
        let mut next = temp.db.write().await.expect("the next group begins anew");
        testing::repository(&mut next, 4).await;
        next.commit().await.expect("nothing stands against it");
        assert_eq!(seqs(&temp.db).await, [4]);
    }
}

#[tokio::test]
async fn closing_waits_for_the_group_under_way_and_turns_the_others_away() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let path = dir.path().join("group.db");
    let link = crate::sqlite::opened(&path, crate::sqlite::Way::Write).await;
    let writer = Writer::start(link.expect("an empty directory takes a database"), path);
    let first = writer.turn().await.expect("nobody else writes");
    let closes = writer.clone();
    let close = tokio::spawn(async move { closes.close().await });
    settle().await;
    let asks = writer.clone();
    let late = tokio::spawn(async move { asks.turn().await.is_ok() });
    settle().await;
    assert!(!close.is_finished() && !late.is_finished());
    first.commit().await.expect("it was under way");
    close.await.expect("no task panics");
    assert!(!late.await.expect("no task panics"), "it is closed");
}

/// Writes rows `n` and `n + 1000`, which are there both or not at all.
async fn write_both(db: Db, n: i64) -> Result<(), DbError> {
    let mut tx = db.write().await?;
    testing::repository(&mut tx, n).await;
    query("insert into repository (seq, id, created_at) values ($1, $2, 0)")
        .bind(n + 1_000)
        .bind(n.to_be_bytes().to_vec())
        .execute(tx.conn())
        .await
        .map_err(failed("insert a repository"))?;
    tx.commit().await
}

#[tokio::test]
async fn writers_dropped_at_every_moment_leave_whole_work_or_none_and_every_answer_true() {
    let temp = testing::sqlite().await;
    let tasks: Vec<_> = (1..=120_u32)
        .map(|n| {
            let mut write = Box::pin(write_both(temp.db.clone(), n.into()));
            // Every third is left alone; the others are polled so often and then dropped.
            let polls_max = if n % 3 == 0 { u32::MAX } else { n % 17 };
            let mut polls = 0;
            tokio::spawn(std::future::poll_fn(move |cx| {
                if polls == polls_max {
                    return Poll::Ready(None);
                }
                polls += 1;
                write.as_mut().poll(cx).map(Some)
            }))
        })
        .collect();
    let mut answered = Vec::new();
    for (n, task) in (1..).zip(tasks) {
        if let Some(outcome) = task.await.expect("no task panics") {
            outcome.expect("nothing stands against it");
            answered.push(n);
        }
    }
    let mut tx = temp.db.write().await.expect("the next has its turn");
    testing::repository(&mut tx, 999).await;
    tx.commit().await.expect("nothing stands against it");
    let found = seqs(&temp.db).await;
    assert!(answered.len() >= 40 && answered.iter().all(|n| found.contains(n)), "{answered:?} {found:?}");
    for n in found.iter().filter(|n| **n < 999) {
        assert!(found.contains(&(n + 1_000)), "half of {n} is there");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_gets_its_turn_while_writers_queue_here() {
    let temp = testing::sqlite().await;
    let other = temp.again().await;
    let done = Arc::new(AtomicBool::new(false));
    let load = |lane: i64| {
        let (db, done) = (temp.db.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut n = 0;
            while !done.load(Ordering::Relaxed) {
                let mut tx = db.write().await.expect("its turn comes");
                let insert = query("insert into repository (seq, id, created_at) values ($1, $2, 0)");
                let insert = insert.bind(1_000_000 * lane + n).bind(std::format!("{lane} {n}").into_bytes());
                insert.execute(tx.conn()).await.expect("the row is new");
                tx.commit().await.expect("nothing stands against it");
                n += 1;
            }
            n
        })
    };
    let lanes: Vec<_> = (1..=16).map(load).collect();
    for n in 1..=3 {
        let turn = tokio::time::timeout(Duration::from_secs(9), other.write()).await.expect("before SQLite gives up");
        let mut tx = turn.expect("its turn comes");
        testing::repository(&mut tx, n).await;
        tx.commit().await.expect("nothing stands against it");
    }
    done.store(true, Ordering::Relaxed);
    let mut wrote = 0;
    for lane in lanes {
        wrote += lane.await.expect("no writer panics");
    }
    assert_eq!(seqs(&temp.db).await.len() as i64, wrote + 3);
}

/// Lets so much time pass.
async fn after(span: Duration) {
    let _late = tokio::time::timeout(span, std::future::pending::<()>()).await.is_err();
}

#[tokio::test]
async fn a_long_log_is_cut_off_when_nobody_writes_and_nobody_reads_any_more() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("holdfast.db");
    let db = Db::open(&file).await.expect("an empty directory takes a database");
    let log = || std::fs::metadata(dir.path().join("holdfast.db-wal")).expect("a log").len();
    let mut tx = db.write().await.expect("nobody else writes");
    for statement in ["create table filler (bytes blob)", "insert into filler values (zeroblob(6000000))"] {
        query(statement).execute(tx.conn()).await.expect("a statement");
    }
    tx.commit().await.expect("nothing stands against it");
    let count = query("select length(bytes) as len from filler");
    let mut reader = db.read().await.expect("readable");
    count.fetch_all(reader.conn()).await.expect("a statement");
    after(Duration::from_millis(1_500)).await;
    assert!(log() > 6_000_000, "somebody reads: the log stays, and nobody waits for it");
    let began = tokio::time::Instant::now();
    let mut tx = db.write().await.expect("nobody else writes");
    testing::repository(&mut tx, 1).await;
    tx.commit().await.expect("nothing stands against it");
    assert!(began.elapsed() < Duration::from_secs(5), "a writer does not wait for who reads");
    drop(reader);
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while log() > 0 {
        assert!(tokio::time::Instant::now() < end, "the log has {} bytes still", log());
        after(Duration::from_millis(100)).await;
    }
    assert_eq!(seqs(&db).await, [1]);
    let mut tx = db.write().await.expect("nobody else writes");
    testing::repository(&mut tx, 2).await;
    tx.commit().await.expect("nothing stands against it");
    assert_eq!(seqs(&db).await, [1, 2]);
}
