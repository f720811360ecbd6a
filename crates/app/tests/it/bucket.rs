//! A server whose objects are in a bucket of a real S3 server: made, opened again, looked through, and refused where
//! the bucket does not do.

use super::world::{World, key_file};
use app::collect;
use app::scrub::{Options, scrub};
use app::{AdminActor, AppError, chain, jobs};
use base::Count;
use store::testing::S3Server;

const ADMIN: AdminActor = AdminActor::Command;

fn lines(server: &S3Server) -> String {
    format!(
        "s3.bucket = \"{}\"\ns3.endpoint = \"{}\"\ns3.prefix = \"a/b\"\ns3.key_file = \"s3.key\"\n",
        server.bucket(),
        server.endpoint()
    )
}

async fn made(server: &S3Server) -> Result<World, AppError> {
    World::on_disk_with(&lines(server), Some(&server.key())).await
}

fn said(made: Result<World, AppError>) -> String {
    chain(&made.map(|_| "a world").expect_err("it does not do"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_keeps_its_objects_in_a_bucket_and_finds_them_again() {
    let server = S3Server::start().await;
    let world = made(&server).await.expect("an empty bucket");
    assert!(!world.data_dir().join("store").exists(), "there is no folder of objects");
    let device = world.device(1).await;
    let (snapshot, pack) = world.backup(&device).await;
    let keys = server.keys();
    assert!(keys.contains(&format!("a/b/packs/{}", pack.id)), "{keys:?}");
    // The key is rotated while the server runs, and the server is started anew.
    server.key_replace("another", "secret-of-another");
    key_file(&world.data_dir(), &server.key());
    let world = world.reopened().await;
    let report = scrub(&world.app, &ADMIN, Options { read_data: true }, &mut |_| {}).await.expect("it answers");
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!((report.packs, report.snapshots, report.orphans_total), (Count(1), Count(1), Count(0)));
    assert!(app::snapshots::admin_get(&world.app, &ADMIN, snapshot).await.is_ok());
    collect::start(&world.app, &ADMIN).await.expect("permitted");
    jobs::tick_all(&world.app).await.expect("the jobs work");
    let status = collect::status(&world.app, &ADMIN).await.expect("permitted");
    assert_eq!(status.collections[0].row.figures.packs_condemned, Count(0));
    // The marks go with the next tick.
    jobs::tick_all(&world.app).await.expect("the jobs work");
    let said = "the layout, a pack, a manifest and its device's card, the keyring and the age";
    assert_eq!(server.keys().len(), 6, "{said}: {:?}", server.keys());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_does_not_do_is_refused_in_words_and_a_second_try_is_none_too_many() {
    let server = S3Server::start().await;
    server.conditions_ignore(true, true);
    let sentence = said(made(&server).await);
    assert!(sentence.contains("ignores If-None-Match"), "{sentence}");
    server.conditions_ignore(false, false);
    let world = made(&server).await.expect("nothing is left of the first try");
    let device = world.device(1).await;
    world.backup(&device).await;
    let sentence = said(made(&server).await);
    assert!(sentence.contains("there is a store in the part a/b/ of the bucket"), "{sentence}");

    let other = S3Server::start().await;
    other.bucket_remove();
    let sentence = said(made(&other).await);
    assert!(sentence.contains("bucket"), "{sentence}");
    let refused = World::on_disk_with(&lines(&server), None).await.map(|_| "a world").expect_err("no key file");
    assert_eq!(refused.code(), "file_failed");
}
