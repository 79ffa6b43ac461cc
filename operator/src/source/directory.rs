//! The objects of a directory; of a change only the files that it touched are read.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use genkan_tools::directory::{Directory, Problem, Unreadable};
use notify::{RecursiveMode, Watcher};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::input::Input;

/// Editors and `cp` touch a file several times; this is how long the folder must be quiet.
const QUIET: Duration = Duration::from_millis(5);
/// A file that is written without a pause is read all the same.
const LONGEST: Duration = Duration::from_millis(200);
/// How often a folder that has gone is looked for.
const AGAIN: Duration = Duration::from_millis(500);

/// What was touched since the last look.
#[derive(Debug, Default)]
struct Touched {
    paths: BTreeSet<PathBuf>,
    /// More than can be told, or nobody knows what.
    everything: bool,
}

/// Beyond that many the whole folder is read.
const MOST: usize = 4_096;

#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error(transparent)]
    Read(#[from] Unreadable),
    #[error("{path} cannot be watched for changes: {source}")]
    Watch { path: PathBuf, source: notify::Error },
}

/// Reads the directory, and again on every change, until the engine is gone.
///
/// # Errors
/// When the folder cannot be read at the start, or not be watched.
pub async fn run(path: PathBuf, engine: mpsc::Sender<Input>) -> Result<(), WatchError> {
    let (signal, mut signals) = mpsc::channel(1);
    let touched = Arc::new(Mutex::new(Touched::default()));
    let touching = Arc::clone(&touched);
    let root = path.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if touching.lock().add(event, &root) {
            // A signal that already waits says the same.
            let _ = signal.try_send(());
        }
    })
    .map_err(|source| WatchError::Watch {
        path: path.clone(),
        source,
    })?;
    watcher
        .watch(&path, RecursiveMode::Recursive)
        .map_err(|source| WatchError::Watch {
            path: path.clone(),
            source,
        })?;
    let mut directory = Directory::new(&path);
    let (changes, mut told) = directory.read()?;
    tell(&told, &[]);
    info!(path = %path.display(), "directory read");
    // The engine ends only with the process.
    let _ = engine.send(Input::Changes(changes)).await;
    let mut watched = identity(&path);
    loop {
        if watched.is_some() {
            if signals.recv().await.is_none() {
                break;
            }
            let end = Instant::now() + LONGEST;
            while Instant::now() < end && tokio::time::timeout(QUIET, signals.recv()).await.is_ok() {}
        } else {
            tokio::time::sleep(AGAIN).await;
        }
        let found = identity(&path);
        if found != watched {
            // Another folder stands there now, of which the watcher would hear nothing.
            let _ = watcher.unwatch(&path);
            watched = watcher.watch(&path, RecursiveMode::Recursive).ok().and(found);
            if watched.is_none() {
                warn!(path = %path.display(), "the folder has gone; what it held stays");
            }
            touched.lock().everything = true;
        }
        if engine.is_closed() {
            break;
        }
        if watched.is_none() {
            continue;
        }
        let touched = std::mem::take(&mut *touched.lock());
        let read = match touched.everything {
            true => directory.read(),
            false => directory.read_again(&touched.paths),
        };
        match read {
            Ok((changes, problems)) => {
                tell(&problems, &told);
                told = problems;
                let _ = engine.send(Input::Changes(changes)).await;
            }
            Err(error) => warn!(%error, "directory not read; what it held stays"),
        }
    }
    Ok(())
}

// === impl Touched ===

impl Touched {
    /// True if there is something to be read again.
    fn add(&mut self, event: notify::Result<notify::Event>, root: &Path) -> bool {
        match event {
            Ok(event) if event.kind.is_access() => return false,
            Ok(event) if !event.need_rescan() && !event.paths.is_empty() => {
                let paths = event.paths.into_iter().map(|path| as_given(path, root));
                self.paths.extend(paths);
            }
            Ok(_) | Err(_) => self.everything = true,
        }
        if self.everything || self.paths.len() > MOST {
            self.everything = true;
            self.paths.clear();
        }
        true
    }
}

/// The watcher makes relative paths absolute.
fn as_given(path: PathBuf, root: &Path) -> PathBuf {
    let below = std::path::absolute(root).ok();
    let below = below.as_ref().and_then(|root| path.strip_prefix(root).ok());
    below.map(|below| root.join(below)).unwrap_or(path)
}

/// Tells a folder from another one of the same name; the numbers alone are given to a successor at once.
fn identity(path: &Path) -> Option<(u64, u64, Option<SystemTime>)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.created().ok()))
}

/// Logs the problems that are new.
fn tell(problems: &[Problem], before: &[Problem]) {
    for problem in problems.iter().filter(|p| !before.contains(p)) {
        warn!(file = %problem.file.display(), "{}", problem.message);
    }
}

#[cfg(test)]
mod tests {
    use genkan_compile::index::{Dirty, Index};

    use super::*;

    const PROXY: &str = "apiVersion: extensions.kubesphere.io/v1alpha1\nkind: ReverseProxy\nmetadata: {name: NAME}\n\
        spec: {matcher: {path: /proxy/x, method: '*'}, upstream: {url: 'http://a.example'}}\n";

    #[tokio::test]
    async fn a_folder_that_comes_back_is_watched_again() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("objects");
        std::fs::create_dir(&folder).unwrap();
        let (engine, mut inputs) = mpsc::channel(8);
        tokio::spawn(run(folder.clone(), engine));
        let (mut index, mut dirty) = (Index::default(), Dirty::default());
        let mut until = async |wanted: &[&str]| {
            let waiting = async {
                while let Some(input) = inputs.recv().await {
                    let Input::Changes(changes) = input else { continue };
                    changes
                        .into_iter()
                        .for_each(|change| index.take(change, &mut dirty));
                    if index.published.keys().map(|key| &key.name).eq(wanted) {
                        return;
                    }
                }
            };
            tokio::time::timeout(Duration::from_secs(20), waiting)
                .await
                .unwrap();
        };
        until(&[]).await;
        std::fs::remove_dir(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("a.yaml"), PROXY.replace("NAME", "one")).unwrap();
        until(&["one"]).await;
        std::fs::write(folder.join("b.yaml"), PROXY.replace("NAME", "two")).unwrap();
        until(&["one", "two"]).await;
    }
}
