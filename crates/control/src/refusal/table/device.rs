//! Where the device stands, and what is asked of its lifecycle or of a campaign.
//! Refuses to do anything but hand its rows on: `table` joins the parts.

macro_rules! device {
    ([$($parts:ident)*] $($rows:tt)*) => { table! { @ [$($parts)*] $($rows)*
        // Where the device stands.

        /// The record waits for an admin.
        DevicePending,
            "device_pending", Refused, After(PENDING_POLL),
            "This device waits for an admin's approval. Once that is given, its next try succeeds; \
             nothing else need be done.";
        /// Level hold: append until a date, never read.
        DeviceHeld,
            "device_held", Refused, WhenChanged,
            "This device must be activated again before it can restore, and soon before it can back up. \
             Its own key suffices for that, and so do your e-mail address and password; \
             everything it has backed up is kept.";
        /// The credential was revoked.
        DeviceDeactivated,
            "device_deactivated", Refused, WhenChanged,
            "This device was deactivated, so it can neither back up nor restore; everything it has backed up is kept. \
             Activate it again, and it goes on where it stopped: its own key suffices where only keys are renewed, \
             else sign in with your e-mail address and password.";
        /// An admin has stopped the device.
        DeviceSuspended,
            "device_suspended", Refused, WhenChanged,
            "An admin has suspended this device, so it can neither back up nor restore; \
             everything it has backed up is kept. \
             Ask your admin to enable it; it then goes on by itself.";
        /// Two machines present one identity.
        DeviceQuarantined,
            "device_quarantined", Refused, WhenChanged,
            "Two computers present themselves as this device. Both may go on backing up, and neither may restore, \
             until an admin has decided which one it is. Tell your admin.";
        /// The device was told to erase its data.
        DeviceDecommissioning,
            "device_decommissioning", Refused, WhenChanged,
            "This device is being retired and erases its local copy of the data; everything it has backed up is kept. \
             Ask your admin if that is a mistake.";
        /// The device has erased its data.
        DeviceDecommissioned,
            "device_decommissioned", Refused, WhenChanged,
            "This device was retired and its local data erased; everything it has backed up is kept. \
             To use it again, activate it with your e-mail address and password.";
        /// The record is deleted and can be undeleted.
        DeviceDeleted,
            "device_deleted", Refused, WhenChanged,
            "This device was deleted. An admin can still bring it back with all its backups for a few days: \
             ask your admin soon, or activate this computer as a new device.";
        /// The record is gone.
        DevicePurged,
            "device_purged", Refused, Never,
            "This device was deleted for good, and its backups with it. Activate this computer as a new device.";
        /// Read with append-only rights.
        RightsAppendOnly,
            "rights_append_only", Refused, WhenChanged,
            "This device may back up but not yet restore, because nobody has signed in on it. \
             Sign in with your e-mail address and password, or ask an admin to approve it.";

        // What was asked of the lifecycle.

        /// Reactivation of a device in service.
        AlreadyActive,
            "already_active", Conflict, Never,
            "This device is active already; nothing was changed.";
        /// The proof is good, and not enough for this record.
        SignInNeeded,
            "sign_in_needed", Refused, WhenChanged,
            "This device cannot come back by itself. Sign in with your e-mail address and password, or use a ticket.";
        /// The key counts for nothing, so an admin's word cannot let it go on.
        PersonNeeded,
            "person_needed", Refused, WhenChanged,
            "The key of this device counts for nothing any more, so nobody's word brings it back. Have its user sign \
             in there, or make a ticket; or approve it once an installer's token has brought it back.";
        /// The event would lead to where the device is.
        NothingToChange {
            /// `State::word`.
            state: &'static str
        },
            "nothing_to_change", Conflict, Never,
            "The device is {state} already; nothing was changed.";
        /// The event makes no sense from here.
        WrongState {
            /// `State::word`.
            state: &'static str,
            /// `Event::word`.
            event: &'static str
        },
            "wrong_state", Conflict, WhenChanged,
            "The device is {state}, and from there \"{event}\" is not possible; nothing was changed. \
             Reactivate, enable or undelete it first, as that state asks for.";
        /// The undo period is not over.
        PurgeTooEarly {
            /// How long it still lasts.
            left: Span
        },
            "purge_too_early", Refused, After(*left),
            "The deletion can still be undone for {left}; the data is removed after that, and not before.";
        /// The record was merged into another, and lives on there.
        DeviceMerged,
            "device_merged", Refused, WhenChanged,
            "This record was merged into another one of the same computer. Undo the merge on the conflict desk first.";
        /// What was decided about a conflict cannot be undone.
        UndoTooLate,
            "undo_too_late", Refused, Never,
            "This decision can no longer be undone: its time is over, or the device has gone on since. \
             What it has done can be changed by hand, record by record.";
        /// A campaign's scope says nothing.
        ScopeEmpty,
            "scope_empty", Invalid, WhenChanged,
            "The campaign does not say whom it reaches. \
             Name profiles, users or devices, or say that everyone is meant.";
        /// What is asked makes no sense where the campaign stands.
        CampaignState {
            /// Where it stands.
            status: &'static str,
            /// What was asked.
            verb: &'static str
        },
            "campaign_state", Conflict, WhenChanged,
            "The campaign is {status}, and from there \"{verb}\" is not possible; nothing was changed. A draft can \
             be edited, started or deleted, a running one paused, aborted or closed, an aborted one brought back.";
    } };
}
pub(super) use device;
