use genkan_routing::model::policy::PolicyDefinition;

use crate::builtins;
use crate::world::World;

/// What `use` of a step means.
#[derive(Clone, Copy, Debug)]
pub(super) enum Resolved<'a> {
    Builtin(&'a str),
    Definition(&'a PolicyDefinition),
}

type Version = (u64, u64, u64);

pub(super) fn resolve<'a>(uses: &'a str, world: &'a World) -> Option<Resolved<'a>> {
    if builtins::is_name(uses) {
        return Some(Resolved::Builtin(uses));
    }
    definition(uses, world).map(Resolved::Definition)
}

/// The highest version in the range: `@2` is 2.x.y, `@2.1` is 2.1.x, none is any.
pub(crate) fn definition<'a>(uses: &str, world: &'a World) -> Option<&'a PolicyDefinition> {
    let (name, range) = match uses.split_once('@') {
        Some((name, range)) => (name, numbers(range)?),
        None => (uses, Vec::new()),
    };
    let versions = world.definitions.get(name)?.iter();
    let known = versions.filter_map(|definition| Some((version(&definition.version)?, definition)));
    let fits = |(major, minor, patch): Version| [major, minor, patch].starts_with(&range);
    let fitting = known.filter(|(version, _)| fits(*version));
    fitting
        .max_by_key(|(version, _)| *version)
        .map(|(_, definition)| &**definition)
}

fn version(text: &str) -> Option<Version> {
    match numbers(text)?.as_slice() {
        [major, minor, patch] => Some((*major, *minor, *patch)),
        _ => None,
    }
}

fn numbers(text: &str) -> Option<Vec<u64>> {
    let parts = text.split('.').map(|part| part.parse().ok());
    let parts: Option<Vec<u64>> = parts.collect();
    parts.filter(|parts| parts.len() <= 3)
}

// === impl Resolved ===

impl Resolved<'_> {
    /// `jwt`, `partner-orders@1.0.0`.
    pub(super) fn title(self) -> String {
        match self {
            Self::Builtin(name) => name.to_owned(),
            Self::Definition(definition) => format!("{}@{}", definition.policy, definition.version),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn ranges_take_the_highest() {
        let mk = |version: &str| {
            Arc::new(PolicyDefinition {
                policy: "p".into(),
                version: version.into(),
                ..PolicyDefinition::default()
            })
        };
        let mut world = World::default();
        let versions = ["1.2.0", "1.10.0", "2.0.1", "2.1.0"].map(mk);
        world.definitions.insert("p".into(), versions.into());
        for (uses, version) in [
            ("p", Some("2.1.0")),
            ("p@1", Some("1.10.0")),
            ("p@2.0", Some("2.0.1")),
            ("p@1.2.0", Some("1.2.0")),
            ("p@3", None),
            ("p@x", None),
            ("q", None),
        ] {
            let found = definition(uses, &world).map(|found| found.version.as_str());
            assert_eq!(found, version, "{uses}");
        }
    }
}
