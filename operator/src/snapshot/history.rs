use std::collections::{BTreeSet, VecDeque};

use genkan_proto::Hash;

/// Which resources changed lately, so that nobody who was away for a moment has to be sent everything.
#[derive(Debug, Default)]
pub(super) struct History {
    steps: VecDeque<Step>,
    /// Keys in all steps together.
    keys: usize,
}

/// One change.
#[derive(Debug)]
struct Step {
    /// What it was made to.
    base: Hash,
    keys: Vec<String>,
}

/// Who is further behind gets everything.
const MOST_STEPS: usize = 4_096;
const MOST_KEYS: usize = 65_536;

// === impl History ===

impl History {
    pub(super) fn note(&mut self, base: Hash, keys: Vec<String>) {
        self.keys += keys.len();
        self.steps.push_back(Step { base, keys });
        while self.steps.len() > MOST_STEPS || self.keys > MOST_KEYS {
            let Some(oldest) = self.steps.pop_front() else {
                break;
            };
            self.keys -= oldest.keys.len();
        }
    }

    pub(super) fn knows(&self, base: &Hash) -> bool {
        self.steps.iter().any(|step| step.base == *base)
    }

    /// The keys of everything that changed since the latest time at which `base` was what there is, each once.
    pub(super) fn since(&self, base: &Hash) -> Option<Vec<String>> {
        let first = self.steps.iter().rposition(|step| step.base == *base)?;
        let mut later = self.steps.range(first..);
        if later.len() == 1 {
            return later.next().map(|step| step.keys.clone());
        }
        let keys: BTreeSet<&String> = later.flat_map(|step| &step.keys).collect();
        Some(keys.into_iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_hash(n: usize) -> Hash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&n.to_le_bytes());
        Hash(hash)
    }

    #[test]
    fn several_steps_name_each_key_once() {
        let mut history = History::default();
        for (n, keys) in [vec!["a", "b"], vec!["c"], vec!["a"]].into_iter().enumerate() {
            history.note(mk_hash(n), keys.into_iter().map(str::to_owned).collect());
        }
        assert_eq!(history.since(&mk_hash(0)).unwrap(), ["a", "b", "c"]);
        assert_eq!(history.since(&mk_hash(2)).unwrap(), ["a"]);
        assert_eq!(history.since(&mk_hash(3)), None);
    }

    /// A change that is taken back leads to a hash that was there before.
    #[test]
    fn the_latest_of_equal_states_counts() {
        let mut history = History::default();
        history.note(mk_hash(1), vec!["a".into()]);
        history.note(mk_hash(2), vec!["a".into()]);
        history.note(mk_hash(1), vec!["b".into()]);
        assert_eq!(history.since(&mk_hash(1)).unwrap(), ["b"]);
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let mut history = History::default();
        for n in 0..MOST_STEPS + 10 {
            history.note(mk_hash(n), vec!["a".into()]);
        }
        assert!(history.since(&mk_hash(9)).is_none() && history.since(&mk_hash(10)).is_some());
        history.note(mk_hash(MOST_STEPS + 10), vec!["k".into(); MOST_KEYS]);
        assert_eq!((history.steps.len(), history.keys), (1, MOST_KEYS));
        history.note(mk_hash(MOST_STEPS + 11), vec!["k".into(); MOST_KEYS + 1]);
        assert!(history.steps.is_empty());
    }
}
