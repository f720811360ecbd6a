//! Runs and snapshots; policies and folders.
//! Refuses to do anything but hand its rows on: `table` joins the parts.

macro_rules! run {
    ([$($parts:ident)*] $($rows:tt)*) => { table! { @ [$($parts)*] $($rows)*
        // Runs and snapshots.

        /// There is no order that this support bundle would answer.
        BundleNotAsked,
            "bundle_not_asked", Conflict, Never,
            "Nobody has asked this device for a support bundle, or it was sent already.";
        /// Unknown, or another device's.
        RunNotYours,
            "run_not_yours", NotFound, Never,
            "This device has no such run. A new one is begun by itself.";
        /// Committed, aborted or expired.
        RunClosed,
            "run_closed", Conflict, Never,
            "This run has ended. A new one is begun by itself; what was sent is not sent again.";
        /// The device has begun another run since.
        RunSuperseded,
            "run_superseded", Conflict, Never,
            "This device has begun another run since, which ended this one; what was sent is not sent again.";
        /// A verb of a backup in a restore, or the other way round.
        RunWrongKind,
            "run_wrong_kind", Invalid, Never,
            "The request does not fit this run: a backup does not restore, and a restore does not back up.";
        /// Unknown, or another device's.
        SnapshotNotYours,
            "snapshot_not_yours", NotFound, Never,
            "This device has no such snapshot. List its snapshots and choose one of them.";
        /// The user's devices together hold more than the quota.
        QuotaExceeded {
            /// With what the run would add.
            used: Bytes,
            /// The quota.
            limit: Bytes
        },
            "quota_exceeded", Refused, WhenChanged,
            "Your backups would take more than your quota, {limit}. Everything stored so far is kept. \
             Take folders out of the backup, or ask your admin for a larger quota.";

        // Policies and folders.

        /// The value is not one that the policy may have.
        PolicyValueInvalid {
            /// `Key::word`.
            key: &'static str,
            /// `Key::allowed`.
            allowed: &'static str
        },
            "policy_value_invalid", Invalid, WhenChanged,
            "This is no value for {key}. Allowed is {allowed}.";
        /// The policy is not one that this level may set.
        PolicyLevelWrong {
            /// `Key::word`.
            key: &'static str,
            /// `PolicyLevel::word`.
            level: &'static str
        },
            "policy_level_wrong", Invalid, WhenChanged,
            "The policy {key} cannot be set for one {level}. Set it at a wider level.";
        /// The profile does not let users change this.
        PolicyNotAllowed {
            /// `Key::word`.
            key: &'static str
        },
            "policy_not_allowed", Refused, WhenChanged,
            "Your profile does not let you change this ({key}). Ask your admin.";
        /// A folder's path is not one that may be written.
        FolderPathInvalid {
            /// What is wrong with it.
            why: &'static str
        },
            "folder_path_invalid", Invalid, WhenChanged,
            "This path cannot be used: {why}. \
             Give an absolute one, or one in the home, documents or desktop folder.";
        /// A pattern is not one that may be written.
        PatternInvalid {
            /// What is wrong with it.
            why: &'static str
        },
            "pattern_invalid", Invalid, WhenChanged,
            "This pattern cannot be used: {why}. Write one such as *.tmp or /cache/.";
        /// The folder must be backed up.
        FolderMandatory,
            "folder_mandatory", Refused, WhenChanged,
            "This folder is always backed up and cannot be taken out. Ask your admin.";
        /// The folder is the device's own.
        FolderOwn,
            "folder_own", Conflict, Never,
            "This folder was added at this device, so it would be backed up all the same. Remove it there.";
        /// Unknown, or not one of this device's.
        FolderNotYours,
            "folder_not_yours", NotFound, Never,
            "This device has no such folder. List its folders and choose one of them.";
        /// There is one with this path already.
        FolderExists,
            "folder_exists", Conflict, Never,
            "This folder is there already; nothing was changed.";
        /// There are as many as there may be.
        FolderLimit {
            /// How many.
            max: Count
        },
            "folder_limit", Refused, WhenChanged,
            "There are {max} folders already, and no more are possible. Remove one, or add a folder above several.";
        /// Users without a profile of their own have this one.
        ProfileDefault,
            "profile_default", Refused, Never,
            "The default profile cannot be removed. Change it instead.";
        /// Users have it.
        ProfileInUse {
            /// How many.
            users: Count
        },
            "profile_in_use", Conflict, WhenChanged,
            "The profile belongs to {users} users, so it was not removed. Give them another one first.";
    } };
}
pub(super) use run;
