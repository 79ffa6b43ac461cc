use tokio::sync::{Semaphore, SemaphorePermit};

/// Memory for bodies that are held while policies look at them, of the whole process.
pub struct Memory {
    bytes: Semaphore,
}

/// A part of it, until the request is over.
#[derive(Debug)]
pub struct Taken(SemaphorePermit<'static>);

/// Bytes.
const BUDGET: usize = 256 << 20;

pub static BODIES: Memory = Memory::new(BUDGET);

// === impl Memory ===

impl Memory {
    const fn new(bytes: usize) -> Self {
        Self {
            bytes: Semaphore::const_new(bytes),
        }
    }

    /// `None`: it is used up. Nobody waits for it, since who holds some may wait for its client.
    pub fn take(&'static self, bytes: u64) -> Option<Taken> {
        let bytes = u32::try_from(bytes).ok()?;
        self.bytes.try_acquire_many(bytes).ok().map(Taken)
    }
}

// === impl Taken ===

impl Taken {
    /// Gives back what is not needed after all.
    pub fn keep(&mut self, bytes: usize) {
        let surplus = self.0.num_permits().saturating_sub(bytes);
        drop(self.0.split(surplus));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_up_is_there_again_when_a_request_is_over() {
        static SMALL: Memory = Memory::new(100);
        let mut one = SMALL.take(60).unwrap();
        assert!(SMALL.take(60).is_none());
        one.keep(40);
        let other = SMALL.take(60).unwrap();
        assert!(SMALL.take(1).is_none() && SMALL.take(0).is_some());
        drop((one, other));
        assert!(SMALL.take(100).is_some());
    }
}
