//! What takes data planes from one revision of an extension to another.

use genkan_routing::model::policy::{
    ActiveRevisions, ExtensionReport, Rollout, RolloutAction, RolloutStage, RolloutState,
};

use crate::v1alpha1::rollout::Action;
use crate::v1alpha1::rollout_state::Stage;
use crate::v1alpha1::{self as wire, ActiveRevision};

pub fn rollout_to_wire(rollout: &Rollout) -> wire::Rollout {
    let action = match rollout.action {
        RolloutAction::Drain => Action::Drain,
        RolloutAction::Apply => Action::Apply,
        RolloutAction::Verify => Action::Verify,
        RolloutAction::Undrain => Action::Undrain,
    };
    wire::Rollout {
        extension: rollout.extension.clone(),
        revision: rollout.revision.clone(),
        action: action.into(),
        nonce: rollout.nonce,
    }
}

/// `None` if it asks for nothing that this version does.
pub fn rollout_from_wire(rollout: wire::Rollout) -> Option<Rollout> {
    let action = match rollout.action() {
        Action::Unspecified => return None,
        Action::Drain => RolloutAction::Drain,
        Action::Apply => RolloutAction::Apply,
        Action::Verify => RolloutAction::Verify,
        Action::Undrain => RolloutAction::Undrain,
    };
    Some(Rollout {
        extension: rollout.extension,
        revision: rollout.revision,
        action,
        nonce: rollout.nonce,
    })
}

pub fn rollout_state_to_wire(state: &RolloutState) -> wire::RolloutState {
    let stage = match state.stage {
        RolloutStage::Draining => Stage::Draining,
        RolloutStage::Drained => Stage::Drained,
        RolloutStage::Applied => Stage::Applied,
        RolloutStage::Verified => Stage::Verified,
        RolloutStage::Undrained => Stage::Undrained,
        RolloutStage::Failed => Stage::Failed,
    };
    wire::RolloutState {
        extension: state.extension.clone(),
        revision: state.revision.clone(),
        stage: stage.into(),
        in_flight: state.in_flight,
        error: state.error.clone(),
        nonce: state.nonce,
    }
}

/// `None` if it says nothing that this version understands.
pub fn rollout_state_from_wire(state: wire::RolloutState) -> Option<RolloutState> {
    let stage = match state.stage() {
        Stage::Unspecified => return None,
        Stage::Draining => RolloutStage::Draining,
        Stage::Drained => RolloutStage::Drained,
        Stage::Applied => RolloutStage::Applied,
        Stage::Verified => RolloutStage::Verified,
        Stage::Undrained => RolloutStage::Undrained,
        Stage::Failed => RolloutStage::Failed,
    };
    Some(RolloutState {
        extension: state.extension,
        revision: state.revision,
        stage,
        in_flight: state.in_flight,
        error: state.error,
        nonce: state.nonce,
    })
}

pub fn extension_report_to_wire(report: &ExtensionReport) -> wire::ExtensionReport {
    wire::ExtensionReport {
        extension: report.extension.clone(),
        revision: report.revision.clone(),
        requests: report.requests,
        errors: report.errors,
    }
}

pub fn extension_report_from_wire(report: wire::ExtensionReport) -> ExtensionReport {
    ExtensionReport {
        extension: report.extension,
        revision: report.revision,
        requests: report.requests,
        errors: report.errors,
    }
}

pub fn active_to_wire(active: &ActiveRevisions) -> Vec<ActiveRevision> {
    let one = |(extension, revision): (&String, &String)| ActiveRevision {
        extension: extension.clone(),
        revision: revision.clone(),
    };
    active.iter().map(one).collect()
}

pub fn active_from_wire(active: Vec<ActiveRevision>) -> ActiveRevisions {
    let active = active.into_iter();
    active.map(|one| (one.extension, one.revision)).collect()
}
