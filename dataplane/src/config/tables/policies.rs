//! What is done to the requests of an object, and to their answers.

use std::fmt;
use std::sync::Arc;

use genkan_policies::Plan;
use genkan_routing::decide;
use genkan_routing::model::Unavailable;

/// The policies of one object as they are now: linked, or why they cannot be.
#[derive(Clone)]
pub struct Linked(Arc<Result<Plan, Broken>>);

/// Why there is no plan.
struct Broken {
    why: Unavailable,
    /// `EXT/ENTRY` whose step it is about.
    entry: Option<String>,
    /// Its steps, as they are written, judge `Authorization`: nobody else is asked about it either way.
    claims_authorization: bool,
}

// === impl Linked ===

impl Linked {
    pub fn new(plan: Plan) -> Self {
        Self(Arc::new(Ok(plan)))
    }

    /// `entry`: the `EXT/ENTRY` whose step is to blame, if one is.
    pub fn broken(why: Unavailable, entry: Option<String>, claims_authorization: bool) -> Self {
        Self(Arc::new(Err(Broken {
            why,
            entry,
            claims_authorization,
        })))
    }

    /// The entry of an extension that stands in the way, and how.
    pub fn fault(&self) -> Option<(&str, &Unavailable)> {
        let broken = self.0.as_ref().as_ref().err()?;
        Some((broken.entry.as_deref()?, &broken.why))
    }

    /// # Errors
    /// Why nothing of the object can be served.
    pub fn plan(&self) -> Result<&Plan, &Unavailable> {
        self.0.as_ref().as_ref().map_err(|broken| &broken.why)
    }
}

impl decide::Policies for Linked {
    fn claims_authorization(&self) -> bool {
        match &*self.0 {
            Ok(plan) => plan.claims_authorization(),
            Err(broken) => broken.claims_authorization,
        }
    }

    fn acts(&self, place: decide::Place) -> bool {
        match (self.plan(), place) {
            // Hooks for errors are told of a refusal of the review, too.
            (Ok(plan), decide::Place::BeforeReview) => !plan.before_review.is_empty() || plan.is_for_errors(),
            // Hooks on what is sent and on answers act behind the decision, on what is begun here.
            (Ok(plan), decide::Place::AfterReview) => !plan.is_empty(),
            // Who may not is not told what is wrong.
            (Err(_), place) => place == decide::Place::AfterReview,
        }
    }
}

impl fmt::Debug for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Linked(..)")
    }
}
