//! Who wins where ReverseProxies overlap. Every question looks at neighbours only, never at all claims.

use std::collections::{BTreeSet, HashMap};

use crate::matcher::{Pattern, SERVED_PREFIX, is_served_path};

/// What a ReverseProxy asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub name: String,
    pub path: String,
    pub method: String,
    /// Unix seconds.
    pub created: i64,
}

/// What a claim came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Some requests are its own.
    Wins,
    /// Another one has the same path and method.
    Conflicted { winner: String, rule: &'static str },
    /// Every request that it matches belongs to a better match.
    Shadowed { winner: String, rule: &'static str },
    /// No request can match it.
    Unreachable { reason: &'static str },
}

/// All claims.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    by_name: HashMap<String, Claim>,
    /// By path, then method: those with the same match, the winner first.
    by_match: HashMap<Pattern, HashMap<String, BTreeSet<(i64, String)>>>,
}

// === impl Claims ===

impl Claims {
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a claim in, or replaces that of the same name, which comes back.
    pub fn insert(&mut self, claim: Claim) -> Option<Claim> {
        let replaced = self.remove(&claim.name);
        let (pattern, method) = claim.key();
        self.by_match
            .entry(pattern)
            .or_default()
            .entry(method)
            .or_default()
            .insert(claim.seniority());
        self.by_name.insert(claim.name.clone(), claim);
        replaced
    }

    pub fn remove(&mut self, name: &str) -> Option<Claim> {
        let claim = self.by_name.remove(name)?;
        let (pattern, method) = claim.key();
        if let Some(methods) = self.by_match.get_mut(&pattern) {
            if let Some(rivals) = methods.get_mut(&method) {
                rivals.remove(&claim.seniority());
                if rivals.is_empty() {
                    methods.remove(&method);
                }
            }
            if methods.is_empty() {
                self.by_match.remove(&pattern);
            }
        }
        Some(claim)
    }

    pub fn get(&self, name: &str) -> Option<&Claim> {
        self.by_name.get(name)
    }

    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// `None`: there is no such claim.
    pub fn standing(&self, name: &str) -> Option<Standing> {
        let claim = self.by_name.get(name)?;
        if let Some(reason) = unreachable(&claim.path) {
            return Some(Standing::Unreachable { reason });
        }
        let (pattern, method) = claim.key();
        if let Some((created, winner)) = self.first(&pattern, &method)
            && winner != name
        {
            let rule = if *created < claim.created {
                "it has the same path and method and is older"
            } else {
                "it has the same path and method, is as old, and its name sorts first"
            };
            return Some(Standing::Conflicted {
                winner: winner.clone(),
                rule,
            });
        }
        Some(match self.shadower(&pattern, &method) {
            Some(winner) => Standing::Shadowed {
                winner: winner.to_owned(),
                rule: "its path is longer and takes every request that starts with /proxy",
            },
            None => Standing::Wins,
        })
    }

    /// The other claims that lose to this one, or to which it loses, or whose standing may change when it comes or
    /// goes.
    pub fn affected(&self, claim: &Claim) -> Vec<String> {
        let (pattern, method) = claim.key();
        let mut found: Vec<&String> = self.rivals(&pattern, &method).collect();
        if covers_everything(&pattern) {
            let served = SERVED_PREFIX.as_bytes();
            for length in 0..=served.len() {
                let other = Pattern {
                    literal: served[..length].to_vec(),
                    wildcard: true,
                };
                if other == pattern {
                    continue;
                }
                if method == "*" {
                    let methods = self.by_match.get(&other).into_iter().flat_map(HashMap::values);
                    found.extend(methods.flatten().map(|(_, name)| name));
                } else {
                    found.extend(self.rivals(&other, &method).chain(self.rivals(&other, "*")));
                }
            }
        }
        found
            .into_iter()
            .filter(|name| **name != claim.name)
            .cloned()
            .collect()
    }

    /// Those with exactly this path and method.
    fn rivals(&self, pattern: &Pattern, method: &str) -> impl Iterator<Item = &String> {
        let rivals = self.by_match.get(pattern).and_then(|methods| methods.get(method));
        rivals.into_iter().flatten().map(|(_, name)| name)
    }

    /// The claims that lose every request to this one, in the order of their names.
    pub fn losers(&self, name: &str) -> Vec<String> {
        let Some(claim) = self.by_name.get(name) else {
            return Vec::new();
        };
        let loses = |other: &String| match self.standing(other) {
            Some(Standing::Conflicted { winner, .. } | Standing::Shadowed { winner, .. }) => winner == name,
            _ => false,
        };
        let mut losers: Vec<String> = self.affected(claim).into_iter().filter(loses).collect();
        losers.sort();
        losers
    }

    fn first(&self, pattern: &Pattern, method: &str) -> Option<&(i64, String)> {
        self.by_match.get(pattern)?.get(method)?.first()
    }

    /// The claim to which this pattern loses every request.
    ///
    /// Only a wildcard that ends before `/proxy` does can lose all: whatever else a pattern takes, no finite set of other
    /// patterns takes it too, since the next byte (or the method) can be one that none of them names.
    fn shadower(&self, pattern: &Pattern, method: &str) -> Option<&str> {
        if !covers_everything(pattern) {
            return None;
        }
        let served = SERVED_PREFIX.as_bytes();
        (pattern.literal.len() + 1..=served.len())
            .rev()
            .find_map(|length| {
                let longer = Pattern {
                    literal: served[..length].to_vec(),
                    wildcard: true,
                };
                let winner = self.first(&longer, method).or_else(|| self.first(&longer, "*"))?;
                Some(winner.1.as_str())
            })
    }
}

// === impl Claim ===

impl Claim {
    fn key(&self) -> (Pattern, String) {
        (Pattern::parse(&self.path), self.method.clone())
    }

    fn seniority(&self) -> (i64, String) {
        (self.created, self.name.clone())
    }
}

/// Does it take every path that a ReverseProxy is asked for?
fn covers_everything(pattern: &Pattern) -> bool {
    pattern.wildcard && SERVED_PREFIX.as_bytes().starts_with(&pattern.literal)
}

fn unreachable(path: &str) -> Option<&'static str> {
    let pattern = Pattern::parse(path);
    if !is_served_path(path) && !covers_everything(&pattern) {
        return Some("the path must start with /proxy");
    }
    let literal = path.trim_end_matches('*');
    if literal
        .bytes()
        .any(|byte| byte.is_ascii_control() || byte == b'\\')
    {
        return Some("the path holds a control character or a backslash, and such requests are refused");
    }
    let mut segments = literal.split('/').peekable();
    while let Some(segment) = segments.next() {
        let complete = segments.peek().is_some() || !pattern.wildcard;
        if complete && matches!(segment, "." | "..") {
            return Some("the path has a dot segment, and such requests are refused");
        }
    }
    None
}
