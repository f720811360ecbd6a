//! A simulated device activates, and comes back after a reset: with the deployment token that every device has, or its
//! user's password, and the key that it had before. Refuses to be another device than before.

use super::super::admin;
use super::super::network::{self, Deed};
use super::super::world::World;
use super::{Bound, Device, pair, sign};
use app::DeviceAbout;
use app::activation::{Activation, Answer, Claim, OldKey, activate};
use app::password::Password;
use control::Rights;
use control::activation::{Choice, Preview};
use engine::RemoteError;
use futures::FutureExt as _;
use ring::signature::KeyPair as _;
use std::sync::Arc;

/// What makes a device ask to be activated anew.
pub(super) fn comes_back_from(code: &str) -> bool {
    matches!(code, "device_deactivated" | "device_held" | "signature_invalid" | "credential_revoked")
}

impl Device {
    /// Activates, as the record that it was before where it was one.
    ///
    /// # Errors
    /// No answer, or a refusal; it waits for an admin.
    pub(super) async fn activate(&self, world: &Arc<World>) -> Result<(), RemoteError> {
        let kept = self.disk().asking;
        // ORDER: key and request are on the disk before they are sent: the same ones are sent until there is an answer.
        let (key, request, since) = kept.unwrap_or_else(|| (self.bytes(), self.bytes(), world.passed()));
        self.disk().asking = Some((key, request, since));
        let before = self.disk().bound;
        let by_password = key[0].is_multiple_of(2);
        let deed = self.deed(world, (key, request), before, by_password);
        let answer = match network::ask(world, deed).await {
            Ok(answer) => answer,
            Err(error) => {
                // A refusal is final for this request; the next one is another.
                if error.kind != base::Kind::Unavailable {
                    self.disk().asking = None;
                }
                return Err(error);
            }
        };
        let Answer::Activated(activated) = answer else {
            return Err(RemoteError::new("waits", "an admin has to say yes", base::Kind::Unavailable));
        };
        world.say(format_args!(
            "device {} is {} of epoch {}, {:?}, {:?}",
            self.number, activated.device, activated.epoch, activated.rights, activated.outcome
        ));
        world.oracle.count(|figures| figures.activated += 1);
        if let Some(before) = before.filter(|before| before.device != activated.device) {
            world.broken(format_args!("{} has come back as {}", before.device, activated.device));
        }
        if activated.rights == Rights::AppendOnly {
            world.oracle.appends_only(activated.device, activated.epoch, since);
        }
        let mut disk = self.disk();
        disk.former = disk.kept;
        disk.bound = Some(Bound { device: activated.device, key, epoch: activated.epoch });
        disk.counter = Some(activated.counter);
        disk.asking = None;
        Ok(())
    }

    fn deed(
        &self,
        world: &World,
        (key, request): ([u8; 32], [u8; 16]),
        before: Option<Bound>,
        by_password: bool,
    ) -> Deed<Answer> {
        let (number, counter, token) = (self.number, self.disk().counter, world.token());
        Arc::new(move |app| {
            let user = number % admin::USERS;
            let email = admin::email(user);
            let signed = [&request[..], &key_public(&key)].concat();
            let proof = match by_password {
                true => Claim::Password(Password::new(admin::PASSWORD.to_owned())),
                false => Claim::Token(token.clone()),
            };
            let activation = Activation {
                request,
                email: if by_password { email } else { String::new() },
                proof,
                old_key: before.map(|old| OldKey { device: old.device, signature: sign(&old.key, &signed), counter }),
                device_key: key_public(&key),
                signature: sign(&key, &signed),
                signed,
                about: DeviceAbout {
                    host_name: format!("laptop-{number}"),
                    serial: format!("SIM-{number:05}"),
                    hardware_uuid: String::new(),
                    os_user: admin::user_name(user),
                    os: "linux".to_owned(),
                    arch: "x86_64".to_owned(),
                    agent: "simulated".to_owned(),
                },
                choice: Choice::Auto,
                can_ask: false,
                preview: Preview::None,
                restore: None,
                source: [192, 0, 2, 7].into(),
            };
            async move { activate(&app, &activation).await }.boxed()
        })
    }
}

fn key_public(key: &[u8; 32]) -> [u8; 32] {
    pair(key).public_key().as_ref().try_into().expect("a public key has 32 bytes")
}
