use std::fmt;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A data plane is there and ready, with a revision.
    Have {
        pod: String,
        revision: String,
    },
    /// One connects with nothing. The oldest has the least age number; `None` is the youngest so far.
    Start {
        pod: String,
        age: Option<u64>,
    },
    Ready {
        pod: String,
    },
    Unready {
        pod: String,
    },
    Gone {
        pod: String,
    },
    /// A new target.
    Revision(String),
    /// A person wants this revision rolled out.
    Approve(String),
    Pause,
    Resume,
    /// Whether all data planes that there should be are known.
    Known {
        all: bool,
    },
    /// Whether the PodDisruptionBudget allows a Pod to be taken.
    Budget {
        allows: bool,
    },
    Drained {
        pod: String,
    },
    DrainTimeout {
        pod: String,
    },
    Applied {
        pod: String,
    },
    Verified {
        pod: String,
    },
    Soaked {
        pod: String,
    },
    /// The Pod in hand could not do what it was asked.
    Failed {
        pod: String,
        why: String,
    },
    /// Its steps fail too often while it soaks.
    Breach {
        pod: String,
        why: Option<String>,
    },
    /// The digest of all immediate entries is another.
    Immediate(String),
    /// A data plane refuses it.
    Nack {
        pod: String,
        digest: String,
        why: String,
    },
    /// What was kept is read, and every data plane that is there was named.
    Restarted,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Drain {
        pod: String,
    },
    /// `None`: without the extension.
    Apply {
        pod: String,
        revision: Option<String>,
    },
    Verify {
        pod: String,
    },
    Undrain {
        pod: String,
    },
    Soak {
        pod: String,
    },
    /// Everything of this revision at once, before it is ready.
    Restore {
        pod: String,
        revision: String,
    },
    /// Immediate entries; `None`: there were none before.
    Push {
        pod: String,
        digest: Option<String>,
    },
}

// === impl Action ===

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        match self {
            Self::Drain { pod } => write!(formatter, "drain {pod}"),
            Self::Apply { pod, revision } => write!(formatter, "apply {pod} {}", or_none(revision)),
            Self::Verify { pod } => write!(formatter, "verify {pod}"),
            Self::Undrain { pod } => write!(formatter, "undrain {pod}"),
            Self::Soak { pod } => write!(formatter, "soak {pod}"),
            Self::Restore { pod, revision } => write!(formatter, "restore {pod} {revision}"),
            Self::Push { pod, digest } => write!(formatter, "push {pod} {}", or_none(digest)),
        }
    }
}
