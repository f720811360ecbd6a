//! A slow line before the server: what a device sends passes at a rate, so that a test can meet it in the middle.
//! Its threads end with the connections, the one that accepts with the test's process.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PIECE: usize = 16 << 10;

/// The line.
pub struct Throttle {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    line: Arc<Line>,
}

#[derive(Default)]
struct Line {
    /// Bytes a second, of all connections together; 0 is no limit.
    rate: AtomicU64,
    passed: AtomicU64,
    /// Held by the piece that passes.
    turn: Mutex<()>,
}

impl Throttle {
    /// A line to `port`, with a rate in bytes a second.
    pub fn before(port: u16, rate: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let here = listener.local_addr().expect("it is bound").port();
        let line = Arc::new(Line { rate: AtomicU64::new(rate), ..Line::default() });
        let shared = Arc::clone(&line);
        std::thread::spawn(move || {
            for device in listener.incoming().filter_map(Result::ok) {
                // A server that is down closes the connection, as it would without the line.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", port)) {
                    connect(device, server, &shared);
                }
            }
        });
        Self { port: here, line }
    }

    /// From now on at another rate.
    pub fn set_rate(&self, rate: u64) {
        self.line.rate.store(rate, Ordering::Relaxed);
    }

    /// Bytes that devices have sent through it.
    pub fn passed(&self) -> u64 {
        self.line.passed.load(Ordering::Relaxed)
    }
}

fn connect(device: TcpStream, server: TcpStream, line: &Arc<Line>) {
    let (Ok(from_device), Ok(from_server)) = (device.try_clone(), server.try_clone()) else { return };
    let line = Arc::clone(line);
    std::thread::spawn(move || copy(from_device, server, Some(&line)));
    std::thread::spawn(move || copy(from_server, device, None));
}

fn copy(mut from: TcpStream, mut to: TcpStream, line: Option<&Line>) {
    let mut piece = vec![0; PIECE];
    while let Ok(len @ 1..) = from.read(&mut piece) {
        if let Some(line) = line {
            line.pass(len as u64);
        }
        if to.write_all(&piece[..len]).is_err() {
            break;
        }
    }
    // Neither side needs to be there any more.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

impl Line {
    fn pass(&self, len: u64) {
        self.passed.fetch_add(len, Ordering::Relaxed);
        let _turn = self.turn.lock().expect("no thread panics with it");
        if let Some(micros) = (len * 1_000_000).checked_div(self.rate.load(Ordering::Relaxed)) {
            std::thread::sleep(Duration::from_micros(micros));
        }
    }
}
