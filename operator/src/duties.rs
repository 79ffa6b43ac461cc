//! What one data plane does for all: given to one stream, and to another when that one ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use genkan_compile::compiler::ProbeChange;
use genkan_compile::index::{Change, Probe};
use genkan_routing::model::{Duty, ObjectKey, Report, SecretKey};
use tokio::sync::watch;

use crate::fleet::SessionId;

/// All duties of each stream that has some.
pub type Told = Arc<BTreeMap<SessionId, Arc<Vec<Duty>>>>;

#[derive(Debug, Default)]
pub struct Duties {
    all: BTreeMap<(ObjectKey, Probe), Given>,
    by_name: BTreeMap<String, (ObjectKey, Probe)>,
    /// Streams that can do duties, and how many each has.
    able: BTreeMap<SessionId, usize>,
    told: watch::Sender<Told>,
    has_changed: bool,
}

#[derive(Debug)]
struct Given {
    plan: SecretKey,
    turn: u64,
    holder: Option<SessionId>,
}

// === impl Duties ===

impl Duties {
    /// What streams are told.
    pub fn told(&self) -> watch::Receiver<Told> {
        self.told.subscribe()
    }

    /// A probe begins, ends, or asks something else.
    pub fn change(&mut self, change: ProbeChange) {
        let at = (change.object, change.probe);
        let before = self.all.remove(&at);
        let turn = before.as_ref().map_or(0, |before| before.turn) + 1;
        let holder = before.and_then(|before| before.holder);
        self.has_changed = true;
        let Some(plan) = change.plan else {
            self.lighten(holder);
            self.by_name.remove(&name(&at));
            return;
        };
        let holder = holder.or_else(|| self.lightest());
        self.by_name.insert(name(&at), at.clone());
        self.all.insert(at, Given { plan, turn, holder });
    }

    /// A stream that can do duties has begun.
    pub fn join(&mut self, session: SessionId) {
        self.able.insert(session, 0);
        self.hand_out();
    }

    /// A stream has ended: others do what it did.
    pub fn leave(&mut self, session: SessionId) {
        if self.able.remove(&session).is_none() {
            return;
        }
        for given in self
            .all
            .values_mut()
            .filter(|given| given.holder == Some(session))
        {
            given.holder = None;
        }
        self.hand_out();
    }

    /// What a report says; `None` where it does not count: from somebody who has not the duty, or had it another time.
    pub fn report(&self, session: SessionId, report: Report) -> Option<Change> {
        let at = self.by_name.get(&report.duty)?;
        let given = self.all.get(at)?;
        let counts = given.holder == Some(session) && given.turn == report.turn;
        let (object, probe) = at.clone();
        counts.then(|| Change::Probed(object, probe, given.plan.clone(), report.outcome))
    }

    /// Tells the streams, if there is something new.
    pub fn tell(&mut self) {
        if !std::mem::take(&mut self.has_changed) {
            return;
        }
        let mut told: BTreeMap<SessionId, Vec<Duty>> = BTreeMap::new();
        for (at, given) in &self.all {
            let Some(holder) = given.holder else { continue };
            told.entry(holder).or_default().push(Duty {
                name: name(at),
                turn: given.turn,
                plan: given.plan.clone(),
            });
        }
        let told = told
            .into_iter()
            .map(|(session, duties)| (session, Arc::new(duties)));
        self.told.send_replace(Arc::new(told.collect()));
    }

    fn hand_out(&mut self) {
        self.has_changed = true;
        let idle: Vec<_> = self
            .all
            .iter()
            .filter(|(_, given)| given.holder.is_none())
            .map(|(at, _)| at.clone())
            .collect();
        for at in idle {
            let holder = self.lightest();
            if let Some(given) = self.all.get_mut(&at).filter(|_| holder.is_some()) {
                given.holder = holder;
                given.turn += 1;
            }
        }
    }

    /// The stream with the fewest duties, which has one more now.
    fn lightest(&mut self) -> Option<SessionId> {
        let (session, count) = self
            .able
            .iter_mut()
            .min_by_key(|(session, count)| (**count, **session))?;
        *count += 1;
        Some(*session)
    }

    fn lighten(&mut self, holder: Option<SessionId>) {
        if let Some(count) = holder.and_then(|session| self.able.get_mut(&session)) {
            *count = count.saturating_sub(1);
        }
    }
}

fn name((object, probe): &(ObjectKey, Probe)) -> String {
    format!("{object}/{}", probe.word())
}

#[cfg(test)]
mod tests {
    use genkan_routing::model::Probed;

    use super::*;

    fn mk_change(name: &str, plan: Option<&str>) -> ProbeChange {
        ProbeChange {
            object: ObjectKey::connector("team", name),
            probe: Probe::Liveness,
            plan: plan.map(|plan| SecretKey::new("team", plan)),
        }
    }

    fn mk_report(name: &str, turn: u64) -> Report {
        Report {
            duty: format!("Connector/team/{name}/liveness"),
            turn,
            outcome: Probed {
                is_good: true,
                has_answered: true,
                message: String::new(),
            },
        }
    }

    #[test]
    fn who_goes_is_stood_in_for_and_counts_no_more() {
        let mut duties = Duties::default();
        let told = duties.told();
        let turn_of = |session: u64| {
            let told = told.borrow();
            told.get(&session).map(|duties| duties[0].turn)
        };
        duties.change(mk_change("a", Some("a#liveness.1")));
        duties.tell();
        assert!(told.borrow().is_empty());
        duties.join(1);
        duties.join(2);
        duties.tell();
        let turn = turn_of(1).unwrap();
        assert!(duties.report(1, mk_report("a", turn)).is_some());
        assert!(
            duties.report(2, mk_report("a", turn)).is_none(),
            "it is not its duty"
        );
        duties.leave(1);
        duties.tell();
        assert!(
            duties.report(2, mk_report("a", turn)).is_none(),
            "that was another turn"
        );
        let again = turn_of(2).unwrap();
        assert!(again > turn && duties.report(2, mk_report("a", again)).is_some());
        duties.change(mk_change("a", Some("a#liveness.2")));
        assert!(
            duties.report(2, mk_report("a", again)).is_none(),
            "it asks something else now"
        );
        duties.change(mk_change("a", None));
        duties.tell();
        assert!(told.borrow().is_empty());
    }

    #[test]
    fn duties_are_spread() {
        let mut duties = Duties::default();
        duties.join(1);
        duties.join(2);
        for at in 0..10 {
            duties.change(mk_change(&format!("c{at}"), Some("p")));
        }
        duties.tell();
        let told = duties.told();
        let counts: Vec<usize> = told.borrow().values().map(|duties| duties.len()).collect();
        assert_eq!(counts, [5, 5]);
    }
}
