//! Three servers on one PostgreSQL and one bucket, behind one address: killed, cut from the database and started anew
//! one at a time while devices back up; and that what an admin changes at one holds at the others at once.
//! Refuses a lost snapshot, and an answer after which a device would not ask again.

mod balancer;
mod cluster;
mod endpoint;

use agent::remote::Connection;
use base::{Clock as _, Span, SystemClock};
use cluster::{Cluster, SERVERS, private};
use endpoint::{Endpoint, around};
use futures::future::join_all;
use std::io::Write as _;
use tokio::sync::watch;

/// Devices that back up at the same time.
const DEVICES: u64 = 4;
/// How many times a server is killed.
const KILLS: usize = 2 * SERVERS;
/// Each of them gets on after this, whatever becomes of one server.
const GETS_ON_SPAN: Span = Span::seconds(40);
/// A change that an admin makes at one server holds at every other after this.
const CHANGE_SPAN: Span = Span::seconds(2);
/// How often it is looked.
const LOOK_SPAN: Span = Span::ms(20);

/// Returns once every device has had a backup acknowledged that began after this call.
async fn all_get_on(endpoints: &[Endpoint], cluster: &Cluster, what: &str) {
    let all = join_all(endpoints.iter().map(Endpoint::backs_up_anew));
    if tokio::time::timeout(GETS_ON_SPAN.as_duration(), all).await.is_err() {
        let told: Vec<Vec<String>> = endpoints.iter().map(Endpoint::told).collect();
        let logs: Vec<String> = cluster.servers.iter().map(cluster::Server::log).collect();
        panic!("devices do not get on {what}: {told:#?}\n{}", logs.join("\n---\n"));
    }
}

async fn kill_one_at_a_time(cluster: &mut Cluster, endpoints: &[Endpoint]) {
    for number in (0..KILLS).map(|kill| kill % SERVERS) {
        cluster.servers[number].kill().await;
        all_get_on(endpoints, cluster, "without a server that was killed").await;
        cluster.start_again(number).await;
    }
}

async fn cut_one_from_the_database(cluster: &Cluster, endpoints: &[Endpoint]) {
    let line = &cluster.servers[1].line;
    line.die();
    cluster.balancer.sees(1, false).await;
    all_get_on(endpoints, cluster, "while the line of a server is dead").await;
    line.cut();
    all_get_on(endpoints, cluster, "while the line of a server is cut").await;
    line.mend();
    cluster.balancer.sees(1, true).await;
    all_get_on(endpoints, cluster, "when the line works again").await;
}

async fn restart_one_after_the_other(cluster: &mut Cluster, endpoints: &[Endpoint]) {
    for number in 0..SERVERS {
        cluster.servers[number].stop().await;
        cluster.start_again(number).await;
    }
    all_get_on(endpoints, cluster, "after a rolling restart").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_killed_cut_off_and_restarted_under_load_lose_nothing_that_was_acknowledged() {
    let mut cluster = Cluster::start().await;
    let endpoints = join_all((1..=DEVICES).map(|number| Endpoint::activated(&cluster, number))).await;
    let (stop, stopped) = watch::channel(false);
    let load = join_all(endpoints.iter().map(|endpoint| endpoint.live(stopped.clone())));
    let disturbed = async {
        all_get_on(&endpoints, &cluster, "at first").await;
        kill_one_at_a_time(&mut cluster, &endpoints).await;
        cut_one_from_the_database(&cluster, &endpoints).await;
        restart_one_after_the_other(&mut cluster, &endpoints).await;
        stop.send_replace(true);
    };
    tokio::join!(disturbed, load);
    let restored = cluster.folder("restored");
    let snapshots = join_all(endpoints.iter().map(|endpoint| endpoint.restores(&restored))).await;
    // One before and one for each thing that was done to the servers, and the last.
    assert!(snapshots.iter().all(|restored| *restored >= KILLS + 6), "{snapshots:?}");
    let report = cluster.command(&["scrub"]).await;
    assert_eq!(report["clean"], true, "{report}");
    let audit = cluster.command(&["audit", "verify"]).await;
    assert_eq!(audit["broken"], serde_json::Value::Null, "{audit}");
}

/// Two ways of one device to two servers, neither of which is the one at which the admin is.
async fn other_ways(cluster: &Cluster, endpoint: &Endpoint) -> [Connection; 2] {
    let (mut state, key) = endpoint.dir.activated().expect("it is activated");
    let ways = [1, 2].map(|number| {
        state.server.url = format!("https://{}", cluster.servers[number].address());
        Connection::of_device(&endpoint.dir, &state, key.clone(), &around(Span::ZERO)).expect("a good address")
    });
    for way in &ways {
        assert_eq!(way.device().await.expect("in service").state, "active");
    }
    ways
}

/// What a look at both ways shows once it is `wanted`; within the span in which a change must hold everywhere.
async fn in_time<T>(what: &str, ways: &[Connection; 2], wanted: impl AsyncFn(&Connection) -> Option<T>) -> [T; 2] {
    let began_at = SystemClock.now();
    let seen = ways.each_ref().map(async |way| {
        loop {
            let (asked_at, seen) = (SystemClock.now(), wanted(way).await);
            if let Some(seen) = seen {
                return seen;
            }
            // It was so until this look began, at the least.
            assert!(asked_at.since(began_at) <= CHANGE_SPAN, "{what} does not hold after {CHANGE_SPAN}");
            SystemClock.sleep(LOOK_SPAN).await;
        }
    });
    let [one, two] = seen;
    tokio::join!(one, two).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_admin_changes_at_one_server_holds_at_the_others_within_two_seconds() {
    let cluster = Cluster::start().await;
    let endpoint = Endpoint::activated(&cluster, 1).await;
    let made = cluster.command(&["credential", "make", "--name", "console", "--permit", "all"]).await;
    let credential = cluster.folder("console").join("credential");
    write!(private(&credential), "{}", made["text"].as_str().expect("a text")).expect("own file");
    let ways = other_ways(&cluster, &endpoint).await;
    let before = ways[0].device().await.expect("in service").policy_revision;

    cluster.command_at(0, &credential, &["organisation", "set", "interval=7h"]).await;
    let revisions = in_time("a policy", &ways, async |way| {
        let revision = way.device().await.expect("in service").policy_revision;
        (revision > before).then_some(revision)
    });
    assert_eq!(revisions.await, [before + 1; 2]);
    for way in &ways {
        let policy = way.policy().await.expect("in service");
        assert!(policy.values.iter().any(|value| value.key == "interval" && value.value == "7h"), "{policy:?}");
    }

    let device = endpoint.dir.activated().expect("it is activated").0.device.to_string();
    cluster.command_at(0, &credential, &["device", "deactivate", &device, "--level", "rotate"]).await;
    let refused = in_time("a deactivation", &ways, async |way| way.device().await.err().map(|error| error.code));
    assert_eq!(refused.await, ["device_deactivated"; 2]);
    // It is let in again at one server, and is in service at the others.
    cluster.command_at(0, &credential, &["device", "reactivate", &device]).await;
    in_time("a reactivation", &ways, async |way| way.device().await.ok()).await;
}
