//! The only SQL of Holdfast: one function a statement, the transaction as its first argument, the table's noun
//! first in its name. Refuses rules: what may happen is decided in `control` and `app`, which opens and commits.

mod activation;
mod admin;
mod api_credential;
mod audit;
mod batch;
mod campaign;
mod campaign_device;
mod campaign_reminder;
mod campaign_slice;
mod challenge;
mod chunk;
mod collection;
mod condemned;
mod conflict;
mod credential;
mod device;
mod device_card;
mod device_counter;
mod device_fleet;
mod device_map;
mod error;
mod folder;
mod form;
mod hold;
mod idempotency;
mod installation;
mod job_lease;
mod job_state;
mod leaving;
mod mail;
mod pack;
mod page;
mod password;
mod policy;
mod postgres;
mod profile;
mod purge;
mod quota_notice;
mod refused;
mod repository;
mod row;
mod run;
mod scratch;
mod setting;
mod sign_in;
mod snapshot;
mod sql;
mod sqlite;
mod storage;
mod support_bundle;
mod table;
mod tally;
mod template;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod ticket;
mod token;
mod tx;
mod unlinked;
mod usage;
mod user;
mod waiting;

pub use activation::{
    ActivationRow, Came, CameRow, DeviceKeyRow, Former, activation_get, activation_get_newest, activation_insert,
    device_key_get,
};
pub use admin::{AdminRow, admin_get, admin_insert, admin_list, admin_page_list, admin_remove, admin_update};
pub use api_credential::{
    ApiCredentialRow, api_credential_get, api_credential_get_by_hash, api_credential_insert, api_credential_list,
    api_credential_revoke_update, api_credential_used_update,
};
pub use audit::{AuditFilter, AuditRow, audit_get_newest, audit_head_get, audit_insert, audit_list, audit_list_newest};
pub use campaign::{
    CampaignRow, campaign_draft_remove, campaign_get, campaign_insert, campaign_list, campaign_list_by_device,
    campaign_list_open, campaign_named_get, campaign_update,
};
pub use campaign_device::{
    BoardRow, CampaignDeviceRow, TurnEvidence, TurnStatus, campaign_device_back_list, campaign_device_back_update,
    campaign_device_count_back, campaign_device_count_get, campaign_device_evidence_update,
    campaign_device_excused_update, campaign_device_list_board, campaign_device_list_due, campaign_device_list_reset,
    campaign_device_refused_update, campaign_device_turn_update, campaign_device_waiting_update,
    campaign_device_watch_get, campaign_list_done_by_device,
};
pub use campaign_reminder::{
    campaign_device_board_get, campaign_device_list_unreminded, campaign_device_reminded_update,
};
pub use campaign_slice::{
    CampaignDeviceNew, campaign_slice_count_get, campaign_slice_insert, campaign_slice_move, campaign_slice_remove,
};
pub use challenge::{challenge_used_insert, challenge_used_remove};
pub use chunk::{
    ChunkRow, Claims, ClosedRow, Place, Shape, chunk_claim_list, chunk_content_claim_list, chunk_count_list,
    chunk_insert, chunk_list, chunk_whole_list, closed_insert, closed_list, closed_remove,
};
pub use collection::{
    CollectionFigures, CollectionPhase, CollectionRow, RunAwaitedRow, SegmentRow, SnapshotRootRow,
    collection_bounds_get, collection_get, collection_get_by_run, collection_insert, collection_list,
    collection_list_open, collection_update, run_awaited_get, run_expired_update, segment_insert, segment_list,
    segment_remove, snapshot_root_list, snapshot_root_list_by_seq,
};
pub use condemned::{
    ChunkWeightRow, PackWeightRow, chunk_doomed_remove, chunk_moved_update, chunk_weight_list, closed_list_remove,
    closed_page_list, pack_condemned_get, pack_condemned_update, pack_doomed_list, pack_doomed_update, pack_remove,
    pack_rescued_update, pack_spared_update, pack_weight_list,
};
pub use conflict::{
    ConflictKind, ConflictRow, ConflictStatus, conflict_get, conflict_get_open, conflict_insert, conflict_kept_get,
    conflict_list, conflict_list_kept, conflict_list_open_by_device, conflict_list_resembled, conflict_seen_update,
    conflict_split_final_update, conflict_suspended_update, conflict_update,
};
pub use credential::{
    CredentialRow, CredentialSince, credential_follows_update, credential_get_live, credential_get_newest,
    credential_insert, credential_revoke_update, credential_since_get,
};
pub use device::{
    DeviceAbout, DeviceFilter, DeviceListRow, DeviceRow, DeviceStandingRow, device_append_only_list,
    device_candidate_list, device_get, device_insert, device_last_snapshot_update, device_list, device_list_by_user,
    device_page_list, device_policy_revision_update, device_seen_update, device_standing_get, device_update,
};
pub use device_card::{DeviceCardRow, device_card_get, device_card_list, device_card_update};
pub use device_counter::{DeviceCounterRow, device_counter_remove_all, device_counter_update};
pub use device_fleet::{
    DeviceFleetRow, DeviceWatchRow, device_contact_update, device_fleet_list, device_good_update, device_list_over,
    device_list_watched, device_merged_get, device_merged_list, device_merged_update,
};
pub use device_map::{
    MapRow, device_map_consumed_update, device_map_get, device_map_get_newest, device_map_list, device_map_open_get,
    device_map_remove, device_map_update,
};
pub use error::DbError;
pub use folder::{
    folder_get, folder_insert, folder_list, folder_list_by_levels, folder_remove, folder_remove_by_subject,
    folder_update,
};
pub use form::{Form, form_of_file, form_of_server};
pub use hold::{
    HoldRow, HoldSubject, hold_count_get_by_user, hold_get, hold_insert, hold_list_by_device, hold_page_list,
    hold_remove,
};
pub use idempotency::{
    IdempotencyRow, idempotency_answer_update, idempotency_busy_update, idempotency_done_update, idempotency_get,
    idempotency_insert, idempotency_remove, idempotency_remove_old,
};
pub use installation::{
    InstallationRow, MoveRow, Standing, installation_age_next_update, installation_age_taken_update,
    installation_age_update, installation_get, installation_insert, installation_keyring_update,
    installation_kit_tested_update, installation_move_update, installation_rebuild_update, installation_remove,
};
pub use job_lease::{JobLeaseRow, job_lease_end_update, job_lease_get, job_lease_held_get, job_lease_update};
pub use job_state::{JobStateRow, job_state_get, job_state_update};
pub use leaving::{
    leaving_get, leaving_insert, leaving_last_update, leaving_list, leaving_list_between, leaving_remove, stray_insert,
    stray_list, stray_remove,
};
pub use mail::{
    MailRow, mail_claim_update, mail_count_list, mail_dropped_update, mail_expired_update, mail_get, mail_insert,
    mail_list, mail_list_due, mail_over_remove, mail_overdue_get, mail_queued_update, mail_stale_update,
    mail_step_update, mail_tried_get, mail_waiting_update,
};
pub use pack::{
    FrameRow, PackNew, PackRow, frame_insert, frame_list, frame_list_by_pack, pack_chunks_new_update, pack_count_get,
    pack_damaged_update, pack_get, pack_get_by_seq, pack_insert, pack_known_list, pack_list, pack_list_by_id,
    pack_missing_list, pack_rows_remove, repository_damages_get, repository_damages_update,
};
pub use page::PageKey;
pub use password::{
    PasswordLinkRow, password_link_get, password_link_insert, password_link_remove_old,
    password_link_used_update_by_user, password_old_insert, password_old_list, password_old_remove,
};
pub use policy::{
    PolicySubject, PolicyValueRow, policy_value_list, policy_value_list_below_profile, policy_value_list_by_levels,
    policy_value_list_by_user, policy_value_list_watched, policy_value_remove, policy_value_remove_by_subject,
    policy_value_update,
};
pub use profile::{
    ProfileRow, profile_get, profile_get_by_name, profile_get_by_user, profile_get_default, profile_insert,
    profile_name_update, profile_page_list, profile_remove, profile_revision_update, profile_revision_update_all,
    profile_user_count_get, user_list_by_profile, user_policy_revision_update, user_profile_update,
};
pub use purge::{
    device_list_kept_by_user, device_list_purged_rest, device_rest_remove, run_reported_update, user_list_over,
    user_list_purged_rest, user_rest_remove,
};
pub use quota_notice::{quota_notice_get, quota_notice_list_refused, quota_notice_update};
pub use refused::{
    RefusedRow, refused_count_get, refused_get, refused_list, refused_remove_old, refused_remove_oldest, refused_update,
};
pub use repository::{
    RepositoryKeyRow, RepositoryRow, repository_generation_update, repository_hidden_update, repository_insert,
    repository_key_insert, repository_key_list, repository_list,
};
pub use run::{
    RunCounters, RunNew, RunPurpose, RunRow, RunStatus, restore_aborted_update_by_device, run_aborted_update,
    run_aborted_update_by_device, run_committed_update, run_counters_update, run_get, run_get_by_request, run_insert,
    run_lease_update, run_manifest_update, run_superseded_update,
};
pub use scratch::{GraphScratch, Scratch, SetScratch};
pub use setting::{SettingRow, setting_list, setting_remove, setting_update};
pub use sign_in::{
    sign_in_failure_get, sign_in_failure_list, sign_in_failure_remove, sign_in_failure_remove_old,
    sign_in_failure_sum_get, sign_in_failure_update,
};
pub use snapshot::{
    Pin, SnapshotAgeRow, SnapshotFate, SnapshotNew, SnapshotRow, snapshot_age_list, snapshot_count_get,
    snapshot_device_list, snapshot_expired_update, snapshot_get, snapshot_get_newest, snapshot_get_whole,
    snapshot_given_up_update, snapshot_hurt_update, snapshot_insert, snapshot_known_list, snapshot_list,
    snapshot_list_by_device, snapshot_list_with_merged, snapshot_pin_update, snapshot_remove, snapshot_totals_update,
};
pub use storage::{
    ChunkStoredRow, PackStoredRow, StorageDeviceRow, StorageFigures, StorageLevel, StorageReportRow, StorageShareRow,
    StorageTotals, chunk_stored_list, pack_stored_list, storage_device_list, storage_report_ended_update,
    storage_report_get, storage_report_insert, storage_report_list_old, storage_report_remove, storage_share_insert,
    storage_share_list,
};
pub use support_bundle::{
    SupportBundleRow, support_bundle_asked_get, support_bundle_get, support_bundle_remove, support_bundle_remove_old,
    support_bundle_sent_update, support_bundle_update,
};
pub use table::{
    Table, TableKey, TableRows, table_broken_get, table_counts_update, table_filled_get, table_list, table_number_get,
    table_number_update, table_row_bytes_get, table_row_insert, table_row_list, table_row_remove_all,
};
pub use tally::{tally_get, tally_remove_old, tally_update};
pub use template::{TemplateRow, template_get, template_list, template_remove, template_update};
pub use ticket::{
    TicketRow, ticket_get, ticket_get_by_hash, ticket_insert, ticket_list, ticket_revoked_update, ticket_used_update,
};
pub use token::{
    TokenRow, token_expiry_update, token_failed_update, token_get, token_get_by_hash, token_insert, token_legacy_get,
    token_legacy_revoked_update, token_list, token_named_get, token_revoked_update, token_used_update,
};
pub use tx::{Db, Steps, Tx};
pub use unlinked::{
    unlinked_insert, unlinked_list, unlinked_remove, unlinked_remove_by_device, unlinked_remove_by_folder,
    unlinked_remove_by_subject,
};
pub use usage::{usage_list, usage_list_by_user, usage_unfinished_get, user_lock};
pub use user::{
    UserFilter, UserListRow, UserRow, user_get, user_get_by_email, user_insert, user_list, user_listed_get,
    user_page_list, user_password_get_from, user_password_rehash_update, user_password_set_get, user_password_update,
    user_state_update,
};
pub use waiting::{
    PendingRow, WaitingRow, waiting_get, waiting_get_by_key, waiting_insert, waiting_list, waiting_refused_remove,
    waiting_refused_update, waiting_remove,
};
