//! The routes that are not part of a run, one function each.
//! Refuses to read more into an answer than its message says.

use super::{Connection, wire};
use base::RunId;
use bytes::Bytes;
use engine::RemoteError;
use protocol::agent::activation::{ActivationAnswer, ActivationRequest};
use protocol::agent::run::{BeginReply, BeginRequest, SnapshotDetail, SnapshotListReply};
use protocol::agent::session::HelloReply;
use protocol::agent::status::DeviceReply;

/// Pages of snapshots that are asked for before the answer is taken for endless.
const PAGES_MAX: usize = 10_000;

impl Connection {
    /// Who answers, and which protocol versions they speak.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn hello(&self) -> Result<HelloReply, RemoteError> {
        self.ask_json(&wire::get("/v1/hello")).await
    }

    /// Asks to be activated. The same request gets the same answer for ever.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn activate(&self, request: &ActivationRequest) -> Result<ActivationAnswer, RemoteError> {
        self.ask_json(&wire::post("/v1/activations", request)).await
    }

    /// What the server says of this device.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn device(&self) -> Result<DeviceReply, RemoteError> {
        self.ask_json(&wire::get("/v1/device")).await
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
