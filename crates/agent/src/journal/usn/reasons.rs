//! Why a record was written: the bits USN_REASON_* of winioctl.h that decide something here. Pure.
//! Refuses to leave out what it does not know: a bit that is not named among the harmless ones counts as a change.

#[cfg(test)]
pub(super) const DATA_OVERWRITE: u32 = 0x0000_0001;
#[cfg(test)]
pub(super) const DATA_EXTEND: u32 = 0x0000_0002;
#[cfg(test)]
pub(super) const FILE_CREATE: u32 = 0x0000_0100;
#[cfg(test)]
pub(super) const FILE_DELETE: u32 = 0x0000_0200;
#[cfg(test)]
pub(super) const RENAME_OLD_NAME: u32 = 0x0000_1000;
#[cfg(test)]
pub(super) const RENAME_NEW_NAME: u32 = 0x0000_2000;
#[cfg(test)]
pub(super) const BASIC_INFO_CHANGE: u32 = 0x0000_8000;
pub(super) const HARD_LINK_CHANGE: u32 = 0x0001_0000;
pub(super) const OBJECT_ID_CHANGE: u32 = 0x0008_0000;
const INTEGRITY_CHANGE: u32 = 0x0080_0000;
const DESIRED_STORAGE_CLASS_CHANGE: u32 = 0x0100_0000;
pub(super) const CLOSE: u32 = 0x8000_0000;

/// What is no part of a snapshot: the id that follows links, checksums of ReFS, where on a tiered volume the bytes lie;
/// and that a file was closed, which says nothing by itself.
const HARMLESS: u32 = OBJECT_ID_CHANGE | INTEGRITY_CHANGE | DESIRED_STORAGE_CLASS_CHANGE | CLOSE;

/// Whether a record with these reasons tells of a change. Never fails.
pub(super) const fn is_change(reason: u32) -> bool {
    reason & !HARMLESS != 0
}
