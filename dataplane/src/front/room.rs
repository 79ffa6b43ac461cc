use rustix::process::{Resource, getrlimit};

/// How many connections the limit of open files leaves room for.
///
/// Each may need a second file, towards its backend, and a tenth stays free for everything else: a process without a
/// free file could neither accept nor connect nor read its own files.
pub(super) fn most_connections() -> usize {
    let files = getrlimit(Resource::Nofile).current;
    files
        .and_then(|files| usize::try_from(files).ok())
        .map_or(usize::MAX, |files| files / 100 * 45)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_has_room() {
        assert!(super::most_connections() > 50);
    }
}
