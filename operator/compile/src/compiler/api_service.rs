use std::collections::{BTreeMap, BTreeSet};

use genkan_crds::APIServiceSpec;
use genkan_crds::condition::reason;
use genkan_routing::model::{Action, Matcher, ObjectKey, ObjectRef, Route};
use genkan_routing::precedence::Losers;

use super::{Compiled, unavailable, upstream};
use crate::index::Index;
use crate::object::Record;
use crate::verdict::{Backend, Columns, Finding, Verdict};

/// Who wants which group and version.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Contenders for each `group/version`, the winner first.
    contenders: BTreeMap<String, BTreeSet<(i64, String)>>,
    group_of: BTreeMap<String, (String, i64)>,
}

/// Who else wants the same group and version.
#[derive(Default)]
pub(super) struct Rivals<'g> {
    /// The name of the object that comes before this one, and why.
    winner: Option<(&'g str, &'static str)>,
    losers: Losers<'g>,
}

/// What others are told of the contenders for one group: the first two, and how many there are.
type Summary = (Option<(i64, String)>, Option<(i64, String)>, usize);

// === impl Groups ===

impl Groups {
    /// Enters objects among the contenders for their groups and versions. Returns every object that this concerns: who
    /// joins behind the winner concerns the winner alone.
    pub(super) fn contend(&mut self, index: &Index, names: &BTreeSet<String>) -> BTreeSet<ObjectKey> {
        let mut before: BTreeMap<String, Summary> = BTreeMap::new();
        let mut affected = names.clone();
        for name in names {
            if let Some((group, created)) = self.group_of.remove(name) {
                let summary = self.summary(&group);
                before.entry(group.clone()).or_insert(summary);
                if let Some(contenders) = self.contenders.get_mut(&group) {
                    contenders.remove(&(created, name.clone()));
                    if contenders.is_empty() {
                        self.contenders.remove(&group);
                    }
                }
            }
            let record = index.api_services.get(name);
            if let Some((record, (group, version))) = record.and_then(|r| Some((r, published(r)?))) {
                let group = format!("{group}/{version}");
                let summary = self.summary(&group);
                before.entry(group.clone()).or_insert(summary);
                let contenders = self.contenders.entry(group.clone()).or_default();
                contenders.insert((record.created, name.clone()));
                self.group_of.insert(name.clone(), (group, record.created));
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
            affected.extend(contenders.take(concerned).map(|(_, name)| name.clone()));
        }
        affected.into_iter().map(ObjectKey::api_service).collect()
    }

    /// The other objects that publish the same group and version.
    pub(super) fn rivals(&self, name: &str) -> Rivals<'_> {
        let entry = self
            .group_of
            .get(name)
            .and_then(|(group, created)| Some((self.contenders.get(group)?, created)));
        let Some((contenders, created)) = entry else {
            return Rivals::default();
        };
        match contenders.first() {
            Some((first, winner)) if winner != name => {
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
                    first: contenders.iter().nth(1).map(|(_, name)| name.as_str()),
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

pub(super) fn compile(record: &Record<APIServiceSpec>, index: &Index, rivals: &Rivals<'_>) -> Compiled {
    let object = ObjectRef::new(
        ObjectKey::api_service(&record.name),
        record.uid.as_str(),
        record.generation,
    );
    let published = published(record);
    let prefix = published
        .as_ref()
        .map_or_else(String::new, |(group, version)| prefix(group, version));
    let mut verdict = Verdict {
        object: object.clone(),
        accepted: Finding::yes(
            reason::ACCEPTED,
            format!("the specification is valid and {prefix} is its own"),
        ),
        resolved: Finding::no(reason::INVALID, "not looked at, because the object is not valid"),
        sent: false,
        backend: Backend::None,
        columns: Columns {
            prefix: prefix.clone(),
            upstream: record
                .spec
                .as_ref()
                .map(|s| upstream::display(&s.endpoint))
                .unwrap_or_default(),
        },
    };
    let spec = record.spec.as_ref().map_err(|e| vec![e.message.clone()]);
    let checked = spec.and_then(|spec| Ok((spec, upstream::validate(&spec.endpoint, "spec")?)));
    let resolved = checked.as_ref().ok().map(|(_, endpoint)| endpoint.resolve(index));
    if let Some(resolved) = &resolved {
        verdict.resolved = resolved.finding.clone();
    }
    let Some((group, version)) = published else {
        let problems = checked
            .err()
            .unwrap_or_else(|| vec!["spec.version: is empty; give one, such as v1".into()]);
        verdict.accepted = Finding::no(reason::INVALID, problems.join("; "));
        return Compiled {
            verdict,
            route: None,
            needs: resolved.and_then(|r| r.needs),
            bundle: None,
        };
    };
    if let Some((winner, rule)) = &rivals.winner {
        let message = format!("{prefix} belongs to APIService {winner}, which wins because {rule}");
        verdict.accepted = Finding::no(reason::CONFLICTED, message);
        return Compiled {
            verdict,
            route: None,
            needs: resolved.and_then(|r| r.needs),
            bundle: None,
        };
    }
    verdict.sent = true;
    let mut needs = None;
    let mut bundle = None;
    let mut forward_authorization = false;
    let action = match (checked, resolved) {
        (Ok((spec, endpoint)), Some(resolved)) => {
            super::remark(
                &mut verdict.accepted,
                [super::won(rivals.losers, "APIService"), endpoint.remark],
            );
            forward_authorization = spec.forward_authorization.unwrap_or(false);
            needs = resolved.needs;
            match resolved.upstream {
                Some(upstream) => {
                    bundle = endpoint.bundle;
                    verdict.backend = resolved.backend;
                    Action::Forward(upstream)
                }
                None => Action::Unavailable(unavailable(&resolved.finding)),
            }
        }
        (checked, _) => {
            let problems = checked.err().unwrap_or_default();
            verdict.accepted = Finding::no(reason::INVALID, problems.join("; "));
            let action = Action::Unavailable(unavailable(&verdict.accepted));
            let won = super::won(rivals.losers, "APIService");
            super::remark(&mut verdict.accepted, [won, None]);
            action
        }
    };
    let route = Route {
        object,
        matcher: Matcher::ApiService { group, version },
        directives: None,
        action,
        forward_authorization,
        secrets: Vec::new(),
    };
    Compiled {
        verdict,
        route: Some(route),
        needs,
        bundle,
    }
}

/// Where requests find it.
fn prefix(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("/kapi/{version}")
    } else {
        format!("/kapis/{group}/{version}")
    }
}

/// Group and version, also of a specification that cannot be read as a whole.
fn published(record: &Record<APIServiceSpec>) -> Option<(String, String)> {
    match &record.spec {
        Ok(spec) => Some((spec.group.clone(), spec.version.clone())),
        Err(unreadable) => {
            let text = |name: &str| unreadable.raw[name].as_str().map(str::to_string);
            Some((text("group").unwrap_or_default(), text("version")?))
        }
    }
    .filter(|(_, version)| !version.is_empty())
}
