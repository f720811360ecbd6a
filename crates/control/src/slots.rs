//! When each of many devices has its turn, so that they do not come all at once: waves of a campaign, catch-up slots.
//! Refuses chance: the same device has the same turn however often it is asked, on every server.
//! Rules: docs/control.md, "Slots".

use base::{CampaignId, DeviceId, Span};

/// Where a device stands in a campaign's plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Which.
    pub device: DeviceId,
    /// Its wave, from 0.
    pub wave: u64,
    /// When its turn comes, as time that the campaign has run for.
    pub due: Span,
}

/// The turns of `devices`, in the order in which they come: `wave_size` of them in every `wave_span`, spread evenly
/// over it. A size of 0 counts as 1. Never fails.
pub fn turns(campaign: CampaignId, devices: &[DeviceId], wave_size: u64, wave_span: Span) -> Vec<Turn> {
    let wave_size = wave_size.max(1);
    let mut order: Vec<(u64, DeviceId)> =
        devices.iter().map(|device| (mix(&[campaign.as_bytes(), device.as_bytes()]), *device)).collect();
    order.sort_unstable();
    let mut turns = Vec::with_capacity(order.len());
    for (rank, (_, device)) in (0u64..).zip(order) {
        let (wave, place) = (rank / wave_size, rank % wave_size);
        let within = u128::from(wave_span.as_ms()) * u128::from(place) / u128::from(wave_size);
        let within = u64::try_from(within).expect("a part of a span of 64 bits has no more");
        let due = Span::ms(wave_span.as_ms().saturating_mul(wave).saturating_add(within));
        turns.push(Turn { device, wave, due });
    }
    turns
}

/// A device's place in a span that many share, less than `span`; zero when `span` is. `occasion` tells the spans of one
/// device apart. Never fails.
pub fn slot(device: DeviceId, occasion: u64, span: Span) -> Span {
    match span.as_ms() {
        0 => Span::ZERO,
        ms => Span::ms(mix(&[device.as_bytes(), &occasion.to_le_bytes()]) % ms),
    }
}

/// A number that looks drawn, for texts that differ in any bit. It spreads; it hides nothing.
fn mix(parts: &[&[u8]]) -> u64 {
    // FNV-1a takes the bytes in; the two multiplications after it spread what the last bytes have changed.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| part.iter()) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMPAIGN: CampaignId = CampaignId::from_bytes([7; 16]);

    fn devices(count: u64) -> Vec<DeviceId> {
        (0..count)
            .map(|n| {
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&n.to_le_bytes());
                DeviceId::from_bytes(bytes)
            })
            .collect()
    }

    #[test]
    fn every_wave_is_full_but_the_last_and_spread_evenly_over_its_span() {
        let turns = turns(CAMPAIGN, &devices(250), 100, Span::seconds(100));
        let sizes: Vec<usize> = (0..3).map(|wave| turns.iter().filter(|turn| turn.wave == wave).count()).collect();
        assert_eq!(sizes, [100, 100, 50]);
        for (rank, turn) in turns.iter().enumerate() {
            assert_eq!(turn.due, Span::seconds(rank as u64), "one a second");
        }
    }

    #[test]
    fn the_order_depends_on_the_campaign_and_not_on_how_the_devices_are_listed() {
        let forward = devices(50);
        let backward: Vec<DeviceId> = forward.iter().rev().copied().collect();
        let plan = turns(CAMPAIGN, &forward, 7, Span::minutes(1));
        assert_eq!(plan, turns(CAMPAIGN, &backward, 7, Span::minutes(1)));
        assert_ne!(plan, turns(CampaignId::from_bytes([8; 16]), &forward, 7, Span::minutes(1)));
    }

    #[test]
    fn a_wave_without_a_span_is_due_at_once_and_a_size_of_nothing_is_one() {
        assert!(turns(CAMPAIGN, &devices(9), 4, Span::ZERO).iter().all(|turn| turn.due == Span::ZERO));
        let single = turns(CAMPAIGN, &devices(3), 0, Span::ms(10));
        assert_eq!(single.iter().map(|turn| turn.due.as_ms()).collect::<Vec<_>>(), [0, 10, 20]);
        let huge = turns(CAMPAIGN, &devices(3), 1, Span::ms(u64::MAX));
        assert_eq!(huge[2].due, Span::ms(u64::MAX), "saturates");
    }

    #[test]
    fn slots_of_many_devices_fill_their_span_evenly() {
        let span = Span::ms(1_000);
        let mut tenths = [0u32; 10];
        for device in devices(10_000) {
            let slot = slot(device, 3, span);
            assert!(slot < span);
            tenths[usize::try_from(slot.as_ms() / 100).expect("small")] += 1;
        }
        assert!(tenths.iter().all(|count| (850..1_150).contains(count)), "{tenths:?}");
        assert_eq!(slot(devices(1)[0], 3, Span::ZERO), Span::ZERO);
    }
}
