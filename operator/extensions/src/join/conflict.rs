use std::collections::BTreeMap;

use crate::refusal::{Reason, Refused};

use super::Joined;

/// An entry that provides policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    pub extension: String,
    pub entry: String,
    /// `POLICY@VERSION`.
    pub provides: Vec<String>,
}

/// Places among the providers of those that lose, and why. The providers of the oldest extension come first; `written` has
/// policies of PolicyDefinitions that a person wrote, and their names.
pub fn conflicts(providers: &[Provider], written: &BTreeMap<String, String>) -> BTreeMap<usize, Refused> {
    let mut losers = BTreeMap::new();
    let mut winners: BTreeMap<&str, &Provider> = BTreeMap::new();
    // Within an extension by name; the order of extensions stays.
    let mut places: Vec<usize> = (0..providers.len()).collect();
    let mut ages: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, provider) in providers.iter().enumerate() {
        ages.entry(&provider.extension).or_insert(index);
    }
    places.sort_by_key(|index| {
        let provider = &providers[*index];
        (ages.get(provider.extension.as_str()), &provider.entry)
    });
    for index in places {
        let provider = &providers[index];
        let lost = provider.provides.iter().find_map(|policy| {
            if let Some(name) = written.get(policy) {
                return Some(format!("{policy} is provided by PolicyDefinition {name}"));
            }
            let winner = winners.get(policy.as_str())?;
            let (extension, entry) = (&winner.extension, &winner.entry);
            Some(format!(
                "{policy} is provided by GatewayExtension {extension}, entry {entry}"
            ))
        });
        match lost {
            Some(message) => {
                losers.insert(index, Reason::Conflicted.refuse(message));
            }
            None => {
                let provided = provider.provides.iter();
                winners.extend(provided.map(|policy| (policy.as_str(), provider)));
            }
        }
    }
    losers
}

/// Of two entries of one extension the lower name wins.
pub fn within(entries: &mut [Joined]) {
    let mut places: Vec<usize> = (0..entries.len()).collect();
    places.sort_by(|a, b| entries[*a].name.cmp(&entries[*b].name));
    let mut winners: BTreeMap<String, String> = BTreeMap::new();
    for index in places {
        let entry = &mut entries[index];
        let Ok(converted) = &entry.outcome else {
            continue;
        };
        let provides: Vec<_> = converted.content.provides();
        let is_policy = |policy: &&String| policy.contains('@');
        let lost = provides
            .iter()
            .filter(is_policy)
            .find_map(|policy| Some((policy, winners.get(policy)?)));
        if let Some((policy, winner)) = lost {
            let message = format!("{policy} is provided by entry {winner}");
            entry.outcome = Err(Reason::Conflicted.refuse(message));
            continue;
        }
        let provided = provides.into_iter().filter(|policy| policy.contains('@'));
        winners.extend(provided.map(|policy| (policy, entry.name.clone())));
    }
}
