//! Where a connection comes from that a load balancer has passed on without opening it: the PROXY header before the
//! TLS handshake, version 1 or 2. Refuses a connection of such a balancer without one, and to believe anybody else.
//! Form: <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>

use app::Config;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What a header of version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// What one of version 1 begins with.
const WORD: &[u8] = b"PROXY ";
/// The longest header of version 1, its end included.
const LINE_BYTES_MAX: usize = 107;
/// The longest rest of a header of version 2 that is read: addresses, and what a balancer adds to them.
const REST_BYTES_MAX: usize = 2 << 10;

/// The other end of a connection from `peer`: `peer` itself, unless that is a balancer which says more. Reads the
/// header, and not a byte beyond it.
///
/// # Errors
/// The connection breaks, or begins with something else.
pub(super) async fn source(
    config: &Config,
    peer: SocketAddr,
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<SocketAddr> {
    if !config.proxy_protocol || !config.proxy_trusted.lists(peer.ip()) {
        return Ok(peer);
    }
    let mut first = [0; SIGNATURE.len()];
    stream.read_exact(&mut first).await?;
    let said = if first == SIGNATURE { second(stream).await? } else { text(&first, stream).await? };
    Ok(said.unwrap_or(peer))
}

/// Version 2, after its signature. `None` for a connection of the balancer's own, and for one that is not TCP.
async fn second(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let [command, family, high, low] = {
        let mut head = [0; 4];
        stream.read_exact(&mut head).await?;
        head
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > REST_BYTES_MAX {
        return Err(wrong("the header is too long"));
    }
    let mut rest = vec![0; len];
    stream.read_exact(&mut rest).await?;
    match (command, family) {
        (0x20, _) => Ok(None),
        (0x21, 0x11) => {
            let (address, port) = (array::<4>(&rest, 0)?, array::<2>(&rest, 8)?);
            Ok(Some((Ipv4Addr::from(address), u16::from_be_bytes(port)).into()))
        }
        (0x21, 0x21) => {
            let (address, port) = (array::<16>(&rest, 0)?, array::<2>(&rest, 32)?);
            Ok(Some((Ipv6Addr::from(address), u16::from_be_bytes(port)).into()))
        }
        (0x21, _) => Ok(None),
        _ => Err(wrong("the header is of an unknown version")),
    }
}

/// Version 1: a line of text. `None` where the balancer does not know.
async fn text(first: &[u8], stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    if !first.starts_with(WORD) {
        return Err(wrong("there is no header"));
    }
    let mut line = first.to_vec();
    // One byte at a time: what comes after the line is the handshake's.
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE_BYTES_MAX {
            return Err(wrong("the header is too long"));
        }
        line.push(stream.read_u8().await?);
    }
    let line = str::from_utf8(&line).map_err(|_| wrong("the header is no text"))?;
    let words: Vec<&str> = line.trim_end().split(' ').collect();
    let [_, "TCP4" | "TCP6", address, _, port, _] = words[..] else {
        let is_unknown = words.get(1) == Some(&"UNKNOWN");
        return if is_unknown { Ok(None) } else { Err(wrong("the header is damaged")) };
    };
    match (address.parse::<IpAddr>(), port.parse()) {
        (Ok(address), Ok(port)) => Ok(Some(SocketAddr::new(address, port))),
        _ => Err(wrong("the header is damaged")),
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> io::Result<[u8; N]> {
    let found = bytes.get(at..at + N).and_then(|part| part.try_into().ok());
    found.ok_or_else(|| wrong("the header is too short"))
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BALANCER: &str = "10.0.0.1:7";

    /// The source of a connection with these bytes, and what is left of them for the handshake.
    async fn read(config: &str, peer: &str, bytes: &[u8]) -> Result<(String, Vec<u8>), String> {
        let config = Config::parse(config).expect("good text");
        let mut left = bytes;
        let source = source(&config, peer.parse().expect("an address"), &mut left).await;
        source.map(|source| (source.to_string(), left.to_vec())).map_err(|error| error.to_string())
    }

    async fn check(bytes: &[u8], expected: Result<&str, &str>) {
        let config = "proxy.trusted = [\"10.0.0.0/8\"]\nproxy.protocol = true";
        let whole = [bytes, b"hello"].concat();
        let expected = expected.map(|source| (source.to_owned(), b"hello".to_vec())).map_err(str::to_owned);
        assert_eq!(read(config, BALANCER, &whole).await, expected, "{bytes:?}");
    }

    fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).expect("short").to_be_bytes();
        [&SIGNATURE[..], &[command, family], &len, rest].concat()
    }

    #[tokio::test]
    async fn a_header_says_where_a_connection_comes_from_and_leaves_what_follows() {
        check(b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n", Ok("203.0.113.9:4711")).await;
        check(b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 443\r\n", Ok("[2001:db8::9]:4711")).await;
        check(b"PROXY UNKNOWN\r\n", Ok(BALANCER)).await;
        let four = [203, 0, 113, 9, 192, 0, 2, 1, 0x12, 0x67, 1, 187];
        check(&version_2(0x21, 0x11, &four), Ok("203.0.113.9:4711")).await;
        check(&version_2(0x21, 0x11, &[&four[..], &[4, 0, 1, 7]].concat()), Ok("203.0.113.9:4711")).await;
        let mut six = [0; 36];
        six[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        (six[15], six[33]) = (9, 80);
        check(&version_2(0x21, 0x21, &six), Ok("[2001:db8::9]:80")).await;
        // A balancer that asks for itself whether the server is well.
        check(&version_2(0x20, 0, &[]), Ok(BALANCER)).await;
        check(&version_2(0x21, 0x31, &[0; 216]), Ok(BALANCER)).await;
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        check(b"GET / HTTP/1.1\r\n", Err("there is no header")).await;
        check(b"PROXY TCP4 nowhere 192.0.2.1 1 443\r\n", Err("the header is damaged")).await;
        check(b"PROXY TCP4 203.0.113.9 192.0.2.1 70000 443\r\n", Err("the header is damaged")).await;
        check(b"PROXY TCP9 203.0.113.9\r\n", Err("the header is damaged")).await;
        check(&[b"PROXY ".as_slice(), &[b'x'; 200]].concat(), Err("the header is too long")).await;
        check(&version_2(0x21, 0x11, &[1, 2, 3]), Err("the header is too short")).await;
        check(&version_2(0x31, 0x11, &[0; 12]), Err("the header is of an unknown version")).await;
        check(&version_2(0x21, 0x11, &[0; 3_000]), Err("the header is too long")).await;
    }

    #[tokio::test]
    async fn nobody_is_believed_who_is_no_balancer() {
        let header = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n";
        let trusted = "proxy.trusted = [\"10.0.0.0/8\"]";
        for (config, peer) in [
            (format!("{trusted}\nproxy.protocol = true"), "198.51.100.7:7"),
            (trusted.to_owned(), BALANCER),
            ("proxy.protocol = true".to_owned(), BALANCER),
        ] {
            assert_eq!(read(&config, peer, header).await, Ok((peer.to_owned(), header.to_vec())), "{config} {peer}");
        }
        let mapped = read(&format!("{trusted}\nproxy.protocol = true"), "[::ffff:10.0.0.1]:7", header).await;
        assert_eq!(mapped, Ok(("203.0.113.9:4711".to_owned(), Vec::new())));
    }
}
