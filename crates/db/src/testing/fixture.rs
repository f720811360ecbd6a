//! What the tests of this crate find in a database: a repository, a user and a device.

use super::{TempDb, databases};
use crate::sql::query;
use crate::{DeviceAbout, DeviceRow, Tx, UserRow, device_insert, user_insert};
use base::{DeviceId, RepositoryId, Timestamp, UserId};
use control::{Rights, State, UserState};

/// The number of the repository that `fixtures` make.
pub(crate) const REPOSITORY: i64 = 1;
/// The device that `fixtures` make.
pub(crate) const DEVICE: DeviceId = DeviceId::from_bytes([0xd1; 16]);
/// The user that `fixtures` make.
pub(crate) const USER: UserId = UserId::from_bytes([0xa1; 16]);

/// One database of each kind with one repository, one user and one device.
pub(crate) async fn fixtures() -> Vec<TempDb> {
    let all = databases().await;
    for temp in &all {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        repository(&mut tx, REPOSITORY).await;
        let user = UserRow {
            id: USER,
            email: "u@x".to_owned(),
            state: UserState::Active,
            repository: REPOSITORY,
            password_hash: String::new(),
            created_at: Timestamp::from_ms(0),
        };
        user_insert(&mut tx, &user).await.expect("the user is new");
        device(&mut tx, DEVICE).await;
        tx.commit().await.expect("nothing stands against it");
    }
    all
}

/// One more repository.
pub(crate) async fn repository(tx: &mut Tx, seq: i64) {
    query("insert into repository (seq, id, created_at) values ($1, $2, 0)")
        .bind(seq)
        .bind(&RepositoryId::from_bytes([seq as u8; 16]).as_bytes()[..])
        .execute(tx.conn())
        .await
        .expect("the repository is new");
}

/// One more device of `USER`.
pub(crate) async fn device(tx: &mut Tx, device: DeviceId) {
    let about = DeviceAbout::default();
    let made = DeviceRow::new(device, USER, "d".to_owned(), about, Timestamp::from_ms(0));
    let device = DeviceRow { state: State::Active { rights: Rights::Full }, epoch: 1, ..made };
    device_insert(tx, &device).await.expect("the device is new");
}
