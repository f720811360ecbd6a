//! What a simulated device keeps: which one it is, and what the server gave it. Refuses to keep keys: the seed makes
//! them anew, so that a fleet in a file is small.

use base::{DeviceId, Entropy as _, SeededEntropy, Timestamp};
use protocol::agent::activation::{Evidence, Platform};
use protocol::{Hex, Text};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::{Deserialize, Serialize};

/// A simulated device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its number in the fleet, from 0.
    pub number: u32,
    /// The seed of the fleet.
    pub seed: u64,
    /// How often it has made a key.
    pub generation: u32,
    /// Its record; absent before the first activation.
    pub record: Option<Text<DeviceId>>,
    /// Which binding of a key to the record it has.
    pub epoch: u64,
    /// What to present at the next session.
    pub counter: Option<Hex<56>>,
    /// When it may catch up on missed backups, in milliseconds since 1970.
    pub catch_up_at_ms: Option<i64>,
    /// The session's token. Not kept: a device that starts anew opens a session.
    #[serde(skip)]
    pub bearer: Option<String>,
}

/// A key, and the request that binds it.
pub(super) struct Made {
    pub(super) request: [u8; 16],
    pub(super) key: Ed25519KeyPair,
}

impl Device {
    /// A fleet that nobody knows yet. Never fails.
    pub fn fleet(devices: u32, seed: u64) -> Vec<Device> {
        let fresh = |number| Device {
            number,
            seed,
            generation: 0,
            record: None,
            epoch: 0,
            counter: None,
            catch_up_at_ms: None,
            bearer: None,
        };
        (0..devices).map(fresh).collect()
    }

    /// The key of a generation and the request that binds it: the same each time.
    pub(super) fn made(&self, generation: u32) -> Made {
        let entropy = SeededEntropy::new(mixed(self.seed, self.number, generation));
        let (mut request, mut seed) = ([0; 16], [0; 32]);
        entropy.fill(&mut request);
        entropy.fill(&mut seed);
        Made { request, key: Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed") }
    }

    /// Randomness for what is drawn afresh each time, and by each device at the same moment its own.
    pub(super) fn entropy_at(&self, now: Timestamp) -> SeededEntropy {
        SeededEntropy::new(mixed(self.seed ^ now.as_ms().cast_unsigned(), self.number, self.generation))
    }

    /// The user's number among so many, when the fleet's first device is of user `from`.
    pub(super) fn user(&self, from: u32, users: u32) -> u32 {
        from.wrapping_add(self.number) % users.max(1)
    }

    pub(super) fn evidence(&self, email: &str) -> Evidence {
        let number = self.number;
        Evidence {
            host_name: format!("sim-{number:06}"),
            serial: format!("SIM{:04X}-{number:06}", self.seed & 0xffff),
            hardware_uuid: String::new(),
            os_user: email.split('@').next().unwrap_or_default().to_owned(),
        }
    }

    pub(super) fn platform() -> Platform {
        let agent = env!("CARGO_PKG_VERSION").to_owned();
        Platform { os: "linux".to_owned(), arch: "x86_64".to_owned(), agent }
    }
}

/// The public half of a key.
pub(super) fn public(key: &Ed25519KeyPair) -> [u8; 32] {
    key.public_key().as_ref().try_into().expect("an Ed25519 key has 32 bytes")
}

/// A signature.
pub(super) fn sign(key: &Ed25519KeyPair, bytes: &[u8]) -> [u8; 64] {
    key.sign(bytes).as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
}

/// One number of three, each of which changes all of it.
fn mixed(seed: u64, number: u32, generation: u32) -> u64 {
    let mut mixed = 0_u64;
    // One after the other: two seeds and two numbers that differ in the same bit must not meet.
    for part in [seed, u64::from(number), u64::from(generation)] {
        mixed = (mixed ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_device_and_generation_has_its_own_key_and_always_the_same() {
        let keys = |seed| {
            let devices = Device::fleet(40, seed);
            let keys = devices.iter().flat_map(|device| (0..3).map(|at| public(&device.made(at).key)));
            keys.collect::<Vec<_>>()
        };
        assert_eq!(keys(1), keys(1));
        let all: HashSet<_> = keys(1).into_iter().chain(keys(2)).collect();
        assert_eq!(all.len(), 240);
    }

    #[test]
    fn a_fleet_survives_its_file_without_its_sessions() {
        let mut device = Device::fleet(1, 7).remove(0);
        device.record = Some(Text(DeviceId::from_bytes([1; 16])));
        device.counter = Some(Hex([2; 56]));
        device.bearer = Some("secret".to_owned());
        let text = serde_json::to_string(&device).expect("plain values");
        assert!(!text.contains("secret"));
        let again: Device = serde_json::from_str(&text).expect("its own form");
        assert_eq!(again, Device { bearer: None, ..device });
    }
}
