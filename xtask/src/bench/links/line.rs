//! A line before a server, on loopback: everything that passes waits for half of the round trip in each direction, and
//! all connections together share a rate. It can lose its connections. Threads, not timers: those sleep to the
//! microsecond. Refuses to imitate what a network's TCP does by itself, slow start and loss of single packets.
//! Its threads end with the connections, the one that accepts with the process.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is read at once, where there is no rate; and where there is one, so that connections take turns often.
const PIECE: usize = 64 << 10;
const PIECE_AT_RATE: usize = 16 << 10;
/// Pieces of a connection that are on their way in one direction: 64 MiB, more than any round trip needs here.
const PIECES_MAX: usize = 1_024;
/// What a line that stood idle may make up for: more than a sleep is ever too long.
const SLACK: Duration = Duration::from_millis(10);

/// A line at work.
pub struct Line {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    round_trip: Duration,
    /// Bytes a second in each direction, of all connections together; 0 is no limit.
    rate: AtomicU64,
    up: Way,
    down: Way,
    /// Both ends of every connection since the last loss.
    open: Mutex<Vec<TcpStream>>,
}

/// One direction.
struct Way {
    passed: AtomicU64,
    /// When what was let through last has passed.
    free_at: Mutex<Instant>,
}

impl Line {
    /// A line to `port` with a round trip and a rate in bytes a second, 0 for none.
    ///
    /// # Errors
    /// Loopback has no free port.
    pub fn before(port: u16, round_trip: Duration, rate: u64) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let here = listener.local_addr()?.port();
        let way = || Way { passed: AtomicU64::new(0), free_at: Mutex::new(now()) };
        let rate = AtomicU64::new(rate);
        let shared = Arc::new(Shared { round_trip, rate, up: way(), down: way(), open: Mutex::default() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for near in listener.incoming().filter_map(Result::ok) {
                // A server that is down closes the connection, as it would without the line.
                let connected = TcpStream::connect(("127.0.0.1", port)).and_then(|far| connect(near, far, &accepting));
                drop(connected);
            }
        });
        Ok(Self { port: here, shared })
    }

    /// From now on at another rate, 0 for none. Never fails.
    pub fn set_rate(&self, rate: u64) {
        self.shared.rate.store(rate, Relaxed);
    }

    /// Bytes that passed to the server, and back. Never fails.
    pub fn passed(&self) -> (u64, u64) {
        (self.shared.up.passed.load(Relaxed), self.shared.down.passed.load(Relaxed))
    }

    /// Loses every connection, with what is on its way. Never fails.
    pub fn lose(&self) {
        for end in lock(&self.shared.open).drain(..) {
            // One that has ended already needs no end.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

fn connect(near: TcpStream, far: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    lock(&shared.open).extend([near.try_clone()?, far.try_clone()?]);
    let (from_near, from_far) = (near.try_clone()?, far.try_clone()?);
    let (up, down) = (Arc::clone(shared), Arc::clone(shared));
    std::thread::spawn(move || {
        // The kernel has answered on behalf of a server that is a round trip away.
        std::thread::sleep(up.round_trip);
        carry(from_near, far, &up, &up.up);
    });
    std::thread::spawn(move || carry(from_far, near, &down, &down.down));
    Ok(())
}

/// Carries one direction of a connection to its end.
fn carry(mut from: TcpStream, to: TcpStream, shared: &Shared, way: &Way) {
    let (pieces, arriving) = sync_channel(PIECES_MAX);
    let writer = std::thread::spawn(move || deliver(&arriving, to));
    let ended = send(&mut from, shared, way, &pieces);
    drop(pieces);
    // Where the writer has ended first, nobody wants what is still to come.
    if ended.is_err() {
        let _ = from.shutdown(Shutdown::Both);
    }
    let _ = writer.join();
}

/// A piece, and when it is there.
type Piece = (Instant, Vec<u8>);

fn send(from: &mut TcpStream, shared: &Shared, way: &Way, pieces: &SyncSender<Piece>) -> io::Result<()> {
    loop {
        let rate = shared.rate.load(Relaxed);
        let mut bytes = vec![0; if rate == 0 { PIECE } else { PIECE_AT_RATE }];
        let len = from.read(&mut bytes)?;
        if len == 0 {
            return Ok(());
        }
        bytes.truncate(len);
        way.pass(len as u64, rate);
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        pieces.send((now() + shared.round_trip / 2, bytes)).map_err(gone)?;
    }
}

fn deliver(pieces: &Receiver<Piece>, mut to: TcpStream) {
    while let Ok((at, bytes)) = pieces.recv() {
        std::thread::sleep(at.saturating_duration_since(now()));
        if to.write_all(&bytes).is_err() {
            // Also what is read from it has ended.
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

impl Way {
    /// Waits until so many bytes have passed at this rate.
    fn pass(&self, len: u64, rate: u64) {
        self.passed.fetch_add(len, Relaxed);
        let Some(micros) = (len * 1_000_000).checked_div(rate) else { return };
        let now = now();
        let passed_at = {
            let mut free_at = lock(&self.free_at);
            *free_at = (*free_at).max(now.checked_sub(SLACK).unwrap_or(now)) + Duration::from_micros(micros);
            *free_at
        };
        std::thread::sleep(passed_at.saturating_duration_since(now));
    }
}

#[expect(clippy::disallowed_methods, reason = "a line of its own time, to the microsecond; no product code runs here")]
fn now() -> Instant {
    Instant::now()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server that answers each byte with the same byte needs for so many, one after the other, and for a
    /// million at once.
    fn took(round_trip: Duration, rate: u64) -> (Duration, Duration) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut server, _) = listener.accept().unwrap();
            let mut bytes = vec![0; 64 << 10];
            while let Ok(len @ 1..) = server.read(&mut bytes) {
                server.write_all(&bytes[..len]).unwrap();
            }
        });
        let line = Line::before(port, round_trip, rate).unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", line.port)).unwrap();
        let began_at = now();
        for _ in 0..5 {
            stream.write_all(&[7]).unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }
        let trips = now() - began_at;
        let mut writing = stream.try_clone().unwrap();
        let began_at = now();
        let writer = std::thread::spawn(move || writing.write_all(&vec![3; 1_000_000]).unwrap());
        stream.read_exact(&mut vec![0; 1_000_000]).unwrap();
        let pumped = now() - began_at;
        writer.join().unwrap();
        assert_eq!(line.passed(), (1_000_005, 1_000_005));
        (trips, pumped)
    }

    #[test]
    fn what_passes_is_as_late_and_as_slow_as_the_line_says() {
        let (trips, pumped) = took(Duration::from_millis(40), 0);
        // The first one opens the connection too.
        assert!(trips >= Duration::from_millis(240), "{trips:?}");
        assert!(pumped >= Duration::from_millis(40) && pumped < Duration::from_millis(240), "{pumped:?}");
        let (trips, pumped) = took(Duration::ZERO, 2_000_000);
        assert!(trips < Duration::from_millis(100), "{trips:?}");
        assert!(pumped >= Duration::from_millis(480) && pumped < Duration::from_millis(900), "{pumped:?}");
    }
}
