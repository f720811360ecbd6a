//! Named rights of those who administer; every route and every use case names the one that it needs.
//! Refuses rights without a name. A device has no permits: its rights are `access::may`.

use crate::Refusal;
use std::fmt;

/// A named right. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Permit {
    /// See devices, their states and their runs.
    DeviceRead,
    /// Approve, deactivate, reactivate, suspend, decommission, delete devices; resolve conflicts.
    DeviceManage,
    /// Ask a device for a support bundle, read and remove it.
    DeviceSupport,
    /// See users and their profiles.
    UserRead,
    /// Add, change, lock, preserve, delete users.
    UserManage,
    /// See which snapshots there are: times, sizes, problems' counts. No names of files.
    SnapshotRead,
    /// Pin snapshots, set legal holds and lift them.
    SnapshotManage,
    /// Read the whole repository and compare every byte with its digest.
    RepositoryScrub,
    /// See what takes room that nobody needs, and have it removed.
    RepositoryCollect,
    /// See what takes room in the store, by user, device and profile, and have that found out anew.
    ReportRead,
    /// Read the audit log.
    AuditRead,
    /// Take the audit log out as a file.
    AuditExport,
    /// See profiles, their folders and values, and the effective policy of a user or device.
    ProfileRead,
    /// Add, change, remove profiles; give them to users; set values at every level.
    ProfileManage,
    /// See deployment tokens, tickets and the device map: names, uses, failures. Never a text that activates.
    TokenRead,
    /// Make and revoke deployment tokens and tickets; change the device map.
    TokenManage,
    /// See reset campaigns, their boards and their evidence.
    CampaignRead,
    /// Make, start, pause, end campaigns.
    CampaignManage,
    /// See the organisation's settings, the templates and the outbox.
    SettingRead,
    /// Change the organisation's settings and templates; send a message again.
    SettingManage,
    /// See, make and revoke credentials of the admin API, with no permit that one does not have.
    CredentialManage,
    /// See admins and what they may do.
    AdminRead,
    /// Add, change, disable and remove admins, with no permit that one does not have.
    AdminManage,
}

/// A set of permits: what a role or a credential gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Permits(u64);

impl Permit {
    /// Every permit, in the order of docs/control.md.
    pub const ALL: [Permit; 23] = [
        Permit::DeviceRead,
        Permit::DeviceManage,
        Permit::DeviceSupport,
        Permit::UserRead,
        Permit::UserManage,
        Permit::SnapshotRead,
        Permit::SnapshotManage,
        Permit::RepositoryScrub,
        Permit::RepositoryCollect,
        Permit::ReportRead,
        Permit::AuditRead,
        Permit::AuditExport,
        Permit::ProfileRead,
        Permit::ProfileManage,
        Permit::TokenRead,
        Permit::TokenManage,
        Permit::CampaignRead,
        Permit::CampaignManage,
        Permit::SettingRead,
        Permit::SettingManage,
        Permit::CredentialManage,
        Permit::AdminRead,
        Permit::AdminManage,
    ];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Permit::DeviceRead => "device_read",
            Permit::DeviceManage => "device_manage",
            Permit::DeviceSupport => "device_support",
            Permit::UserRead => "user_read",
            Permit::UserManage => "user_manage",
            Permit::SnapshotRead => "snapshot_read",
            Permit::SnapshotManage => "snapshot_manage",
            Permit::RepositoryScrub => "repository_scrub",
            Permit::RepositoryCollect => "repository_collect",
            Permit::ReportRead => "report_read",
            Permit::AuditRead => "audit_read",
            Permit::AuditExport => "audit_export",
            Permit::ProfileRead => "profile_read",
            Permit::ProfileManage => "profile_manage",
            Permit::TokenRead => "token_read",
            Permit::TokenManage => "token_manage",
            Permit::CampaignRead => "campaign_read",
            Permit::CampaignManage => "campaign_manage",
            Permit::SettingRead => "setting_read",
            Permit::SettingManage => "setting_manage",
            Permit::CredentialManage => "credential_manage",
            Permit::AdminRead => "admin_read",
            Permit::AdminManage => "admin_manage",
        }
    }

    /// The permit with this word; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permit| permit.word() == word)
    }
}

impl Permits {
    /// No permit at all.
    pub const NONE: Permits = Permits(0);

    /// Every permit there is: the first admin, and whoever may use the server's own command line.
    pub fn all() -> Self {
        Permit::ALL.into_iter().collect()
    }

    /// These and `permit`. Never fails.
    #[must_use]
    pub const fn with(self, permit: Permit) -> Self {
        Self(self.0 | 1 << permit as u8)
    }

    /// Are all of these among them? Never fails.
    pub const fn contains_all(self, others: Permits) -> bool {
        others.0 & !self.0 == 0
    }

    /// The permits in it, in the order of docs/control.md. Never fails.
    pub fn iter(self) -> impl Iterator<Item = Permit> {
        Permit::ALL.into_iter().filter(move |permit| self.contains(*permit))
    }

    /// Is `permit` among them? Never fails.
    pub const fn contains(self, permit: Permit) -> bool {
        self.0 & 1 << permit as u8 != 0
    }

    /// Fails with `not_permitted` when `permit` is not among them.
    pub const fn need(self, permit: Permit) -> Result<(), Refusal> {
        if self.contains(permit) { Ok(()) } else { Err(Refusal::NotPermitted) }
    }
}

impl FromIterator<Permit> for Permits {
    fn from_iter<I: IntoIterator<Item = Permit>>(permits: I) -> Self {
        permits.into_iter().fold(Permits::NONE, Permits::with)
    }
}

impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_gives_what_was_put_in_and_nothing_else() {
        for held in Permit::ALL {
            let set = Permits::NONE.with(held);
            for asked in Permit::ALL {
                let expected = if asked == held { Ok(()) } else { Err(Refusal::NotPermitted) };
                assert_eq!(set.need(asked), expected, "{held} asked for {asked}");
                assert_eq!(Permits::all().need(asked), Ok(()));
            }
            assert_eq!(set.iter().collect::<Vec<_>>(), [held]);
            assert!(Permits::all().contains_all(set) && !set.contains_all(Permits::all()) && set.contains_all(set));
        }
    }

    #[test]
    fn the_document_lists_every_permit_and_every_word_reads_back() {
        let document = crate::document::TEXT;
        for permit in Permit::ALL {
            assert_eq!(Permit::from_word(permit.word()), Some(permit));
            assert!(document.contains(&format!("| `{permit}` |")), "docs/control.md lacks {permit}");
        }
    }
}
