use std::collections::BTreeSet;

use genkan_routing::model::{Matcher, ObjectKey};
use genkan_routing::precedence::Claim;

use super::Compiler;
use crate::index::Index;
use crate::object::Record;

// === impl Compiler ===

impl Compiler {
    /// Renews the claims of objects on paths below `/proxy`. Returns every object of which the standing, or what it wins
    /// over, may have changed.
    pub(super) fn claim(&mut self, index: &Index, objects: &BTreeSet<ObjectKey>) -> BTreeSet<ObjectKey> {
        let changes = objects.iter().map(|key| {
            let record = index.published.get(key).filter(|r| !r.console);
            (key.clone(), record.and_then(|record| claim(record)))
        });
        self.claims.renew(changes)
    }
}

fn claim(record: &Record) -> Option<Claim> {
    match record.matcher.as_ref()? {
        Matcher::ReverseProxy { path, method } => Some(Claim {
            object: record.key.clone(),
            path: path.clone(),
            method: method.clone(),
            created: record.created,
        }),
        Matcher::ApiService { .. } | Matcher::Connector { .. } | Matcher::ConnectorClass { .. } => None,
    }
}
