//! The occasions of a campaign's messages, written and read in one place. Refuses to read those of any other message.

use base::{CampaignId, Count, DeviceId};

/// What the occasions of all messages of a campaign begin with. Never fails.
pub(crate) fn of_campaign(campaign: CampaignId) -> String {
    format!("campaign:{campaign}:")
}

/// That a device was reset. Never fails.
pub(crate) fn of_reset(campaign: CampaignId, device: DeviceId) -> String {
    format!("{}reset:{device}", of_campaign(campaign))
}

/// That a device is reminded of for the `number`-th time. Never fails.
pub(crate) fn of_reminder(campaign: CampaignId, device: DeviceId, number: Count) -> String {
    format!("{}reminder:{device}:{}", of_campaign(campaign), number.0)
}

/// The campaign and the device that a message is about; `None` for one that is about something else.
pub(super) fn awaited(occasion: &str) -> Option<(CampaignId, DeviceId)> {
    let mut parts = occasion.split(':');
    let (Some("campaign"), Some(campaign), Some(_), Some(device)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    Some((campaign.parse().ok()?, device.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_campaign_writes_is_read_back_and_nothing_else_is() {
        let (campaign, device) = (CampaignId::from_bytes([3; 16]), DeviceId::from_bytes([4; 16]));
        for occasion in [of_reset(campaign, device), of_reminder(campaign, device, Count(2))] {
            assert!(occasion.starts_with(&of_campaign(campaign)), "{occasion}");
            assert_eq!(awaited(&occasion), Some((campaign, device)), "{occasion}");
        }
        for other in ["", "ticket:x", "campaign:x:reset:y", &of_campaign(campaign)] {
            assert_eq!(awaited(other), None, "{other}");
        }
    }
}
