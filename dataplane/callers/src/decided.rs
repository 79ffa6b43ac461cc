use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What became of the questions of one kind: about tokens, or about access.
#[derive(Clone, Debug)]
pub struct Decided {
    known: Counter,
    stale: Counter,
    unknown: Counter,
    allowed: Counter,
    denied: Counter,
    failed: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SourceLabels {
    kind: &'static str,
    source: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    kind: &'static str,
    outcome: &'static str,
}

/// Those about tokens and those about access.
pub fn register(registry: &mut Registry) -> [Decided; 2] {
    let (decisions, reviews) = (
        Family::<SourceLabels, Counter>::default(),
        Family::<OutcomeLabels, Counter>::default(),
    );
    let help = "Decisions about callers by where they came from: the cache, an older answer while the API server is away, or a review";
    registry.register("decisions", help, decisions.clone());
    registry.register(
        "reviews",
        "Questions to the API server by outcome",
        reviews.clone(),
    );
    ["token", "access"].map(|kind| {
        let of = |source| decisions.get_or_create(&SourceLabels { kind, source }).clone();
        let with = |outcome| reviews.get_or_create(&OutcomeLabels { kind, outcome }).clone();
        Decided {
            known: of("cache"),
            stale: of("stale"),
            unknown: of("review"),
            allowed: with("allowed"),
            denied: with("denied"),
            failed: with("failed"),
        }
    })
}

// === impl Decided ===

impl Decided {
    /// Nobody had to be asked.
    pub fn known(&self, is_stale: bool) {
        match is_stale {
            true => self.stale.inc(),
            false => self.known.inc(),
        };
    }

    /// Somebody has to be asked.
    pub fn unknown(&self) {
        self.unknown.inc();
    }

    /// `None`: without an answer.
    pub fn reviewed(&self, is_allowed: Option<bool>) {
        match is_allowed {
            Some(true) => self.allowed.inc(),
            Some(false) => self.denied.inc(),
            None => self.failed.inc(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_there_from_the_start() {
        let mut registry = Registry::default();
        let [tokens, access] = register(&mut registry);
        tokens.known(true);
        access.reviewed(Some(false));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            r#"decisions_total{kind="token",source="stale"} 1"#,
            r#"decisions_total{kind="access",source="cache"} 0"#,
            r#"reviews_total{kind="access",outcome="denied"} 1"#,
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
