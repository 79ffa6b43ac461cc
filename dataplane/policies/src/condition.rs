use std::time::Duration;

use crate::exchange::Exchange;
use crate::expr::Expr;
use crate::jsonata::Jsonata;

/// What is true of a message, or not.
#[derive(Debug)]
pub(crate) enum Condition {
    Cel(Expr),
    Jsonata(Jsonata),
}

// === impl Condition ===

impl Condition {
    /// # Errors
    /// Why it is neither, in one sentence.
    pub(crate) fn truth(&self, exchange: &Exchange<'_>, now: Duration) -> Result<bool, String> {
        match self {
            Self::Cel(expr) => expr.truth(exchange, now),
            Self::Jsonata(jsonata) => jsonata.truth(exchange),
        }
    }
}
