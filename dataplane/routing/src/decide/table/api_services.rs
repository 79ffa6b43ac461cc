use rpds::HashTrieMapSync;

/// Published APIs by group and version. A clone is cheap, an edit copies only the way to its group.
#[derive(Debug, Clone)]
pub struct ApiServices<A> {
    /// The versions of each group, in order; the group may be empty.
    groups: HashTrieMapSync<Box<str>, Vec<(Box<str>, A)>>,
}

// === impl ApiServices ===

impl<A> Default for ApiServices<A> {
    fn default() -> Self {
        Self {
            groups: HashTrieMapSync::new_sync(),
        }
    }
}

impl<A: Clone> ApiServices<A> {
    /// What was published there before comes back.
    pub fn insert(&mut self, group: &str, version: &str, value: A) -> Option<A> {
        let mut versions = self.groups.get(group).cloned().unwrap_or_default();
        let replaced = match position(&versions, version) {
            Ok(at) => Some(std::mem::replace(&mut versions[at].1, value)),
            Err(at) => {
                versions.insert(at, (version.into(), value));
                None
            }
        };
        self.groups.insert_mut(group.into(), versions);
        replaced
    }

    pub fn remove(&mut self, group: &str, version: &str) -> Option<A> {
        let known = self.groups.get(group)?;
        let at = position(known, version).ok()?;
        let mut versions = known.clone();
        let (_, removed) = versions.remove(at);
        if versions.is_empty() {
            self.groups.remove_mut(group);
        } else {
            self.groups.insert_mut(group.into(), versions);
        }
        Some(removed)
    }
}

impl<A> ApiServices<A> {
    /// Allocates nothing.
    pub fn get(&self, group: &str, version: &str) -> Option<&A> {
        let versions = self.groups.get(group)?;
        let at = position(versions, version).ok()?;
        Some(&versions[at].1)
    }

    /// A group that has a name, with its versions in order.
    pub fn group(&self, name: &str) -> Option<(&str, Vec<&str>)> {
        let (group, versions) = self.groups.get_key_value(name).filter(|_| !name.is_empty())?;
        Some((group, names(versions)))
    }

    /// The groups that have a name, in order, each with its versions in order.
    pub fn groups(&self) -> Vec<(&str, Vec<&str>)> {
        let named = self.groups.iter().filter(|(group, _)| !group.is_empty());
        let mut groups: Vec<_> = named
            .map(|(group, versions)| (group.as_ref(), names(versions)))
            .collect();
        groups.sort_unstable();
        groups
    }
}

fn names<A>(versions: &[(Box<str>, A)]) -> Vec<&str> {
    versions.iter().map(|(version, _)| version.as_ref()).collect()
}

fn position<A>(versions: &[(Box<str>, A)], version: &str) -> Result<usize, usize> {
    versions.binary_search_by(|(known, _)| known.as_ref().cmp(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_not_seen_in_a_clone() {
        let mut services = ApiServices::default();
        assert_eq!(services.insert("shop", "v2", 2), None);
        assert_eq!(services.insert("shop", "v1", 1), None);
        services.insert("", "v1", 0);
        services.insert("apps", "v1", 3);
        let before = services.clone();
        assert_eq!(services.insert("shop", "v1", 7), Some(1));
        assert_eq!(services.remove("shop", "v2"), Some(2));
        assert_eq!(services.remove("shop", "v2"), None);
        assert_eq!(services.remove("apps", "v1"), Some(3));
        assert_eq!(
            (before.get("shop", "v2"), before.get("shop", "v1")),
            (Some(&2), Some(&1))
        );
        assert_eq!(
            (services.get("shop", "v1"), services.get("shop", "v2")),
            (Some(&7), None)
        );
        assert_eq!(
            before.groups(),
            [("apps", vec!["v1"]), ("shop", vec!["v1", "v2"])]
        );
        assert_eq!(services.groups(), [("shop", vec!["v1"])]);
        assert_eq!(services.get("", "v1"), Some(&0));
    }
}
