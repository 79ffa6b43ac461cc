//! Roll-outs of extensions, on their way between the engine and one data plane.

use genkan_compile::sentence::bounded;
use genkan_compile::verdict::MAX_MESSAGE;
use genkan_proto::codec;
use genkan_proto::v1alpha1::operator_message::Message as Out;
use genkan_proto::v1alpha1::{ActiveRevision, ExtensionReport, RolloutState};
use genkan_routing::model::policy::ActiveRevisions;
use tonic::Status;

use super::{Session, is_name};
use crate::input::Input;
use crate::rollouts::Told;

/// More extensions than there may be.
const MOST_ACTIVE: usize = 64;

/// What a proxy says is active, as far as it is believed.
pub(super) fn active(mut active: Vec<ActiveRevision>) -> ActiveRevisions {
    active.truncate(MOST_ACTIVE);
    active.retain(|one| is_name(&one.extension) && is_name(&one.revision));
    codec::active_from_wire(active)
}

// === impl Session ===

impl Session {
    /// Passes on what this stream was told behind that nonce. Gives back the last one.
    pub(super) async fn pass_on(&self, told: &Told, after: u64) -> Result<u64, Status> {
        let mut last = after;
        let of_this = told
            .get(&self.id)
            .into_iter()
            .flat_map(|rollouts| rollouts.iter());
        for rollout in of_this.filter(|rollout| rollout.nonce > after) {
            self.say(Out::Rollout(codec::rollout_to_wire(rollout))).await?;
            last = rollout.nonce;
        }
        Ok(last)
    }

    pub(super) async fn rolled_out(&self, name: &str, state: RolloutState) {
        let Some(mut state) = codec::rollout_state_from_wire(state) else {
            return;
        };
        if !is_name(&state.extension) || !is_name(&state.revision) {
            return;
        }
        state.error = bounded(state.error, MAX_MESSAGE);
        let (name, session) = (name.to_owned(), self.id);
        // The engine ends only with the process.
        let _ = self.engine.send(Input::RolledOut { name, session, state }).await;
    }

    pub(super) async fn extension_reported(&self, name: &str, report: ExtensionReport) {
        if !is_name(&report.extension) || !is_name(&report.revision) {
            return;
        }
        let report = codec::extension_report_from_wire(report);
        let (name, session) = (name.to_owned(), self.id);
        // The engine ends only with the process.
        let _ = self
            .engine
            .send(Input::ExtensionReport {
                name,
                session,
                report,
            })
            .await;
    }
}
