use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Every connection is a file, and the usual soft limit is far below what the hard one permits.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// So many hundredths of the files that this process may have open; every connection is one.
pub fn share(hundredths: usize) -> usize {
    let files = getrlimit(Resource::Nofile).current;
    files
        .and_then(|files| usize::try_from(files).ok())
        .map_or(usize::MAX, |files| files / 100 * hundredths)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn a_process_has_room_and_shares_are_parts_of_it() {
        assert!(share(40) > 50);
        assert!(share(10) < share(40));
    }
}
