//! What a line does when nobody backs up: bytes pumped through it, without TLS and without a meaning.

use super::line::Line;
use anyhow::{Context, Result};
use base::{Clock as _, SystemClock};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// Bytes a second over a line of this kind, in one direction, by so many connections at once that send `bytes` together
/// and wait until the other end has all of them.
///
/// # Errors
/// Loopback does not carry it.
pub fn rate(round_trip: Duration, rate: u64, connections: usize, bytes: u64) -> Result<f64> {
    let each = bytes / connections as u64;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let line = Line::before(listener.local_addr()?.port(), round_trip, rate)?;
    let began_at = SystemClock.now();
    let sinks = std::thread::spawn(move || -> Result<()> {
        let sinks: Vec<_> = (0..connections).map(|_| Ok(sink(listener.accept()?.0, each))).collect::<Result<_>>()?;
        sinks.into_iter().try_for_each(|sink| sink.join().ok().context("the other end panicked")?)
    });
    let sources: Vec<_> = (0..connections).map(|_| source(line.port, each)).collect();
    for source in sources {
        source.join().ok().context("the pump panicked")??;
    }
    sinks.join().ok().context("the other end panicked")??;
    let took_ms = SystemClock.now().since(began_at).as_ms().max(1);
    Ok((each * connections as u64) as f64 * 1e3 / took_ms as f64)
}

type Thread = std::thread::JoinHandle<Result<()>>;

fn source(port: u16, bytes: u64) -> Thread {
    std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        let piece = vec![7; 256 << 10];
        let mut left = bytes;
        while left > 0 {
            let len = left.min(piece.len() as u64);
            stream.write_all(&piece[..len as usize])?;
            left -= len;
        }
        stream.read_exact(&mut [0]).context("the other end has everything")
    })
}

fn sink(mut stream: TcpStream, bytes: u64) -> Thread {
    std::thread::spawn(move || {
        let mut piece = vec![0; 256 << 10];
        let mut left = bytes;
        while left > 0 {
            let len = stream.read(&mut piece)?;
            anyhow::ensure!(len > 0, "the pump ended early");
            left -= len as u64;
        }
        stream.write_all(&[1]).context("saying that it is all here")
    })
}
