use std::cell::Cell;

/// What the rules of one request may still compute. One step is a byte looked at by a glob or copied into a result, or a
/// byte for each state of an expression.
#[derive(Debug)]
pub(super) struct Work(Cell<u64>);

/// The request has used up its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spent;

/// Of all rules of one request together: less than a tenth of a second at the very worst, where an ordinary request takes some
/// thousands.
pub(super) const MOST_STEPS: u64 = 1 << 24;

// === impl Work ===

impl Default for Work {
    fn default() -> Self {
        Self(Cell::new(MOST_STEPS))
    }
}

impl Work {
    /// To be asked before the steps are made.
    pub(super) fn spend(&self, steps: usize) -> Result<(), Spent> {
        self.spend_each(steps, 1)
    }

    pub(super) fn spend_each(&self, bytes: usize, each: u64) -> Result<(), Spent> {
        let steps = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(each);
        let left = self.0.get().checked_sub(steps);
        // Who asked for too much gets nothing more, however little.
        self.0.set(left.unwrap_or_default());
        left.map(drop).ok_or(Spent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_is_gone() {
        let work = Work::default();
        assert_eq!(work.spend_each(1 << 14, 1 << 10), Ok(()));
        assert_eq!(work.spend(0), Ok(()));
        assert_eq!(work.spend(1), Err(Spent));
        let work = Work::default();
        assert_eq!(work.spend_each(usize::MAX, u64::MAX), Err(Spent));
        assert_eq!(work.spend(1), Err(Spent), "an overdraft leaves nothing");
    }
}
