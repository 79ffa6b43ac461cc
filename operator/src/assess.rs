//! From a verdict and the fleet to the status of an object. Pure but for the clock, which is a parameter.

mod extension;
mod tool;

use std::time::Duration;

use genkan_compile::kinds;
use genkan_compile::object::Record;
use genkan_compile::sentence::bounded;
use genkan_compile::verdict::{Backend, Finding, MAX_MESSAGE, ToolCondition, Verdict};
use genkan_crds::condition::{kind, reason};
use genkan_routing::answer::escape;
use genkan_routing::model::{BackendState, Escape, Matcher, Published};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::fleet::{Fleet, GRACE, Rollout};
use crate::snapshot::Since;
pub use extension::Rolling;

/// A first acknowledgement is usually milliseconds away; waiting for it saves a write.
const PATIENCE: Duration = Duration::from_millis(100);

/// What is known about the endpoint set of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetState {
    pub usable: bool,
    /// When it last became usable.
    pub since: Since,
}

/// The conditions of an object, in their order.
#[derive(Debug, PartialEq, Eq)]
pub struct Assessment {
    pub conditions: Vec<(&'static str, Finding)>,
    /// Of kinds of Connectors, in place of those above; without `Ready`, which follows from them.
    pub tool: Vec<ToolCondition>,
    /// `2/3`.
    pub proxies: String,
    pub standing: Finality,
    /// When a request last carried its credential, as far as that is known; seconds since 1970.
    pub used_at: Option<u64>,
    /// Further members of the status.
    pub members: serde_json::Map<String, Value>,
}

/// How final an assessment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finality {
    /// Nothing more is expected.
    Settled,
    /// Proxies are expected to answer; look again then.
    Pending { again: Instant, first: bool },
    /// It waits for acknowledgements, without a date. What comes by other ways (reports, endpoints, proxies that come and
    /// go) tells of itself, and is not waited for.
    Waiting,
}

/// Looks at one object. `since`: when what proxies are sent of it last changed, if it is sent.
pub fn assess(
    verdict: &Verdict,
    since: Option<Since>,
    fleet: &Fleet,
    set: Option<SetState>,
    rolling: Option<&Rolling>,
    now: Instant,
) -> Assessment {
    if let Some(said) = &verdict.extension {
        return extension::assess(verdict, said, since, fleet, rolling, now);
    }
    let Some(since) = since.filter(|_| verdict.sent) else {
        let because = |what| {
            Finding::no(
                verdict.accepted.reason,
                format!("{what}: {}", verdict.accepted.message),
            )
        };
        return Assessment {
            tool: tool::unsent(verdict),
            conditions: vec![
                (kind::ACCEPTED, verdict.accepted.clone()),
                (kind::RESOLVED_REFS, verdict.resolved.clone()),
                (kind::PROGRAMMED, because("sent to no proxy")),
                (kind::READY, because("not served")),
            ],
            proxies: format!("0/{}", fleet.counted()),
            standing: Finality::Settled,
            used_at: None,
            members: serde_json::Map::new(),
        };
    };
    let progress = fleet.progress(&verdict.object, since, now);
    let (programmed, mut standing) = programmed(&progress, since, now);
    let (ready, more) = ready(verdict, &programmed, fleet, since, set, now);
    if standing == Finality::Settled {
        standing = more;
    }
    Assessment {
        tool: tool::conditions(verdict, &programmed, &ready),
        conditions: vec![
            (kind::ACCEPTED, verdict.accepted.clone()),
            (kind::RESOLVED_REFS, verdict.resolved.clone()),
            (kind::PROGRAMMED, programmed),
            (kind::READY, ready),
        ],
        proxies: format!("{}/{}", progress.ready, progress.counted),
        standing,
        used_at: None,
        members: serde_json::Map::new(),
    }
}

fn programmed(progress: &Rollout, since: Since, now: Instant) -> (Finding, Finality) {
    let Rollout { ready, counted, .. } = progress;
    if let Some((proxy, objection)) = &progress.rejected {
        let message = format!("proxy {proxy} cannot build it: {}", objection.message);
        let standing = match progress.behind_since {
            Some(_) => Finality::Waiting,
            None => Finality::Settled,
        };
        return (Finding::no(reason::REJECTED_BY_PROXY, message), standing);
    }
    if *counted == 0 {
        let age = now.duration_since(since.at);
        return if age < GRACE {
            let first = age < PATIENCE;
            let again = since.at + if first { PATIENCE } else { GRACE };
            let finding = Finding::no(reason::PENDING, "no data-plane process is connected yet");
            (finding, Finality::Pending { again, first })
        } else {
            let message =
                "no data-plane process is connected; see that the data plane runs and reaches the operator";
            (Finding::no(reason::NO_PROXIES, message), Finality::Settled)
        };
    }
    let Some(behind) = progress.behind_since else {
        let message = format!("{ready} of {counted} proxies serve this generation");
        return (Finding::yes(reason::PROGRAMMED, message), Finality::Settled);
    };
    let age = now.duration_since(behind);
    let names = match progress.waiting.as_slice() {
        [a, b, c, _, ..] => format!("{a}, {b}, {c} and more"),
        few => few.join(", "),
    };
    let message = format!("{ready} of {counted} proxies serve this generation; waiting for {names}");
    if age < GRACE {
        let first = age < PATIENCE;
        let again = behind + if first { PATIENCE } else { GRACE };
        (
            Finding::no(reason::PENDING, message),
            Finality::Pending { again, first },
        )
    } else {
        (
            Finding::no(reason::WAITING_FOR_PROXIES, message),
            Finality::Waiting,
        )
    }
}

fn ready(
    verdict: &Verdict,
    programmed: &Finding,
    fleet: &Fleet,
    since: Since,
    set: Option<SetState>,
    now: Instant,
) -> (Finding, Finality) {
    for finding in [&verdict.accepted, &verdict.resolved, programmed] {
        if !finding.ok {
            return (finding.clone(), Finality::Settled);
        }
    }
    let mut reports: Vec<_> = fleet.reports(&verdict.object, since, now).collect();
    reports.sort_by_key(|(_, report)| report.is_none());
    for (proxy, report) in reports.iter().filter_map(|(proxy, r)| Some((proxy, (*r)?))) {
        let reason = match report.state {
            BackendState::Unresolved => reason::HOST_UNRESOLVED,
            BackendState::Unreachable => reason::BACKEND_UNREACHABLE,
            BackendState::TlsFailed => reason::BACKEND_TLS_FAILED,
            BackendState::Reachable => continue,
        };
        return (
            Finding::no(reason, format!("proxy {proxy} reports: {}", report.error)),
            Finality::Settled,
        );
    }
    match &verdict.backend {
        Backend::Endpoints(key) => {
            let service = format!("{}/{}", key.namespace, key.service);
            let Some(set) = set.filter(|s| s.usable) else {
                let message = format!(
                    "Service {service} has no ready endpoint; see that its Pods run and pass their readiness probe"
                );
                return (
                    Finding::no(reason::NO_READY_ENDPOINTS, message),
                    Finality::Settled,
                );
            };
            let taken = fleet.taken(set.since, now);
            if taken.behind_since.is_some() {
                let message = format!("proxies are taking in the endpoints of Service {service}");
                return (Finding::no(reason::PENDING, message), Finality::Waiting);
            }
        }
        Backend::Host(host) => {
            if let Some((proxy, _)) = reports.iter().find(|(_, report)| report.is_none()) {
                let message = format!("proxy {proxy} has not reported on {host} yet");
                // As a rule it does so right behind its acknowledgement. What comes later tells of itself.
                let (again, first) = (since.at + PATIENCE, true);
                let standing = match now < again {
                    true => Finality::Pending { again, first },
                    false => Finality::Settled,
                };
                return (Finding::no(reason::PENDING, message), standing);
            }
        }
        Backend::None => {}
    }
    (
        Finding::yes(reason::READY, working(verdict.object.key.kind)),
        Finality::Settled,
    )
}

// === impl Assessment ===

impl Assessment {
    fn condition(&self, name: &str) -> Option<&Finding> {
        let found = self.conditions.iter().find(|(kind, _)| *kind == name);
        found.map(|(_, finding)| finding)
    }

    pub fn is_ready(&self) -> bool {
        if !self.tool.is_empty() {
            return self
                .tool
                .iter()
                .all(|condition| !condition.counts || condition.is_true == Some(true));
        }
        self.condition(kind::READY).is_some_and(|finding| finding.ok)
    }

    /// Says of an object that is ready what its pages ask for in vain.
    pub fn add_escape(&mut self, verdict: &Verdict, record: Option<&Record>, escape: &Escape) {
        let Some(Matcher::ReverseProxy { path, .. }) = record.and_then(|record| record.matcher.as_ref())
        else {
            return;
        };
        let prefix = path.trim_end_matches('*').trim_end_matches('/');
        let first = verdict.members.get("urls").and_then(|urls| urls[0].as_str());
        let origin = first.filter(|url| !url.contains("/proxy/"));
        let sentence = escape::sentence(&escape.object.key.name, &escape.path, prefix, origin);
        for (kind, finding) in &mut self.conditions {
            if *kind == kind::READY && finding.ok {
                finding.message = bounded(format!("{}; {sentence}", finding.message), MAX_MESSAGE);
            }
        }
    }

    /// The status to be written. Times of conditions whose status stays are kept from what is stored.
    pub fn status(&self, verdict: &Verdict, stored: &Value, now: jiff::Timestamp) -> Value {
        if let Some(said) = &verdict.tool {
            return tool::status(self, verdict, said, stored, now);
        }
        let condition = |(kind, finding): &(&'static str, Finding)| {
            let status = match (finding.ok, finding.reason) {
                (true, _) => "True",
                (false, reason::PENDING) => "Unknown",
                (false, _) => "False",
            };
            let old = stored_condition(stored, kind).filter(|c| c["status"] == status);
            let time = old
                .and_then(|c| c["lastTransitionTime"].as_str())
                .map(str::to_string);
            let time = time.unwrap_or_else(|| now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
            json!({
                "type": kind, "status": status, "reason": finding.reason, "message": finding.message,
                "observedGeneration": verdict.object.generation, "lastTransitionTime": time,
            })
        };
        let mut status = json!({
            "observedGeneration": verdict.object.generation,
            "conditions": self.conditions.iter().map(condition).collect::<Vec<_>>(),
        });
        if verdict.extension.is_none() {
            status["proxies"] = self.proxies.clone().into();
        }
        for (name, value) in &self.members {
            status[name] = value.clone();
        }
        if takes_requests(verdict.object.key.kind) {
            status["state"] = if self.is_ready() {
                "Available"
            } else {
                "Unavailable"
            }
            .into();
        }
        for (name, value) in &verdict.members {
            status[name] = value.clone();
        }
        for (name, text) in &verdict.columns {
            status[*name] = column(text);
        }
        status
    }

    /// The stored status holds for this generation, and says that every proxy serves it.
    pub fn was_programmed(&self, verdict: &Verdict, stored: &Value) -> bool {
        let same = |name: &str| {
            let pair = stored_condition(stored, name).zip(self.condition(name));
            pair.is_some_and(|(c, finding)| {
                c["status"] == if finding.ok { "True" } else { "False" } && c["reason"] == finding.reason
            })
        };
        stored["observedGeneration"] == verdict.object.generation
            && stored_condition(stored, kind::PROGRAMMED).is_some_and(|c| c["status"] == "True")
            && same(kind::ACCEPTED)
            && same(kind::RESOLVED_REFS)
    }
}

/// What `Ready` says.
fn working(kind: Published) -> &'static str {
    match takes_requests(kind) || kind == Published::Connector || kind == Published::ConnectorClass {
        true => "requests are answered",
        false => "it can be used",
    }
}

/// Its status says in one word whether it is served.
fn takes_requests(kind: Published) -> bool {
    kinds::of(kind).group == genkan_crds::GROUP
}

fn stored_condition<'s>(stored: &'s Value, kind: &str) -> Option<&'s Value> {
    stored["conditions"]
        .as_array()?
        .iter()
        .find(|c| c["type"] == kind)
}

/// What an author wrote may be as long as an object; a status that repeats it would not be stored.
fn column(text: &str) -> Value {
    bounded(text.to_string(), MAX_MESSAGE).into()
}

#[cfg(test)]
mod tests;
