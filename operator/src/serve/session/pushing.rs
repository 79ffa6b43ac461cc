use std::sync::Arc;
use std::time::Duration;

use genkan_proto::codec::{self, SealedSecret};
use genkan_proto::v1alpha1::operator_message::Message as Out;
use genkan_proto::v1alpha1::{OperatorMessage, SecretValues, SnapshotChunk};
use tokio::time::Instant;
use tonic::Status;
use tracing::error;

use super::{ACK_WITHIN, Held, InFlight, Session};
use crate::snapshot::Push;

/// How long one that is to be sent everything lets others go first.
const TURN_WITHIN: Duration = Duration::from_secs(5);

impl Session {
    /// Sends what a proxy that holds this lacks. Who lacks everything waits for a turn.
    pub(super) async fn push(&self, nonce: u64, held: &Held) -> Result<InFlight, Status> {
        let base = held.hash;
        let is_behind = base.is_some_and(|base| self.feed.knows(&base));
        let _turn = match is_behind {
            true => None,
            // Somebody who takes nothing must not keep the others waiting.
            false => tokio::time::timeout(TURN_WITHIN, self.feed.admit()).await.ok(),
        };
        let push = self.feed.push(base).await;
        let push = push.map_err(|error| {
            error!(%error, "a change cannot be encoded; the proxy keeps what it has");
            Status::internal(error.to_string())
        })?;
        let all;
        let secrets = match (held.takes_secrets, held.lacks_secrets) {
            (false, _) => &[][..],
            (true, false) => &push.secrets,
            (true, true) => {
                all = self.feed.resources().secrets();
                &all
            }
        };
        let send = async {
            self.send_secrets(nonce, secrets).await?;
            self.send(nonce, &push).await
        };
        let sent = tokio::time::timeout(ACK_WITHIN, send).await;
        sent.map_err(|_| Status::deadline_exceeded("the proxy takes no snapshot"))??;
        Ok(InFlight {
            nonce,
            push,
            deadline: Instant::now() + ACK_WITHIN,
        })
    }

    async fn send(&self, nonce: u64, push: &Push) -> Result<(), Status> {
        let count = push.chunks.len();
        for (index, payload) in push.chunks.iter().enumerate() {
            let chunk = SnapshotChunk {
                nonce,
                base_hash: push.base.map(|base| base.0.to_vec()).unwrap_or_default(),
                new_hash: push.version.hash.0.to_vec(),
                index: u32::try_from(index).unwrap_or(u32::MAX),
                last: index + 1 == count,
                payload: payload.clone(),
            };
            self.say(Out::Snapshot(chunk)).await?;
        }
        Ok(())
    }

    /// As many in a message as it may have bytes.
    async fn send_secrets(&self, nonce: u64, secrets: &[Arc<SealedSecret>]) -> Result<(), Status> {
        for some in secrets.chunk_by(codec::fit_together()) {
            let values = some.iter().map(|sealed| codec::value_to_wire(sealed));
            let values = values.collect();
            self.say(Out::Secrets(SecretValues { nonce, values })).await?;
        }
        Ok(())
    }

    pub(super) async fn say(&self, message: Out) -> Result<(), Status> {
        let message = OperatorMessage {
            message: Some(message),
        };
        let sent = self.out.send(Ok(message)).await;
        sent.map_err(|_| Status::cancelled("the proxy has gone"))
    }
}
