use std::fmt;

/// Why nothing of a kind can be read from the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// The API server does not know it: it has no objects.
    Definition,
    /// The operator may not list or watch it. What is known of it stays.
    Right,
}

// === impl Absence ===

impl Absence {
    pub const ALL: [Self; 2] = [Self::Definition, Self::Right];

    /// The word for metrics.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Definition => "definition",
            Self::Right => "right",
        }
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Definition => {
                "the API server does not know this kind; install the CRDs with \
                 `genkan crds | kubectl apply --server-side -f -`; waiting for it"
            }
            Self::Right => {
                "the operator may not list and watch this kind; give it the rights that the chart gives it; until then \
                 what it knew stays as it was"
            }
        })
    }
}
