use std::collections::BTreeSet;

use genkan_crds::ReverseProxySpec;
use genkan_crds::condition::reason;
use genkan_routing::directives::{DirectiveSpec, Directives};
use genkan_routing::model::{self, Action, ObjectKey, ObjectRef, Route};
use genkan_routing::precedence::{Claim, Claims, Standing};

use super::expressions::Refusal;
use super::{Compiled, Compiler, unavailable, upstream};
use crate::index::Index;
use crate::object::Record;
use crate::verdict::{Backend, Columns, Finding, Verdict};

/// What a request is compared with.
#[derive(Debug)]
pub struct Matcher {
    pub path: String,
    pub method: String,
}

// === impl Compiler ===

impl Compiler {
    /// Renews the claims of objects on their matches. Returns every object of which the standing, or what it wins over,
    /// may have changed.
    pub(super) fn claim(&mut self, index: &Index, names: &BTreeSet<String>) -> BTreeSet<ObjectKey> {
        let changes = names.iter().map(|name| {
            let record = index.reverse_proxies.get(name).filter(|r| !r.console);
            let claim = record.and_then(|record| {
                let matcher = matcher(record)?;
                Some(Claim {
                    name: name.clone(),
                    path: matcher.path,
                    method: matcher.method,
                    created: record.created,
                })
            });
            (name.clone(), claim)
        });
        let affected = self.claims.renew(changes);
        affected.into_iter().map(ObjectKey::reverse_proxy).collect()
    }
}

pub(super) fn compile(
    record: &Record<ReverseProxySpec>,
    index: &Index,
    claims: &Claims,
    refusal: Option<Refusal>,
) -> Compiled {
    let object = ObjectRef::new(
        ObjectKey::reverse_proxy(&record.name),
        record.uid.as_str(),
        record.generation,
    );
    let mut verdict = Verdict {
        object: object.clone(),
        accepted: Finding::yes(
            reason::ACCEPTED,
            "the specification is valid and no other object takes its requests",
        ),
        resolved: Finding::no(reason::INVALID, "not looked at, because the object is not valid"),
        sent: false,
        backend: Backend::None,
        columns: Columns {
            prefix: String::new(),
            upstream: record
                .spec
                .as_ref()
                .map(|s| upstream::display(&s.upstream))
                .unwrap_or_default(),
        },
    };
    let checked = check(record);
    let resolved = checked.as_ref().ok().map(|c| c.endpoint.resolve(index));
    if let Some(resolved) = &resolved {
        verdict.resolved = resolved.finding.clone();
    }
    let Some(matcher) = matcher(record) else {
        let problems = checked.err().unwrap_or_default();
        verdict.accepted = Finding::no(reason::INVALID, problems.join("; "));
        return Compiled {
            verdict,
            route: None,
            needs: resolved.and_then(|r| r.needs),
            bundle: None,
        };
    };
    if let Some(finding) = standing(record, &matcher, claims) {
        verdict.accepted = finding;
        return Compiled {
            verdict,
            route: None,
            needs: resolved.and_then(|r| r.needs),
            bundle: None,
        };
    }
    verdict.sent = true;
    let mut directives = None;
    let mut forward_authorization = false;
    let mut needs = None;
    let mut bundle = None;
    let action = match (checked, resolved) {
        (Ok(_), Some(resolved)) if let Some(refusal) = refusal => {
            verdict.accepted = Finding::no(reason::OVER_BUDGET, refusal.to_string());
            needs = resolved.needs;
            Action::Unavailable(unavailable(&verdict.accepted))
        }
        (Ok(checked), Some(resolved)) => {
            let told = [
                super::won(claims.losers(&record.name), "ReverseProxy"),
                checked.endpoint.remark.clone(),
            ];
            super::remark(&mut verdict.accepted, told);
            forward_authorization = checked.forward_authorization;
            needs = resolved.needs;
            match resolved.upstream {
                Some(upstream) => {
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
            let won = super::won(claims.losers(&record.name), "ReverseProxy");
            super::remark(&mut verdict.accepted, [won, None]);
            action
        }
    };
    let route = Route {
        object,
        matcher: model::Matcher::ReverseProxy {
            path: matcher.path,
            method: matcher.method,
        },
        directives,
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

struct Checked {
    endpoint: upstream::Valid,
    directives: Option<DirectiveSpec>,
    forward_authorization: bool,
}

/// Everything that can be said about the object alone.
fn check(record: &Record<ReverseProxySpec>) -> Result<Checked, Vec<String>> {
    let spec = record.spec.as_ref().map_err(|e| vec![e.message.clone()])?;
    let directives = spec.directives.as_ref().map(rules);
    let mut problems = Vec::new();
    if spec.matcher.method.is_empty() {
        problems.push("spec.matcher.method: is empty; give a method, or * for any".to_string());
    }
    if let Some(Err(found)) = directives.as_ref().map(Directives::compile) {
        problems.extend(
            found
                .into_iter()
                .map(|p| format!("spec.{}: {}", p.field, p.reason)),
        );
    }
    match upstream::validate(&spec.upstream, "spec.upstream") {
        Ok(endpoint) if problems.is_empty() => Ok(Checked {
            endpoint,
            directives,
            forward_authorization: spec.forward_authorization.unwrap_or(false),
        }),
        Ok(_) => Err(problems),
        Err(found) => {
            problems.extend(found);
            Err(problems)
        }
    }
}

/// The matcher, also of a specification that cannot be read as a whole.
pub fn matcher(record: &Record<ReverseProxySpec>) -> Option<Matcher> {
    match &record.spec {
        Ok(spec) => Some(Matcher {
            path: spec.matcher.path.clone(),
            method: spec.matcher.method.clone(),
        }),
        Err(unreadable) => {
            let text = |name: &str| unreadable.raw["matcher"][name].as_str().map(str::to_string);
            Some(Matcher {
                path: text("path")?,
                method: text("method")?,
            })
        }
    }
    .filter(|m| !m.method.is_empty())
}

/// Why the object is not served although nothing is wrong with it; `None` if it is.
fn standing(record: &Record<ReverseProxySpec>, matcher: &Matcher, claims: &Claims) -> Option<Finding> {
    if record.console {
        let message = "the label kubesphere.io/reverse-proxy-target: ks-console leaves it to the console; \
                       remove the label to serve it here";
        return Some(Finding::no(reason::HANDLED_ELSEWHERE, message));
    }
    let Matcher { path, method } = matcher;
    match claims.standing(&record.name) {
        None | Some(Standing::Wins) => None,
        Some(Standing::Conflicted { winner, rule }) => {
            let message =
                format!("{method} {path} belongs to ReverseProxy {winner}, which wins because {rule}");
            Some(Finding::no(reason::CONFLICTED, message))
        }
        Some(Standing::Shadowed { winner, rule }) => {
            let message = format!(
                "every request for {method} {path} goes to ReverseProxy {winner}, which wins because {rule}"
            );
            Some(Finding::no(reason::SHADOWED, message))
        }
        Some(Standing::Unreachable { reason }) => {
            let message = format!("no request can reach spec.matcher.path {path:?}: {reason}");
            Some(Finding::no(reason::SHADOWED, message))
        }
    }
}

/// The directives in the words of the routing library.
pub fn rules(spec: &genkan_crds::Directives) -> DirectiveSpec {
    let list = |items: &Option<Vec<String>>| items.clone().unwrap_or_default();
    DirectiveSpec {
        method: spec.method.clone(),
        strip_path_prefix: spec.strip_path_prefix.clone(),
        strip_path_suffix: spec.strip_path_suffix.clone(),
        header_up: list(&spec.header_up),
        header_down: list(&spec.header_down),
        rewrite: list(&spec.rewrite),
        replace: list(&spec.replace),
        path_regexp: list(&spec.path_regexp),
        auth_proxy: spec.auth_proxy.unwrap_or(false),
        wrap_transport: spec.wrap_transport.unwrap_or(false),
        reject_forwarding_redirects: spec.reject_forwarding_redirects.unwrap_or(false),
    }
}
