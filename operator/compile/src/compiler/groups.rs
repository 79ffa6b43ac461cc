use std::collections::{BTreeMap, BTreeSet};

use genkan_routing::model::{Matcher, ObjectKey};
use genkan_routing::precedence::Losers;

use crate::index::Index;
use crate::object::Record;

/// Who wants which group and version.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Contenders for each `group/version`, the winner first.
    contenders: BTreeMap<String, BTreeSet<Senior>>,
    group_of: BTreeMap<ObjectKey, (String, i64)>,
}

/// Who else wants the same group and version.
#[derive(Default)]
pub(super) struct Rivals<'g> {
    /// The object that comes before this one, and why.
    pub(super) winner: Option<(&'g ObjectKey, &'static str)>,
    pub(super) losers: Losers<'g>,
}

/// What others are told of the contenders for one group: the first two, and how many there are.
type Summary = (Option<Senior>, Option<Senior>, usize);

/// Seconds since 1970, and then whose: the first of several wins.
type Senior = (i64, ObjectKey);

// === impl Groups ===

impl Groups {
    /// Enters objects among the contenders for their groups and versions. Returns every object that this concerns: who
    /// joins behind the winner concerns the winner alone.
    pub(super) fn contend(&mut self, index: &Index, objects: &BTreeSet<ObjectKey>) -> BTreeSet<ObjectKey> {
        let mut before: BTreeMap<String, Summary> = BTreeMap::new();
        let mut affected = objects.clone();
        for key in objects {
            if let Some((group, created)) = self.group_of.remove(key) {
                let summary = self.summary(&group);
                before.entry(group.clone()).or_insert(summary);
                if let Some(contenders) = self.contenders.get_mut(&group) {
                    contenders.remove(&(created, key.clone()));
                    if contenders.is_empty() {
                        self.contenders.remove(&group);
                    }
                }
            }
            let record = index.published.get(key);
            if let Some((record, (group, version))) = record.and_then(|r| Some((r, group_of(r)?))) {
                let group = format!("{group}/{version}");
                let summary = self.summary(&group);
                before.entry(group.clone()).or_insert(summary);
                let contenders = self.contenders.entry(group.clone()).or_default();
                contenders.insert((record.created, key.clone()));
                self.group_of.insert(key.clone(), (group, record.created));
            }
        }
        for (group, was) in before {
            let now = self.summary(&group);
            let concerned = match &now {
                now if was == *now => 0,
                now if was.0 == now.0 => 1,
                _ => usize::MAX,
            };
            let contenders = self.contenders.get(&group).into_iter().flatten();
            affected.extend(contenders.take(concerned).map(|(_, key)| key.clone()));
        }
        affected
    }

    /// The other objects that publish the same group and version.
    pub(super) fn rivals(&self, key: &ObjectKey) -> Rivals<'_> {
        let entry = self
            .group_of
            .get(key)
            .and_then(|(group, created)| Some((self.contenders.get(group)?, created)));
        let Some((contenders, created)) = entry else {
            return Rivals::default();
        };
        match contenders.first() {
            Some((first, winner)) if winner != key => {
                let rule = if first < created {
                    "it is older"
                } else {
                    "it is as old and its name sorts first"
                };
                Rivals {
                    winner: Some((winner, rule)),
                    losers: Losers::default(),
                }
            }
            _ => Rivals {
                winner: None,
                losers: Losers {
                    first: contenders.iter().nth(1).map(|(_, key)| key),
                    count: contenders.len() - 1,
                },
            },
        }
    }

    fn summary(&self, group: &str) -> Summary {
        let contenders = self.contenders.get(group);
        let mut best = contenders.into_iter().flatten().take(2).cloned();
        (best.next(), best.next(), contenders.map_or(0, BTreeSet::len))
    }
}

fn group_of(record: &Record) -> Option<(&str, &str)> {
    match record.matcher.as_ref()? {
        Matcher::ApiService { group, version } => Some((group, version)),
        Matcher::ReverseProxy { .. } | Matcher::Connector { .. } | Matcher::ConnectorClass { .. } => None,
    }
}
