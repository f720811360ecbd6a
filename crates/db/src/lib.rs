//! The only SQL of Holdfast: one function a statement, the transaction as its first argument, the table's noun
//! first in its name. Refuses rules: what may happen is decided in `control` and `app`, which opens and commits.

mod activation;
mod admin;
mod api_credential;
mod audit;
mod batch;
mod challenge;
mod chunk;
mod credential;
mod device;
mod error;
mod folder;
mod idempotency;
mod job_lease;
mod pack;
mod policy;
mod postgres;
mod profile;
mod repository;
mod row;
mod run;
mod setting;
mod sign_in;
mod snapshot;
mod sql;
mod sqlite;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tx;
mod unlinked;
mod usage;
mod user;

pub use activation::{ActivationRow, activation_get, activation_insert};
pub use admin::{AdminRow, admin_get, admin_get_by_email, admin_insert, admin_list, admin_permits_update};
pub use api_credential::{
    ApiCredentialRow, api_credential_get, api_credential_get_by_hash, api_credential_insert, api_credential_list,
    api_credential_revoke_update, api_credential_used_update,
};
pub use audit::{
    AuditFilter, AuditRow, audit_get_newest, audit_head_get, audit_head_update, audit_insert, audit_list,
    audit_list_by, audit_list_newest,
};
pub use challenge::{challenge_used_insert, challenge_used_remove};
pub use chunk::{
    ChunkRow, ClosedRow, Place, Shape, chunk_count_list, chunk_insert, chunk_list, chunk_missing_list,
    chunk_unfit_list, chunk_whole_list, closed_insert, closed_list, closed_remove,
};
pub use credential::{
    CredentialRow, credential_get_live, credential_get_newest, credential_insert, credential_key_get,
    credential_revoke_update,
};
pub use device::{
    DeviceAbout, DeviceFilter, DeviceListRow, DeviceRow, DeviceStandingRow, device_binding_update, device_epoch_update,
    device_get, device_insert, device_last_snapshot_update, device_list, device_list_by_user, device_page_list,
    device_policy_revision_update, device_seen_update, device_standing_get, device_state_update,
};
pub use error::DbError;
pub use folder::{
    folder_get, folder_insert, folder_list, folder_list_by_levels, folder_remove, folder_remove_by_subject,
    folder_update,
};
pub use idempotency::{
    IdempotencyRow, idempotency_answer_update, idempotency_busy_update, idempotency_done_update, idempotency_get,
    idempotency_insert, idempotency_remove, idempotency_remove_old,
};
pub use job_lease::{JobLeaseRow, job_lease_end_update, job_lease_get, job_lease_update};
pub use pack::{
    FrameRow, PackNew, PackRow, frame_insert, frame_list, frame_list_by_pack, pack_chunks_new_update, pack_count_get,
    pack_damaged_update, pack_get, pack_get_by_seq, pack_insert, pack_list, pack_missing_list, repository_damages_get,
    repository_damages_update,
};
pub use policy::{
    PolicySubject, PolicyValueRow, policy_value_list, policy_value_list_below_profile, policy_value_list_by_levels,
    policy_value_remove, policy_value_remove_by_subject, policy_value_update,
};
pub use profile::{
    ProfileRow, profile_get, profile_get_by_name, profile_get_by_user, profile_get_default, profile_insert,
    profile_name_update, profile_page_list, profile_remove, profile_revision_update, profile_revision_update_all,
    profile_user_count_get, user_list_by_profile, user_policy_revision_update, user_profile_update,
};
pub use repository::{
    RepositoryKeyRow, RepositoryRow, repository_insert, repository_key_insert, repository_key_list, repository_list,
};
pub use run::{
    RunCounters, RunNew, RunPurpose, RunRow, RunStatus, restore_aborted_update_by_device, run_aborted_update,
    run_aborted_update_by_device, run_committed_update, run_counters_update, run_get, run_get_by_request, run_insert,
    run_lease_update, run_superseded_update,
};
pub use setting::{SettingRow, setting_get, setting_list, setting_remove, setting_update};
pub use sign_in::{sign_in_failure_get, sign_in_failure_remove, sign_in_failure_remove_old, sign_in_failure_update};
pub use snapshot::{
    SnapshotNew, SnapshotRow, snapshot_count_get, snapshot_get, snapshot_get_newest, snapshot_insert, snapshot_list,
    snapshot_list_by_device,
};
pub use tx::{Db, Tx};
pub use unlinked::{
    unlinked_insert, unlinked_list, unlinked_remove, unlinked_remove_by_device, unlinked_remove_by_folder,
    unlinked_remove_by_subject,
};
pub use usage::{usage_list, usage_list_by_user, user_lock};
pub use user::{
    UserFilter, UserListRow, UserRow, user_get, user_get_by_email, user_insert, user_list, user_listed_get,
    user_page_list, user_password_update, user_state_update,
};
