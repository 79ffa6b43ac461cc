//! What each data plane has of extensions, and what it is told to do about them: one that is rolled out is told so on its
//! own stream. Who is told what, and when, is decided elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use genkan_routing::model::policy::{ActiveRevisions, ExtensionReport, Rollout, RolloutStage, RolloutState};
use tokio::sync::watch;

use crate::fleet::SessionId;

/// What each stream was told last, in order. A stream passes on what it has not passed on yet.
pub type Told = Arc<BTreeMap<SessionId, Arc<[Rollout]>>>;

#[derive(Debug, Default)]
pub struct Rollouts {
    seen: BTreeMap<String, Seen>,
    told: watch::Sender<Told>,
    nonce: u64,
}

/// What a data plane with a stream has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub session: SessionId,
    /// What is active of extensions. One that is not among them it has not seen yet, and takes as it begins.
    pub active: ActiveRevisions,
    /// How far it has come with what it was told last.
    pub state: Option<RolloutState>,
    /// How extensions do, by their names.
    pub reports: BTreeMap<String, ExtensionReport>,
}

/// What a stream may be behind: whoever decides waits for each answer.
const MOST_PENDING: usize = 8;

// === impl Rollouts ===

impl Rollouts {
    /// What streams pass on.
    pub fn told(&self) -> watch::Receiver<Told> {
        self.told.subscribe()
    }

    /// Of data planes that have a stream, by their names.
    pub fn seen(&self) -> &BTreeMap<String, Seen> {
        &self.seen
    }

    /// A stream has begun.
    pub fn join(&mut self, proxy: &str, session: SessionId, active: ActiveRevisions) {
        self.seen.insert(
            proxy.to_owned(),
            Seen {
                session,
                active,
                state: None,
                reports: BTreeMap::new(),
            },
        );
    }

    /// A stream has ended. Ignored if another one of the same data plane took its place.
    pub fn leave(&mut self, proxy: &str, session: SessionId) {
        if self.of(proxy, session).is_some() {
            self.seen.remove(proxy);
        }
        self.told.send_if_modified(|told| {
            told.contains_key(&session) && Arc::make_mut(told).remove(&session).is_some()
        });
    }

    /// Takes note of how far one has come; false if the stream is not its own.
    pub fn roll(&mut self, proxy: &str, session: SessionId, state: RolloutState) -> bool {
        let Some(seen) = self.of(proxy, session) else {
            return false;
        };
        if state.stage == RolloutStage::Applied {
            seen.active
                .insert(state.extension.clone(), state.revision.clone());
            // What was counted is of another revision.
            seen.reports
                .retain(|_, report| report.extension != state.extension || report.revision == state.revision);
        }
        seen.state = Some(state);
        true
    }

    /// Takes note of how an extension does; false if the stream is not the data plane's own.
    pub fn report(&mut self, proxy: &str, session: SessionId, report: ExtensionReport) -> bool {
        let Some(seen) = self.of(proxy, session) else {
            return false;
        };
        seen.reports.insert(report.extension.clone(), report);
        true
    }

    /// Tells one data plane what to do. Gives back the nonce that its answer will carry, which is a new one where none is
    /// given; `None` if it has no stream.
    pub fn send(&mut self, proxy: &str, rollout: Rollout) -> Option<u64> {
        let session = self.seen.get(proxy)?.session;
        let rollout = match rollout.nonce {
            0 => {
                self.nonce += 1;
                Rollout {
                    nonce: self.nonce,
                    ..rollout
                }
            }
            _ => rollout,
        };
        let nonce = rollout.nonce;
        self.told.send_modify(|told| {
            let of = Arc::make_mut(told).entry(session).or_default();
            let kept = of.iter().skip((of.len() + 1).saturating_sub(MOST_PENDING));
            *of = kept.cloned().chain([rollout]).collect();
        });
        Some(nonce)
    }

    fn of(&mut self, proxy: &str, session: SessionId) -> Option<&mut Seen> {
        self.seen.get_mut(proxy).filter(|seen| seen.session == session)
    }
}

#[cfg(test)]
mod tests {
    use genkan_routing::model::policy::RolloutAction;

    use super::*;

    fn mk_rollout(revision: &str, action: RolloutAction) -> Rollout {
        Rollout {
            extension: "corp".into(),
            revision: revision.into(),
            action,
            nonce: 0,
        }
    }

    fn mk_state(revision: &str, stage: RolloutStage) -> RolloutState {
        RolloutState {
            extension: "corp".into(),
            revision: revision.into(),
            stage,
            in_flight: 0,
            error: String::new(),
            nonce: 1,
        }
    }

    #[test]
    fn only_the_stream_of_a_data_plane_is_told_and_believed() {
        let mut rollouts = Rollouts::default();
        let told = rollouts.told();
        let drain = mk_rollout("corp-2", RolloutAction::Drain);
        assert_eq!(rollouts.send("edge", drain.clone()), None);
        rollouts.join(
            "edge",
            1,
            ActiveRevisions::from([("corp".into(), "corp-1".into())]),
        );
        rollouts.join(
            "edge",
            2,
            ActiveRevisions::from([("corp".into(), "corp-1".into())]),
        );
        let nonce = rollouts.send("edge", drain.clone()).unwrap();
        let expected = Rollout { nonce, ..drain };
        assert_eq!(told.borrow()[&2][..], [expected]);
        assert!(!told.borrow().contains_key(&1));
        assert!(!rollouts.roll("edge", 1, mk_state("corp-2", RolloutStage::Applied)));
        let report = |revision: &str| ExtensionReport {
            extension: "corp".into(),
            revision: revision.into(),
            requests: 5,
            errors: 1,
        };
        assert!(rollouts.report("edge", 2, report("corp-1")));
        assert!(rollouts.roll("edge", 2, mk_state("corp-2", RolloutStage::Applied)));
        let seen = &rollouts.seen()["edge"];
        assert_eq!(seen.active["corp"], "corp-2");
        assert!(seen.reports.is_empty(), "they were of another revision");
        assert!(rollouts.roll("edge", 2, mk_state("corp-2", RolloutStage::Failed)));
        assert_eq!(rollouts.seen()["edge"].active["corp"], "corp-2");
        rollouts.leave("edge", 1);
        assert!(rollouts.seen().contains_key("edge"));
        rollouts.leave("edge", 2);
        assert!(rollouts.seen().is_empty() && told.borrow().is_empty());
    }

    #[test]
    fn a_stream_that_reads_nothing_is_not_remembered_for_ever() {
        let mut rollouts = Rollouts::default();
        rollouts.join("edge", 1, ActiveRevisions::new());
        for _ in 0..3 * MOST_PENDING {
            rollouts.send("edge", mk_rollout("corp-1", RolloutAction::Verify));
        }
        let told = rollouts.told();
        let nonces: Vec<u64> = told.borrow()[&1].iter().map(|rollout| rollout.nonce).collect();
        assert_eq!(nonces, (17..=24).collect::<Vec<u64>>());
    }
}
