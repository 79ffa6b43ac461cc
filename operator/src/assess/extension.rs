//! What is said of a GatewayExtension: conditions and columns, and its entries one by one.

use genkan_compile::sentence::bounded;
use genkan_compile::verdict::{EntryVerdict, ExtensionVerdict, Finding, Verdict};
use genkan_crds::condition::{kind, reason};
use genkan_extensions::Deploy;
use genkan_extensions::status::{Condition, EntryState, EntryStatus, Observed, RolloutStatus, status};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{Assessment, Finality, programmed};
use crate::fleet::Fleet;
use crate::snapshot::Since;

/// Of lists.
const MOST_NAMED: usize = 16;
/// Bytes of one text.
const LONGEST: usize = 1024;

/// How far the deferred entries of an extension are.
#[derive(Clone, Debug, PartialEq)]
pub struct Rolling {
    pub status: RolloutStatus,
    /// Data planes that have the revision that is meant.
    pub deployed: usize,
    /// The one in hand.
    pub pod: Option<String>,
    pub phase: &'static str,
    /// What the operator has to know of it when it starts again.
    pub memory: String,
    pub stage: Option<&'static str>,
}

pub(super) fn assess(
    verdict: &Verdict,
    said: &ExtensionVerdict,
    since: Option<Since>,
    fleet: &Fleet,
    rolling: Option<&Rolling>,
    now: Instant,
) -> Assessment {
    let (mut ready, mut counted, mut standing) = (0, fleet.counted(), Finality::Settled);
    let mut rejected = None;
    if let Some(since) = since.filter(|_| verdict.sent) {
        let progress = fleet.progress(&verdict.object, since, now);
        (ready, counted) = (progress.ready, progress.counted);
        rejected = progress
            .rejected
            .as_ref()
            .map(|(proxy, objection)| format!("proxy {proxy} cannot build it: {}", objection.message));
        (_, standing) = programmed(&progress, since, now);
    }
    let deployed = |entry: &EntryVerdict| match (entry.deploy, rolling) {
        (Deploy::Deferred, Some(rolling)) => rolling.deployed.min(counted),
        (Deploy::Deferred | Deploy::Immediate, _) => ready,
    };
    let state = |entry: &EntryVerdict| {
        if entry.state != EntryState::Accepted {
            return entry.state;
        }
        let deployed = deployed(entry);
        match () {
            () if rejected.is_some() => EntryState::Degraded,
            () if counted > 0 && deployed == counted => EntryState::Deployed,
            () if deployed > 0 => EntryState::Deploying,
            () => entry.state,
        }
    };
    let message = |entry: &EntryVerdict| entry.message.clone().map(|text| bounded(text, LONGEST));
    let observed = Observed {
        entries: (said.entries.iter())
            .map(|entry| EntryStatus {
                name: entry.name.clone(),
                state: state(entry),
                deployed: deployed(entry),
                reason: entry.reason.clone(),
                message: message(entry).or_else(|| rejected.clone()),
            })
            .collect(),
        pods: counted,
        rollout: rolling.map(|rolling| rolling.status.clone()),
        archive_error: said.archive_error.clone(),
        unresolved: said.unresolved.clone(),
        skipped: said.skipped.clone(),
        converted_from_legacy: said.is_from_legacy,
    };
    let (conditions, columns) = status(&observed);
    let mut conditions: Vec<(&'static str, Finding)> = conditions.iter().map(finding).collect();
    if said.is_pending || said.is_suspended {
        let (reason, message) = match said.is_suspended {
            true => (
                reason::SUSPENDED,
                "spec.suspend is true: nothing is read or changed",
            ),
            false => (
                reason::PENDING,
                "something that it names has not been looked at yet",
            ),
        };
        for (of, finding) in &mut conditions {
            if [kind::ACCEPTED, kind::READY].contains(of) {
                *finding = Finding::no(reason, message);
            }
        }
    }
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
    if let Some(target) = said.target() {
        put("revision", json!(target.id));
    }
    if let Some(stable) = &said.stable {
        put("stableRevision", json!(stable));
    }
    let revisions: Vec<String> = said.history.iter().map(|revision| revision.id.clone()).collect();
    for (name, list) in [
        ("revisions", &revisions),
        ("plan", &said.plan),
        ("warnings", &said.warnings),
        ("usedBy", &said.used_by),
    ] {
        let few = list.iter().take(MOST_NAMED);
        let few: Vec<String> = few.map(|text| bounded(text.clone(), LONGEST)).collect();
        if !few.is_empty() {
            put(name, json!(few));
        }
    }
    put("usedByCount", json!(said.used_by.len()));
    put(
        "columns",
        json!({"entries": columns.entries, "deployed": columns.deployed, "rollout": columns.rollout}),
    );
    if let Some(rolling) = rolling {
        let mut rollout = json!({"phase": rolling.phase, "done": rolling.deployed, "memory": rolling.memory});
        if let Some(pod) = &rolling.pod {
            rollout["pod"] = json!(pod);
        }
        if let Some(stage) = rolling.stage {
            rollout["stage"] = json!(stage);
        }
        put("rollout", rollout);
    }
    let entries = said.entries.iter().map(|entry| {
        let mut told = json!({
            "name": entry.name, "type": entry.kind, "deploy": format!("{:?}", entry.deploy), "order": entry.order,
            "state": format!("{:?}", state(entry)), "deployed": format!("{}/{counted}", deployed(entry)),
        });
        let optional = [
            ("digest", entry.digest.as_ref().map(|digest| json!(digest))),
            ("reason", entry.reason.as_ref().map(|reason| json!(reason))),
            ("message", message(entry).map(|message| json!(message))),
            ("provides", (!entry.provides.is_empty()).then(|| json!(entry.provides))),
        ];
        for (name, value) in optional.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            told[name] = value;
        }
        told
    });
    put("entries", entries.collect());
    Assessment {
        conditions,
        tool: Vec::new(),
        proxies: format!("{ready}/{counted}"),
        standing,
        used_at: None,
        members,
    }
}

fn finding(condition: &Condition) -> (&'static str, Finding) {
    let of = match condition.status {
        true => Finding::yes(known(&condition.reason), condition.message.as_str()),
        false => Finding::no(known(&condition.reason), condition.message.as_str()),
    };
    (condition.kind, of)
}

/// The words of the API; what is none of them is no reason of this version.
fn known(word: &str) -> &'static str {
    use genkan_crds::condition::extension as of;
    const WORDS: [&str; 32] = [
        of::ARCHIVE_INVALID,
        of::NO_MANIFEST,
        of::MANIFEST_INVALID,
        of::DUPLICATE_SINGLETON,
        of::DIGEST_MISMATCH,
        of::POLICY_INVALID,
        of::SCRIPT_INVALID,
        of::EXPORT_INVALID,
        of::OVERRIDE_INVALID,
        of::SOURCE_NOT_FOUND,
        of::SOURCE_UNREACHABLE,
        of::DEPLOYED,
        of::ROLLING_OUT,
        of::AWAITING_APPROVAL,
        of::PAUSED,
        of::ROLLED_BACK,
        of::BLOCKED,
        of::NOT_ACCEPTED,
        of::UNSUPPORTED_SKIPPED,
        of::FILESTORE,
        reason::ACCEPTED,
        reason::RESOLVED_REFS,
        reason::READY,
        reason::SECRET_NOT_FOUND,
        reason::REF_NOT_PERMITTED,
        reason::LIMIT_EXCEEDED,
        reason::UNSUPPORTED,
        reason::CONFLICTED,
        reason::NO_PROXIES,
        reason::WAITING_FOR_PROXIES,
        reason::REJECTED_BY_PROXY,
        reason::INVALID,
    ];
    WORDS
        .into_iter()
        .find(|known| *known == word)
        .unwrap_or(reason::INVALID)
}
