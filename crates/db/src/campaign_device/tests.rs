//! The statements of campaigns, conflicts, the watch and the purge, each once on either database.

use super::*;
use crate::{
    CampaignDeviceNew, CampaignRow, ConflictKind, ConflictRow, ConflictStatus, PageKey, campaign_get, campaign_insert,
    campaign_list, campaign_list_open, campaign_slice_count_get, campaign_slice_insert, campaign_slice_move,
    campaign_update, conflict_get, conflict_get_open, conflict_insert, conflict_kept_get, conflict_list,
    conflict_list_kept, conflict_list_resembled, conflict_seen_update, conflict_split_final_update, conflict_update,
    device_contact_update, device_fleet_list, device_good_update, device_list_over, device_list_purged_rest,
    device_list_watched, device_merged_get, device_merged_list, device_merged_update, device_rest_remove,
    password_link_remove_old, refused_remove_old, snapshot_list_with_merged, tally_remove_old, testing,
};
use base::ConflictId;
use control::Rights;
use control::campaign::{Reset, Status, Tell};

const CAMPAIGN: CampaignId = CampaignId::from_bytes([0xca; 16]);
const OTHER: DeviceId = DeviceId::from_bytes([0xd2; 16]);

const fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn campaign() -> CampaignRow {
    CampaignRow {
        id: CAMPAIGN,
        name: "n".to_owned(),
        reason: "r".to_owned(),
        level: Reset::Hold,
        scope: "everyone yes".to_owned(),
        status: Status::Running,
        start_at: None,
        deadline: Some(at(9)),
        append_until: None,
        wave_size: 5,
        wave_span: Span::ms(7),
        watch_span: Span::days(2),
        template: "campaign".to_owned(),
        tell: Tell::Needed,
        remind_span: Span::days(3),
        remind_max: Count(2),
        created_at: at(1),
        created_by: "admin command".to_owned(),
        started_by: "admin other".to_owned(),
        started_from: "192.0.2.1".to_owned(),
        started_at: Some(at(2)),
        ended_at: None,
        paused_at: None,
        paused: Span::ZERO,
        progress: Span::ms(3),
        ticked_at: Some(at(3)),
        end_reason: String::new(),
    }
}

fn turn(device: DeviceId, due: u64) -> CampaignDeviceRow {
    CampaignDeviceRow {
        campaign: CAMPAIGN,
        device,
        wave: 0,
        due: Span::ms(due),
        class: Class::Automatic,
        status: TurnStatus::Waiting,
        reason: String::new(),
        epoch_before: 1,
        reset_at: None,
        back_at: None,
        proof: None,
        refused_code: None,
        refused_at: None,
        bytes_read: None,
        bytes_sent: None,
        bytes_covered: None,
        first_good: None,
        first_good_at: None,
        reminders: Count(0),
        reminded_at: None,
    }
}

#[tokio::test]
async fn a_campaign_and_its_turns_come_back_as_they_were_stored() {
    for temp in testing::fixtures().await {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        testing::device(&mut tx, OTHER).await;
        let mut row = campaign();
        campaign_insert(&mut tx, &row).await.expect("it is new");
        row.status = Status::Paused;
        row.paused_at = Some(at(8));
        campaign_update(&mut tx, &row).await.expect("it is there");
        assert_eq!(campaign_get(&mut tx, CAMPAIGN).await.expect("readable"), Some(row.clone()), "{}", temp.name);
        assert_eq!(campaign_list(&mut tx, PageKey::LAST, 9).await.expect("readable"), [row.clone()]);
        assert_eq!(
            campaign_list(&mut tx, PageKey { at: at(1), id: *CAMPAIGN.as_bytes() }, 9).await.expect("readable"),
            []
        );
        assert_eq!(campaign_list_open(&mut tx).await.expect("readable").len(), 1);

        for (number, device, due) in [(0, testing::DEVICE, 0), (1, OTHER, 5)] {
            let CampaignDeviceRow { wave, due, class, epoch_before, .. } = turn(device, due);
            let new = CampaignDeviceNew { device, wave, due, class, epoch_before };
            campaign_slice_insert(&mut tx, CAMPAIGN, number, &[new]).await.expect("it is new");
        }
        assert_eq!(campaign_slice_count_get(&mut tx, CAMPAIGN).await.expect("readable"), Count(2));
        let mut moved = [true; 3];
        for moved in &mut moved {
            *moved = campaign_slice_move(&mut tx, CAMPAIGN).await.expect("writable");
        }
        assert_eq!(moved, [true, true, false]);
        assert_eq!(campaign_slice_count_get(&mut tx, CAMPAIGN).await.expect("readable"), Count(0));
        let due = campaign_device_list_due(&mut tx, CAMPAIGN, Span::ms(4), 9).await.expect("readable");
        assert_eq!(due, [turn(testing::DEVICE, 0)]);
        let reset = CampaignDeviceRow { status: TurnStatus::Reset, reset_at: Some(at(4)), ..turn(testing::DEVICE, 0) };
        assert!(campaign_device_turn_update(&mut tx, &reset).await.expect("writable"));
        assert!(!campaign_device_turn_update(&mut tx, &reset).await.expect("it waits no more"));
        assert_eq!(campaign_device_list_reset(&mut tx, CAMPAIGN, None, 9).await.expect("readable"), [reset]);
        assert_eq!(campaign_device_watch_get(&mut tx, testing::DEVICE).await.expect("readable"), Some(Span::days(2)));
        campaign_device_refused_update(&mut tx, testing::DEVICE, "token_expired", at(5)).await.expect("writable");
        let back = async |tx: &mut Tx, status, all, proof| {
            campaign_device_back_update(tx, testing::DEVICE, status, all, proof, at(6_000)).await.expect("writable")
        };
        assert_eq!(back(&mut tx, TurnStatus::Unproved, false, "token").await, Count(1));
        assert_eq!(back(&mut tx, TurnStatus::Done, false, "old_key").await, Count(0), "it is back unproved");
        assert_eq!(back(&mut tx, TurnStatus::Done, true, "password").await, Count(1));
        assert_eq!(back(&mut tx, TurnStatus::Done, true, "password").await, Count(0), "once");
        let evidence = TurnEvidence {
            bytes_read: None,
            bytes_sent: Bytes(1),
            bytes_covered: Bytes(2),
            snapshot: SnapshotId::from_bytes([5; 16]),
            at: at(7),
        };
        campaign_device_evidence_update(&mut tx, testing::DEVICE, &evidence).await.expect("writable");
        let later = TurnEvidence { bytes_sent: Bytes(99), ..evidence };
        campaign_device_evidence_update(&mut tx, testing::DEVICE, &later).await.expect("writable");
        let done = campaign_device_get(&mut tx, CAMPAIGN, testing::DEVICE).await.expect("readable").expect("there");
        assert_eq!((done.status, done.bytes_sent), (TurnStatus::Done, Some(Bytes(1))));
        assert!(campaign_device_excused_update(&mut tx, CAMPAIGN, OTHER, "gone").await.expect("writable"));
        assert!(!campaign_device_excused_update(&mut tx, CAMPAIGN, testing::DEVICE, "gone").await.expect("writable"));
        let expected = campaign_device_list_board(&mut tx, CAMPAIGN, true, None, 9).await.expect("readable");
        assert_eq!(expected, [], "one is back, the other excused");
        let board = campaign_device_list_board(&mut tx, CAMPAIGN, false, None, 9).await.expect("readable");
        assert_eq!(
            board.iter().map(|row| row.turn.status).collect::<Vec<_>>(),
            [TurnStatus::Done, TurnStatus::Excused]
        );
        assert_eq!((board[0].email.as_str(), board[0].conflict), ("u@x", false));
        let stretches = campaign_device_back_list(&mut tx, CAMPAIGN, Span::seconds(5)).await.expect("readable");
        assert_eq!(stretches, [(at(5_000), Count(1))]);
        row.status = Status::Running;
        campaign_update(&mut tx, &row).await.expect("it is there");
        let done = async |tx: &mut Tx| campaign_list_done_by_device(tx, OTHER).await.expect("readable");
        assert_eq!(done(&mut tx).await, [CAMPAIGN]);
        query("update campaign_device set status = 'refused', reset_at = 4").execute(tx.conn()).await.expect("sql");
        assert_eq!(done(&mut tx).await, []);
        campaign_device_waiting_update(&mut tx, CAMPAIGN).await.expect("writable");
        let again = campaign_device_get(&mut tx, CAMPAIGN, OTHER).await.expect("readable").expect("there");
        assert_eq!((again.status, again.reset_at), (TurnStatus::Waiting, None), "it is not quarantined");
        query("update campaign_device set status = 'refused'").execute(tx.conn()).await.expect("sql");
        let was = Box::new(State::Active { rights: Rights::Full });
        let quarantined = State::Suspended { was: Box::new(State::Quarantined { was }) };
        testing::device_put(&mut tx, OTHER, |device| device.state = quarantined).await;
        campaign_device_waiting_update(&mut tx, CAMPAIGN).await.expect("writable");
        let still = campaign_device_get(&mut tx, CAMPAIGN, OTHER).await.expect("readable").expect("there");
        assert_eq!(still.status, TurnStatus::Refused);
    }
}

#[tokio::test]
async fn conflicts_merges_the_watch_and_the_purge_are_stored_on_either_database() {
    for temp in testing::fixtures().await {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        testing::device(&mut tx, OTHER).await;
        let id = ConflictId::from_bytes([7; 16]);
        let mut row = ConflictRow {
            id,
            device: testing::DEVICE,
            kind: ConflictKind::Records,
            seen_at: at(1),
            counter: 4,
            counter_seen: 2,
            source: "192.0.2.1".to_owned(),
            host_name: "h".to_owned(),
            times: 1,
            status: ConflictStatus::Open,
            resolved_at: None,
            resolved_by: None,
            undo_until: None,
            other: Some(OTHER),
            before: None,
            state_before: None,
        };
        conflict_insert(&mut tx, &row).await.expect("it is new");
        conflict_seen_update(&mut tx, id, "192.0.2.2", 3, at(2)).await.expect("it is there");
        let kind = ConflictKind::Records;
        let open = conflict_get_open(&mut tx, testing::DEVICE, kind).await.expect("readable").expect("open");
        assert_eq!(conflict_list_resembled(&mut tx, OTHER).await.expect("readable"), [testing::DEVICE]);
        let clone = ConflictId::from_bytes([8; 16]);
        let both = ConflictRow::open(clone, testing::DEVICE, ConflictKind::Clone, String::new(), at(1));
        conflict_insert(&mut tx, &both).await.expect("another kind is another conflict");
        let split = ConflictRow { status: ConflictStatus::Split, undo_until: Some(at(9)), ..both };
        conflict_update(&mut tx, &split).await.expect("writable");
        conflict_split_final_update(&mut tx, testing::DEVICE, at(3)).await.expect("writable");
        let ends = conflict_get(&mut tx, clone).await.expect("readable").and_then(|row| row.undo_until);
        assert_eq!(ends, Some(at(3)), "it cannot be undone any more");
        assert_eq!((open.times, open.counter_seen), (2, 3), "{}", temp.name);
        row = ConflictRow { status: ConflictStatus::Kept, before: Some(1), resolved_at: Some(at(3)), ..open };
        assert_eq!(conflict_update(&mut tx, &row).await.expect("writable"), Count(1));
        assert_eq!(conflict_get(&mut tx, id).await.expect("readable"), Some(row.clone()));
        assert_eq!(
            conflict_list(&mut tx, false, PageKey::LAST, 9).await.expect("readable"),
            [row, ConflictRow { undo_until: Some(at(3)), ..split }]
        );
        assert_eq!(
            conflict_list(&mut tx, true, PageKey { at: at(9), id: *id.as_bytes() }, 9).await.expect("readable"),
            []
        );
        assert_eq!(conflict_list_kept(&mut tx).await.expect("readable"), [(testing::DEVICE, OTHER)]);
        for (one, other, kept) in
            [(testing::DEVICE, OTHER, true), (OTHER, testing::DEVICE, true), (OTHER, OTHER, false)]
        {
            assert_eq!(conflict_kept_get(&mut tx, one, other).await.expect("readable"), kept);
        }

        device_merged_update(&mut tx, OTHER, Some(testing::DEVICE)).await.expect("writable");
        assert_eq!(device_merged_get(&mut tx, OTHER).await.expect("readable"), Some(testing::DEVICE));
        assert_eq!(device_merged_list(&mut tx, testing::DEVICE).await.expect("readable"), [OTHER]);
        assert!(snapshot_list_with_merged(&mut tx, testing::DEVICE, None, 9).await.expect("readable").is_empty());
        testing::device_put(&mut tx, testing::DEVICE, |row| {
            (row.catch_up_at, row.watch_since, row.watch_until) = (Some(at(5)), Some(at(1)), Some(at(9)));
        })
        .await;
        assert_eq!(device_list_watched(&mut tx, at(8), None, 9).await.expect("readable").len(), 1);
        assert_eq!(device_list_watched(&mut tx, at(9), None, 9).await.expect("readable").len(), 0);
        device_good_update(&mut tx, testing::DEVICE, at(6)).await.expect("writable");
        device_contact_update(&mut tx, testing::DEVICE, at(70_000)).await.expect("writable");
        device_contact_update(&mut tx, testing::DEVICE, at(70_001)).await.expect("within a minute");
        let fleet = device_fleet_list(&mut tx, at(1), None, 9).await.expect("readable");
        assert_eq!(fleet.iter().map(|row| row.seen_at).collect::<Vec<_>>(), [Some(at(70_000)), None]);

        let was = Box::new(State::Active { rights: Rights::Full });
        let deleted = State::Deleted { was, purge_after: at(50) };
        testing::device_put(&mut tx, OTHER, |row| row.state = deleted).await;
        assert_eq!(device_list_over(&mut tx, at(50)).await.expect("readable"), [OTHER]);
        testing::device_put(&mut tx, OTHER, |row| row.state = State::Purged).await;
        crate::credential_insert(&mut tx, OTHER, 1, &[1; 32], at(1)).await.expect("writable");
        assert_eq!(device_list_purged_rest(&mut tx).await.expect("readable"), [OTHER]);
        for device in [testing::DEVICE, OTHER] {
            device_rest_remove(&mut tx, device).await.expect("writable");
        }
        assert_eq!(device_list_purged_rest(&mut tx).await.expect("readable"), []);
        assert_eq!(tally_remove_old(&mut tx, at(5)).await.expect("writable"), Count(0));
        assert_eq!(refused_remove_old(&mut tx, at(5)).await.expect("writable"), Count(0));
        assert_eq!(password_link_remove_old(&mut tx, at(5)).await.expect("writable"), Count(0));
    }
}
