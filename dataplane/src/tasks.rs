//! The tasks that the process cannot do without.

use std::collections::HashMap;
use std::future::Future;

use tokio::task::{Id, JoinSet};

/// Ends all of them when it is dropped.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

/// One of them is gone.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    #[error("the task \"{0}\" ended, which it must not")]
    Returned(&'static str),
    #[error("the task \"{0}\" panicked; what it said stands above")]
    Panicked(&'static str),
}

/// What takes long does not keep the other tasks of this worker waiting: they go on with another thread. That is not worth it
/// for less: each thread keeps memory of its own, and every change to another one costs some.
pub fn aside<T>(is_long: bool, work: impl FnOnce() -> T) -> T {
    match is_long {
        true => tokio::task::block_in_place(work),
        false => work(),
    }
}

// === impl Tasks ===

impl Tasks {
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.set.spawn(task).id();
        self.names.insert(id, name);
    }

    /// Waits until one of them is gone.
    pub async fn ended(&mut self) -> Ended {
        let name = |id| self.names.get(&id).copied().unwrap_or("unknown");
        match self.set.join_next_with_id().await {
            Some(Ok((id, ()))) => Ended::Returned(name(id)),
            Some(Err(error)) => Ended::Panicked(name(error.id())),
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn first_task_that_ends_is_named() {
        let mut tasks = Tasks::default();
        tasks.spawn("lasting", std::future::pending());
        tasks.spawn("clumsy", async { panic!("as the test wants") });
        assert_eq!(
            tasks.ended().await.to_string(),
            "the task \"clumsy\" panicked; what it said stands above"
        );
        tasks.spawn("short", async {});
        assert!(matches!(tasks.ended().await, Ended::Returned("short")));
    }
}
