//! The engine's way from assessments to status writes.

use genkan_compile::verdict::{Backend, Verdict};
use genkan_routing::model::{Escape, ObjectKey};
use serde_json::Value;
use tokio::time::Instant;

use super::{ESCAPES, Engine};
use crate::assess::{Finality, assess};
use crate::input::WriteOutcome;
use crate::status::{Write, differs};

/// The object as it was last seen.
struct Stored<'r> {
    resource_version: &'r str,
    manager: &'r str,
    status: Value,
}

impl Engine {
    pub(super) fn assess_all(&mut self, now: Instant) {
        let all: Vec<ObjectKey> = self.compiler.verdicts().map(|(key, _)| key.clone()).collect();
        self.assess_each(all, now);
    }

    pub(super) fn assess_each(&mut self, keys: impl IntoIterator<Item = ObjectKey>, now: Instant) {
        for key in keys {
            self.assess(key, now);
        }
    }

    fn assess(&mut self, key: ObjectKey, now: Instant) {
        let Some(verdict) = self.compiler.verdict(&key) else {
            self.waiting.remove(&key);
            return;
        };
        // A verdict of another object, or of another generation, says nothing about what is stored now; the compile that
        // is due will.
        let Some(Stored {
            resource_version,
            manager,
            status: stored,
        }) = self.stored(&key, verdict)
        else {
            self.waiting.remove(&key);
            return;
        };
        let set = match &verdict.backend {
            Backend::Endpoints(set) => self.sets.get(set).copied(),
            Backend::Host(_) | Backend::None => None,
        };
        let extension = verdict.extension.as_ref();
        let rolling = extension.and_then(|_| self.extensions.rolling(&key.name));
        let since = self.feed.resources().since(&verdict.object.key.clone().into());
        let mut assessment = assess(verdict, since, &self.fleet, set, rolling.as_ref(), now);
        let mut settled = None;
        if let (Some(said), Some(since)) = (extension, since) {
            let progress = self.fleet.progress(&verdict.object, since, now);
            if progress.counted > 0 && progress.ready == progress.counted {
                let target = said.target().into_iter();
                let entries = target.flat_map(|target| &target.entries);
                let taken = entries.map(|entry| entry.digest.as_str().to_owned());
                settled = Some(taken.collect());
            }
        }
        assessment.used_at = self.used.get(&key).copied();
        let escaped = self.escaped.get(&key);
        let mut ends = None;
        // Those who do not tell of it again an hour later may have mended it.
        let is_told = |(escape, at): &&(Escape, Instant)| {
            escape.object == verdict.object && now < *at + ESCAPES + ESCAPES
        };
        if let Some((escape, at)) = escaped.filter(is_told) {
            ends = Some(*at + ESCAPES + ESCAPES);
            let record = self.index.published.get(&key).map(AsRef::as_ref);
            assessment.add_escape(verdict, record, escape);
        }
        self.metrics.ready(&key, assessment.is_ready());
        let hold = match assessment.standing {
            Finality::Pending { first, .. } => first || assessment.was_programmed(verdict, &stored),
            Finality::Settled | Finality::Waiting => false,
        };
        if !hold && self.leading {
            let status = assessment.status(verdict, &stored, jiff::Timestamp::now());
            if differs(&status, &stored) {
                let write = Write {
                    uid: verdict.object.uid.clone(),
                    resource_version: resource_version.to_string(),
                    before: stored,
                    manager: manager.to_owned(),
                    status,
                    is_interim: matches!(assessment.standing, Finality::Pending { .. }),
                };
                self.queue.put(key.clone(), write);
            } else {
                self.queue.remove(&key);
            }
        }
        if let Some(settled) = settled {
            self.settled.insert(key.name.clone(), settled);
        }
        match assessment.standing {
            Finality::Settled if ends.is_some() => self.waiting.insert(key, ends),
            Finality::Settled => self.waiting.remove(&key),
            Finality::Waiting => self.waiting.insert(key, None),
            Finality::Pending { again, .. } => self.waiting.insert(key, Some(again)),
        };
    }

    fn stored(&self, key: &ObjectKey, verdict: &Verdict) -> Option<Stored<'_>> {
        let record = self.index.published.get(key)?;
        let same = record.uid == verdict.object.uid && record.generation == verdict.object.generation;
        same.then_some(Stored {
            resource_version: &record.resource_version,
            manager: &record.manager,
            status: record.status.read(),
        })
    }

    pub(super) fn written(&mut self, outcome: WriteOutcome, now: Instant) {
        match outcome {
            WriteOutcome::Done {
                key,
                uid,
                before,
                after,
                status,
            } => {
                self.index.written(&key, &uid, &before, &after, &status);
                self.assess(key, now);
            }
            WriteOutcome::Refused { key, again } => {
                if self.compiler.verdict(&key).is_some() {
                    self.waiting.insert(key, Some(now + again));
                }
            }
        }
    }
}
