use std::cmp::Reverse;

/// Where a version of an API stands among those of its group, as Kubernetes orders them: general before beta before
/// alpha, higher before lower, and whatever is no version of Kubernetes behind all of them, by the alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority<'v> {
    Other(Reverse<&'v str>),
    Kubernetes { stage: Stage, major: u64, minor: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Alpha,
    Beta,
    General,
}

/// The greatest of all priorities is that of the preferred version.
pub fn priority(version: &str) -> Priority<'_> {
    kubernetes(version).unwrap_or(Priority::Other(Reverse(version)))
}

fn kubernetes(version: &str) -> Option<Priority<'_>> {
    let rest = version.strip_prefix('v')?;
    let (major, stage, minor) = match (rest.split_once("alpha"), rest.split_once("beta")) {
        (Some((major, minor)), _) => (major, Stage::Alpha, number(minor)?),
        (None, Some((major, minor))) => (major, Stage::Beta, number(minor)?),
        (None, None) => (rest, Stage::General, 0),
    };
    Some(Priority::Kubernetes {
        stage,
        major: number(major)?,
        minor,
    })
}

fn number(digits: &str) -> Option<u64> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    is_number.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_stand_in_the_order_of_kubernetes() {
        let expected = [
            "v10",
            "v2",
            "v1",
            "v11beta2",
            "v10beta3",
            "v3beta1",
            "v12alpha1",
            "v11alpha2",
            "foo1",
            "foo10",
            "v01",
            "v1gamma1",
        ];
        let mut versions = expected;
        versions.sort_unstable();
        versions.sort_by_key(|version| Reverse(priority(version)));
        assert_eq!(versions, expected);
    }
}
