//! The part of libtest's command line that people and tools use.

#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub list: bool,
    exact: bool,
    ignored: bool,
    filters: Vec<String>,
    skip: Vec<String>,
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn read() -> Self {
        Self::parse(std::env::args().skip(1))
    }

    fn parse(mut args: impl Iterator<Item = String>) -> Self {
        let mut read = Self::default();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => read.list = true,
                "--exact" => read.exact = true,
                "--ignored" => read.ignored = true,
                "--skip" => read.skip.extend(args.next()),
                "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => drop(args.next()),
                option if option.starts_with('-') => {}
                _ => read.filters.push(arg),
            }
        }
        read
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        let fits = |filter: &String| {
            if self.exact {
                name == filter
            } else {
                name.contains(filter.as_str())
            }
        };
        // `--ignored` asks for ignored tests alone, and there are none.
        !self.ignored
            && (self.filters.is_empty() || self.filters.iter().any(fits))
            && !self.skip.iter().any(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Arguments {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn filters_choose_by_part_of_the_name() {
        assert!(parse("").wants("seed_is_served"));
        assert!(parse("seed --nocapture").wants("seed_is_served"));
        assert!(!parse("seed --exact").wants("seed_is_served"));
        assert!(!parse("--test-threads 4 other").wants("seed_is_served"));
        assert!(!parse("--skip seed").wants("seed_is_served"));
    }
}
