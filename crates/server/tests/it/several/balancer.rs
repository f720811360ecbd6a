//! A load balancer as small as one can be: it passes TLS through, asks every server whether it is well, and gives new
//! connections to those that are, one after the other. Refuses to know anything of what it carries.

use base::{Clock as _, Span, SystemClock};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

/// How often a server is asked.
const ASK_SPAN: Span = Span::ms(100);
/// A server that has not answered after this is not well.
const ANSWER_SPAN: Span = Span::seconds(1);
/// A server is well, or is not any more, after this at the latest.
const SEEN_SPAN: Span = Span::seconds(30);

/// The balancer.
pub struct Balancer {
    pub address: SocketAddr,
    places: Arc<[Place]>,
}

/// Where a server may be.
struct Place {
    address: Mutex<Option<SocketAddr>>,
    health: watch::Sender<Health>,
}

/// How a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    /// It gets connections.
    Well,
    /// Nobody listens: it is gone, or it stops, and then ends its connections by itself.
    Away,
    /// It listens and does not do its work: its connections are ended, so that devices come to another.
    Ill,
}

impl Balancer {
    /// A balancer of so many servers, which are still to come. `tls` trusts them.
    pub async fn start(servers: usize, tls: Arc<rustls::ClientConfig>) -> Balancer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let place = || Place { address: Mutex::default(), health: watch::channel(Health::Away).0 };
        let places: Arc<[Place]> = (0..servers).map(|_| place()).collect();
        for number in 0..servers {
            tokio::spawn(look_after(Arc::clone(&places), number, TlsConnector::from(Arc::clone(&tls))));
        }
        let of_task = Arc::clone(&places);
        tokio::spawn(async move {
            let turn = Arc::new(AtomicUsize::new(0));
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, Arc::clone(&of_task), turn.fetch_add(1, Ordering::Relaxed)));
            }
        });
        Balancer { address, places }
    }

    /// Where the server with this number is now.
    pub fn set(&self, number: usize, address: SocketAddr) {
        *self.places[number].address.lock().expect("no test panics with it") = Some(address);
    }

    /// Returns once the server with this number gets connections, or gets none any more.
    pub async fn sees(&self, number: usize, well: bool) {
        let mut health = self.places[number].health.subscribe();
        let seen = health.wait_for(|health| (*health == Health::Well) == well);
        drop(tokio::time::timeout(SEEN_SPAN.as_duration(), seen).await.expect("in time").expect("it is looked after"));
    }
}

async fn look_after(places: Arc<[Place]>, number: usize, tls: TlsConnector) {
    let place = &places[number];
    loop {
        let address = *place.address.lock().expect("no test panics with it");
        let health = match address {
            Some(address) => health(address, &tls).await,
            None => Health::Away,
        };
        place.health.send_replace(health);
        SystemClock.sleep(ASK_SPAN).await;
    }
}

async fn health(address: SocketAddr, tls: &TlsConnector) -> Health {
    let Ok(stream) = TcpStream::connect(address).await else { return Health::Away };
    let ask = async {
        let name = "localhost".try_into().expect("a name");
        let mut stream = tls.connect(name, stream).await.ok()?;
        let asked = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(asked).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        Some(answer.starts_with(b"HTTP/1.1 200 "))
    };
    match tokio::time::timeout(ANSWER_SPAN.as_duration(), ask).await {
        Ok(Some(true)) => Health::Well,
        // It was stopped or killed in the middle.
        Ok(None) => Health::Away,
        Ok(Some(false)) | Err(_) => Health::Ill,
    }
}

/// Gives a connection to the first server after `turn` that takes it.
async fn carry(mut client: TcpStream, places: Arc<[Place]>, turn: usize) {
    for number in 0..places.len() {
        let place = &places[(turn + number) % places.len()];
        let mut health = place.health.subscribe();
        let address = *place.address.lock().expect("no test panics with it");
        let Some(address) = address.filter(|_| *health.borrow() == Health::Well) else { continue };
        let Ok(mut server) = TcpStream::connect(address).await else { continue };
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => {}
            _ = health.wait_for(|health| *health == Health::Ill) => {}
        }
        return;
    }
}
