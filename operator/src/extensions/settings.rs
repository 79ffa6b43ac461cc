use std::time::Duration;

use genkan_crds::gateway::GatewayExtensionSpec;
use genkan_extensions::rollout::{Config, Drain, OnFailure, Trigger};
use genkan_routing::quantity::duration;

/// How an extension wants to be rolled out.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub config: Config,
    pub is_paused: bool,
    /// The revision that a person has approved.
    pub approved: Option<String>,
    /// Load balancers get so long to notice that a data plane goes.
    pub settle: Duration,
    /// Requests in flight get so long after that.
    pub drain_timeout: Duration,
    /// Each data plane is watched so long before the next.
    pub soak: Duration,
    /// Requests before errors count.
    pub min_requests: u64,
    /// Errors for each request.
    pub max_error_ratio: f64,
}

const SETTLE: Duration = Duration::from_secs(10);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
const LONGEST_DRAIN: Duration = Duration::from_secs(600);
const SOAK: Duration = Duration::from_secs(60);
const LONGEST_SOAK: Duration = Duration::from_secs(3600);
const MIN_REQUESTS: u64 = 50;
const MAX_ERROR_RATIO: f64 = 0.02;

// === impl Settings ===

impl Settings {
    /// Of a specification, and the annotation that approves a revision.
    pub fn of(spec: &GatewayExtensionSpec, approved: Option<&String>) -> Self {
        let rollout = spec.rollout.clone().unwrap_or_default();
        let drain = rollout.drain.unwrap_or_default();
        let soak = rollout.soak.unwrap_or_default();
        let time = |text: Option<&str>, usual: Duration, most: Duration| {
            text.and_then(duration).unwrap_or(usual).min(most)
        };
        Self {
            config: Config {
                trigger: match rollout.trigger.as_deref() {
                    Some("Manual") => Trigger::Manual,
                    Some(_) | None => Trigger::Auto,
                },
                on_failure: match rollout.on_failure.as_deref() {
                    Some("Pause") => OnFailure::Pause,
                    Some(_) | None => OnFailure::Rollback,
                },
                drain: match drain.mode.as_deref() {
                    Some("Required") => Drain::Required,
                    Some("Never") => Drain::Never,
                    Some(_) | None => Drain::WhenPossible,
                },
                max_unavailable: rollout
                    .max_unavailable
                    .and_then(|most| usize::try_from(most).ok())
                    .unwrap_or(1),
            },
            is_paused: rollout.paused == Some(true) || spec.suspend == Some(true),
            approved: approved.cloned(),
            settle: time(drain.settle.as_deref(), SETTLE, LONGEST_DRAIN),
            drain_timeout: time(drain.timeout.as_deref(), DRAIN_TIMEOUT, LONGEST_DRAIN),
            soak: time(soak.duration.as_deref(), SOAK, LONGEST_SOAK),
            min_requests: soak
                .min_requests
                .and_then(|least| u64::try_from(least).ok())
                .unwrap_or(MIN_REQUESTS),
            max_error_ratio: soak
                .max_error_ratio
                .and_then(|ratio| ratio.parse().ok())
                .unwrap_or(MAX_ERROR_RATIO),
        }
    }
}
