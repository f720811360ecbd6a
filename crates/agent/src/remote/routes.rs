//! The routes that are not part of a run, one function each.
//! Refuses to read more into an answer than its message says.

use super::{Connection, wire};
use base::{FolderId, RunId, Span};
use bytes::Bytes;
use engine::RemoteError;
use protocol::agent::activation::{ActivationAnswer, ActivationRequest};
use protocol::agent::password::{PasswordLinkReply, PasswordLinkRequest};
use protocol::agent::policy::{FolderRequest, PolicyReply, ValuesRequest};
use protocol::agent::run::{BeginReply, BeginRequest, SnapshotDetail, SnapshotListReply};
use protocol::agent::session::HelloReply;
use protocol::agent::status::DeviceReply;

/// Pages of snapshots that are asked for before the answer is taken for endless.
const PAGES_MAX: usize = 10_000;
/// How long a policy is asked for: the one of last time serves as well.
const POLICY_PATIENCE: Span = Span::seconds(10);

impl Connection {
    /// Who answers, and which protocol versions they speak.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn hello(&self) -> Result<HelloReply, RemoteError> {
        self.ask_json(&wire::get("/v1/hello")).await
    }

    /// Asks to be activated. The same request gets the same answer for ever, once it is activated.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn activate(&self, request: &ActivationRequest) -> Result<ActivationAnswer, RemoteError> {
        self.ask_json(&wire::post("/v1/activations", request)).await
    }

    /// Sets a password by a link.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn use_link(&self, request: &PasswordLinkRequest) -> Result<PasswordLinkReply, RemoteError> {
        self.ask_json(&wire::post("/v1/password-links", request)).await
    }

    /// What the server says of this device.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn device(&self) -> Result<DeviceReply, RemoteError> {
        self.ask_json(&wire::get("/v1/device")).await
    }

    /// What this device is to do. A policy is kept here too, so nobody waits long for it.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn policy(&self) -> Result<PolicyReply, RemoteError> {
        self.ask_json_within(&wire::get("/v1/policy"), POLICY_PATIENCE).await
    }

    /// Sets values of the user's own, or takes them back; what this device is to do then.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn set_values(&self, request: &ValuesRequest) -> Result<PolicyReply, RemoteError> {
        self.ask_json(&wire::patch("/v1/policy/values", request)).await
    }

    /// Adds a folder of the user's own.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn add_folder(&self, request: &FolderRequest) -> Result<(), RemoteError> {
        self.ask(&wire::post("/v1/policy/folders", request)).await.map(|_| ())
    }

    /// Removes a folder of the user's own. What is in the snapshots stays there.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn remove_folder(&self, folder: FolderId) -> Result<(), RemoteError> {
        self.ask(&wire::delete(format!("/v1/policy/folders/{folder}"))).await.map(|_| ())
    }

    /// Takes a folder out of this device's backup, or back into it.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn link_folder(&self, folder: FolderId, is_linked: bool) -> Result<(), RemoteError> {
        let verb = if is_linked { "link" } else { "unlink" };
        self.ask(&wire::post_nothing(format!("/v1/policy/folders/{folder}/{verb}"))).await.map(|_| ())
    }

    /// Says that the order to erase is carried out.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn confirm_wipe(&self) -> Result<(), RemoteError> {
        self.ask(&wire::post_nothing("/v1/device/wiped")).await.map(|_| ())
    }

    /// Sends the support bundle that an admin has asked for.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn send_bundle(&self, bundle: Vec<u8>) -> Result<(), RemoteError> {
        self.ask(&wire::put_bytes("/v1/device/support-bundle", bundle.into())).await.map(|_| ())
    }

    /// Every snapshot of this device, newest first.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn snapshots(&self) -> Result<Vec<SnapshotDetail>, RemoteError> {
        let mut all = Vec::new();
        let mut path = "/v1/snapshots".to_owned();
        for _ in 0..PAGES_MAX {
            let page: SnapshotListReply = self.ask_json(&wire::get(path)).await?;
            all.extend(page.snapshots);
            let Some(next) = page.next else { return Ok(all) };
            path = format!("/v1/snapshots?after={next}");
        }
        Err(self.http.damaged("its list of snapshots has no end"))
    }

    /// Opens a run. The same request gets the same run.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn begin(&self, request: &BeginRequest) -> Result<BeginReply, RemoteError> {
        self.ask_json(&wire::post("/v1/runs", request)).await
    }

    /// Ends a run, so that the server need not wait for its lease to end. Asked once, and never fails: a courtesy.
    pub async fn abort(&self, run: RunId) {
        let call = wire::post_bytes(format!("/v1/runs/{run}/abort"), Bytes::new());
        if let Err(failed) = self.attempt(&call).await {
            tracing::debug!("{run} was not ended: {}", failed.error);
        }
    }
}
