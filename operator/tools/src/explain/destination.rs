//! A published object, as the decision wants it.

use std::sync::OnceLock;

use genkan_routing::Directives;
use genkan_routing::decide::{self, Backend};
use genkan_routing::model::{Action, Matcher, Route, Unavailable};

/// A route, and its directives once somebody asked for them: an answer is about one route of many.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) route: Route,
    title: String,
    /// Absent for kinds that have none.
    directives: OnceLock<Result<Option<Directives>, Unavailable>>,
}

// === impl Destination ===

impl Destination {
    pub(super) fn new(route: Route) -> Self {
        Self {
            title: route.object.key.title(),
            route,
            directives: OnceLock::new(),
        }
    }

    fn directives(&self) -> Result<Option<&Directives>, &Unavailable> {
        let compiled = self.directives.get_or_init(|| compile(&self.route));
        compiled.as_ref().map(Option::as_ref)
    }
}

impl decide::Destination for Destination {
    fn title(&self) -> &str {
        &self.title
    }

    fn matcher(&self) -> &Matcher {
        &self.route.matcher
    }

    fn introduces_caller(&self) -> bool {
        self.route.introduces_caller()
    }

    fn forwards_authorization(&self) -> bool {
        self.route.forward_authorization
    }

    fn backend(&self) -> Result<Backend<'_>, &Unavailable> {
        match &self.route.action {
            Action::Forward(upstream) => Ok(Backend {
                base_path: &upstream.base_path,
                directives: self.directives()?,
            }),
            Action::Unavailable(why) => Err(why),
        }
    }
}

fn compile(route: &Route) -> Result<Option<Directives>, Unavailable> {
    if matches!(route.matcher, Matcher::ApiService { .. }) {
        return Ok(None);
    }
    let spec = route.directives.clone().unwrap_or_default();
    Directives::compile(&spec).map(Some).map_err(|problems| {
        let reasons = problems.iter().map(|p| format!("{}: {}", p.field, p.reason));
        Unavailable::new("Invalid", reasons.collect::<Vec<_>>().join("; "))
    })
}
