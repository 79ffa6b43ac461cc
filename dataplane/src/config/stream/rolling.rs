use genkan_proto::codec;
use genkan_proto::v1alpha1::{self as wire, ProxyMessage, proxy_message};
use genkan_routing::model::policy::{ActiveRevisions, Rollout, RolloutAction, RolloutStage, RolloutState};
use tokio::sync::mpsc;

use super::{StreamError, Subscriber, SyncState, retire};
use crate::tasks::aside;

// === impl Subscriber ===

impl Subscriber {
    /// Does what the operator says for the roll-out of an extension, and answers it.
    pub(super) async fn roll(
        &mut self,
        rollout: wire::Rollout,
        progress: &mut SyncState,
        answers: &mpsc::Sender<ProxyMessage>,
    ) -> Result<(), StreamError> {
        // An action of a later version.
        let Some(rollout) = codec::rollout_from_wire(rollout) else {
            return Ok(());
        };
        let outcome = match rollout.action {
            // Told as it goes on.
            RolloutAction::Drain => {
                self.rollouts.drain(rollout);
                return Ok(());
            }
            RolloutAction::Undrain => {
                self.rollouts.undrain(&rollout.extension);
                Ok(RolloutStage::Undrained)
            }
            RolloutAction::Apply => aside(true, || self.activate(&rollout, progress)),
            RolloutAction::Verify => {
                let verified = self.builder.verify(&rollout.extension, &rollout.revision);
                verified.map(|()| RolloutStage::Verified)
            }
        };
        let state = self.rollouts.state(&rollout, outcome);
        tracing::info!(
            extension = state.extension,
            revision = state.revision,
            stage = ?state.stage,
            error = state.error,
            "rolling out"
        );
        say(answers, &state).await
    }

    fn activate(&mut self, rollout: &Rollout, progress: &mut SyncState) -> Result<RolloutStage, String> {
        let applied = self.builder.activate(&rollout.extension, &rollout.revision)?;
        // What is wrong with objects may be another thing now: the next acknowledgement says all of it.
        progress.has_acknowledged &= !applied.concerns_others;
        tokio::spawn(retire(applied.publish(&self.current), true));
        self.keep_active(self.builder.active());
        Ok(RolloutStage::Applied)
    }

    /// Tells what is active now, without being asked, where that is not what was `before`.
    pub(super) async fn tell_active(
        &mut self,
        before: &ActiveRevisions,
        answers: &mpsc::Sender<ProxyMessage>,
    ) -> Result<(), StreamError> {
        let now = self.builder.active();
        if now == *before {
            return Ok(());
        }
        self.keep_active(now.clone());
        for (extension, revision) in now {
            if before.get(&extension) == Some(&revision) {
                continue;
            }
            let state = RolloutState {
                extension,
                revision,
                stage: RolloutStage::Applied,
                in_flight: 0,
                error: String::new(),
                nonce: 0,
            };
            say(answers, &state).await?;
        }
        Ok(())
    }

    fn keep_active(&self, active: ActiveRevisions) {
        if let Some(keeper) = &self.keeper {
            keeper.note_active(active);
        }
    }
}

pub(super) fn message(state: &RolloutState) -> ProxyMessage {
    let state = codec::rollout_state_to_wire(state);
    super::message(proxy_message::Message::RolloutState(state))
}

async fn say(answers: &mpsc::Sender<ProxyMessage>, state: &RolloutState) -> Result<(), StreamError> {
    let sent = answers.send(message(state)).await;
    sent.map_err(|_| StreamError::Closed)
}
