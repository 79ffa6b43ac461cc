//! One published object: what it comes to by itself, among its rivals, and with what it refers to.

use genkan_crds::condition::reason;
use genkan_routing::directives::{DirectiveSpec, Directives};
use genkan_routing::model::{Action, Matcher, ObjectKey, ObjectRef, Role, Route};
use genkan_routing::precedence::{Losers, Standing};
use genkan_routing::public::Fronting;
use serde_json::Map;

use super::{Compiled, Compiler, unavailable, upstream, urls};
use crate::index::Index;
use crate::kinds::{self, Form, Spec};
use crate::object::Record;
use crate::sentence::bounded;
use crate::verdict::{Backend, Finding, MAX_MESSAGE, Verdict};

/// What an object comes to among those that ask for the same requests.
struct Rank<'c> {
    /// Why it is not served although nothing is wrong with it.
    lost: Option<Finding>,
    losers: Losers<'c>,
}

/// What is left of a specification that is valid by itself.
struct Checked {
    endpoint: upstream::Valid,
    fronting: Fronting,
    directives: Option<DirectiveSpec>,
    forward_authorization: bool,
}

// === impl Compiler ===

impl Compiler {
    pub(super) fn published(&self, record: &Record, index: &Index) -> Compiled {
        let object = ObjectRef::new(record.key.clone(), record.uid.as_str(), record.generation);
        let mut verdict = Verdict {
            object: object.clone(),
            accepted: Finding::yes(reason::ACCEPTED, accepted(record)),
            resolved: Finding::no(reason::INVALID, "not looked at, because the object is not valid"),
            sent: false,
            backend: Backend::None,
            columns: columns(record),
            members: Map::new(),
            tool: None,
            extension: None,
        };
        let checked = check(record);
        let resolved = checked.as_ref().ok().map(|c| c.endpoint.resolve(index));
        if let Some(resolved) = &resolved {
            verdict.resolved = resolved.finding.clone();
        }
        let absent = |verdict| Compiled {
            verdict,
            route: None,
            policy: None,
            needs: resolved.iter().filter_map(|r| r.needs.clone()).collect(),
            bundle: None,
            plans: Vec::new(),
        };
        let Some(matcher) = &record.matcher else {
            let problems = checked.err().unwrap_or_default();
            verdict.accepted = Finding::no(reason::INVALID, problems.join("; "));
            return absent(verdict);
        };
        let rank = self.rank(record, matcher);
        if let Some(finding) = rank.lost {
            verdict.accepted = finding;
            return absent(verdict);
        }
        verdict.sent = true;
        let mut directives = None;
        let mut forward_authorization = false;
        let mut needs = None;
        let mut bundle = None;
        let strips = checked.as_ref().ok().and_then(|c| c.directives.as_ref());
        let strips = strips.and_then(|directives| directives.strip_path_prefix.clone());
        let strips = strips.unwrap_or_default();
        let action = match (checked, resolved) {
            (Ok(_), Some(resolved)) if let Some(refusal) = self.expressions.refusal(&record.key) => {
                verdict.accepted = Finding::no(reason::OVER_BUDGET, refusal.to_string());
                needs = resolved.needs;
                Action::Unavailable(unavailable(&verdict.accepted))
            }
            (Ok(checked), Some(resolved)) => {
                remark(&mut verdict.accepted, [won(rank.losers), checked.endpoint.remark]);
                forward_authorization = checked.forward_authorization;
                needs = resolved.needs;
                match resolved.upstream {
                    Some(mut upstream) => {
                        upstream.fronting = checked.fronting;
                        bundle = checked.endpoint.bundle;
                        directives = checked.directives;
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
                remark(&mut verdict.accepted, [won(rank.losers), None]);
                action
            }
        };
        if verdict.accepted.ok {
            let urls = urls::of(&self.front, matcher, &strips);
            if !urls.is_empty() {
                verdict.members.insert("urls".to_owned(), urls.into());
            }
        }
        let route = Route {
            object,
            matcher: matcher.clone(),
            directives,
            action,
            forward_authorization,
            secrets: Vec::new(),
            role: Role::None,
            policies: None,
        };
        Compiled {
            verdict,
            route: Some(route),
            needs: needs.into_iter().collect(),
            bundle,
            policy: None,
            plans: Vec::new(),
        }
    }

    fn rank(&self, record: &Record, matcher: &Matcher) -> Rank<'_> {
        match matcher {
            Matcher::ReverseProxy { path, .. } => Rank {
                lost: self.outdone(record, matcher, path),
                losers: self.claims.losers(&record.key),
            },
            // Names are nobody else's.
            Matcher::Connector { .. } | Matcher::ConnectorClass { .. } => Rank {
                lost: None,
                losers: self.claims.losers(&record.key),
            },
            Matcher::ApiService { .. } => {
                let rivals = self.groups.rivals(&record.key);
                let lost = rivals
                    .winner
                    .map(|(winner, rule)| conflicted(matcher, winner, rule));
                Rank {
                    lost,
                    losers: rivals.losers,
                }
            }
        }
    }

    fn outdone(&self, record: &Record, matcher: &Matcher, path: &str) -> Option<Finding> {
        if record.console {
            let message = "the label kubesphere.io/reverse-proxy-target: ks-console leaves it to the console; \
                           remove the label to serve it here";
            return Some(Finding::no(reason::HANDLED_ELSEWHERE, message));
        }
        match self.claims.standing(&record.key) {
            None | Some(Standing::Wins) => None,
            Some(Standing::Conflicted { winner, rule }) => Some(conflicted(matcher, &winner, rule)),
            Some(Standing::Shadowed { winner, rule }) => {
                let winner = winner.title();
                let message =
                    format!("every request for {matcher} goes to {winner}, which wins because {rule}");
                Some(Finding::no(reason::SHADOWED, message))
            }
            Some(Standing::Unreachable { reason }) => {
                let field = kinds::of(record.key.kind).matched;
                let message = format!("no request can reach {field} {path:?}: {reason}");
                Some(Finding::no(reason::SHADOWED, message))
            }
        }
    }
}

fn conflicted(matcher: &Matcher, winner: &ObjectKey, rule: &str) -> Finding {
    let winner = winner.title();
    let message = format!("{matcher} belongs to {winner}, which wins because {rule}");
    Finding::no(reason::CONFLICTED, message)
}

/// Everything that can be said about the object alone.
fn check(record: &Record) -> Result<Checked, Vec<String>> {
    let spec = record.spec.as_ref().map_err(|message| vec![message.clone()])?;
    let Form { endpoint, .. } = kinds::of(record.key.kind);
    let mut problems = spec.problems.clone();
    if let Some(Err(found)) = spec.directives.as_ref().map(Directives::compile) {
        problems.extend(
            found
                .into_iter()
                .map(|p| format!("spec.{}: {}", p.field, p.reason)),
        );
    }
    match upstream::validate(&spec.endpoint, endpoint) {
        Ok(endpoint) if problems.is_empty() => Ok(Checked {
            endpoint,
            directives: spec.directives.clone(),
            fronting: spec.fronting.clone(),
            forward_authorization: spec.forward_authorization,
        }),
        Ok(_) => Err(problems),
        Err(found) => {
            problems.extend(found);
            Err(problems)
        }
    }
}

fn accepted(record: &Record) -> String {
    match &record.matcher {
        Some(matcher @ Matcher::ApiService { .. }) => {
            format!("the specification is valid and {matcher} is its own")
        }
        Some(Matcher::ReverseProxy { .. } | Matcher::Connector { .. } | Matcher::ConnectorClass { .. })
        | None => "the specification is valid and no other object takes its requests".to_owned(),
    }
}

fn columns(record: &Record) -> Vec<(&'static str, String)> {
    let to = |spec: &Spec| upstream::display(&spec.endpoint);
    let backend = record.spec.as_ref().map(to).unwrap_or_default();
    let mut columns = vec![(kinds::of(record.key.kind).column, backend)];
    match &record.matcher {
        Some(matcher @ Matcher::ApiService { .. }) => columns.push(("prefix", matcher.to_string())),
        Some(Matcher::ReverseProxy { .. } | Matcher::Connector { .. } | Matcher::ConnectorClass { .. })
        | None => {}
    }
    columns
}

/// The winner of a conflict learns of it as well.
fn won(losers: Losers<'_>) -> Option<String> {
    let first = losers.first?.title();
    let more = match losers.count {
        0 | 1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    Some(format!(
        "it wins over {first}{more}, which asks for the same requests"
    ))
}

/// Adds what is worth saying although nothing is wrong.
fn remark(finding: &mut Finding, told: [Option<String>; 2]) {
    for sentence in told.into_iter().flatten() {
        *finding = Finding {
            message: bounded(format!("{}; {sentence}", finding.message), MAX_MESSAGE),
            ..*finding
        };
    }
}
