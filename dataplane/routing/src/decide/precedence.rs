//! Who wins where objects take paths below `/proxy` that overlap, whatever their kinds. Every question looks at neighbours
//! only, never at all claims.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::matcher::{Pattern, SERVED_PREFIX, is_served_path};
use crate::model::ObjectKey;

/// What an object asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub object: ObjectKey,
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
    Conflicted { winner: ObjectKey, rule: &'static str },
    /// Every request that it matches belongs to a better match.
    Shadowed { winner: ObjectKey, rule: &'static str },
    /// No request can match it.
    Unreachable { reason: &'static str },
}

/// All claims.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    by_object: HashMap<ObjectKey, Claim>,
    /// By path, then method: those with the same match, the winner first.
    by_match: HashMap<Pattern, BTreeMap<String, BTreeSet<Senior>>>,
}

/// Seconds since 1970, and then whose: the first of several wins.
type Senior = (i64, ObjectKey);

/// The claims that lose every request to one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Losers<'c> {
    /// One of them: the oldest with the same match, else one that is shadowed.
    pub first: Option<&'c ObjectKey>,
    pub count: usize,
}

/// What others are told of the claims with one match.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    first: Option<Senior>,
    second: Option<Senior>,
    count: usize,
}

// === impl Claims ===

impl Claims {
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a claim in, or replaces that of the same object, which comes back.
    pub fn insert(&mut self, claim: Claim) -> Option<Claim> {
        let replaced = self.remove(&claim.object);
        let (pattern, method) = claim.key();
        self.by_match
            .entry(pattern)
            .or_default()
            .entry(method)
            .or_default()
            .insert(claim.seniority());
        self.by_object.insert(claim.object.clone(), claim);
        replaced
    }

    pub fn remove(&mut self, object: &ObjectKey) -> Option<Claim> {
        let claim = self.by_object.remove(object)?;
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

    pub fn get(&self, object: &ObjectKey) -> Option<&Claim> {
        self.by_object.get(object)
    }

    pub fn len(&self) -> usize {
        self.by_object.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_object.is_empty()
    }

    /// `None`: there is no such claim.
    pub fn standing(&self, object: &ObjectKey) -> Option<Standing> {
        let claim = self.by_object.get(object)?;
        if let Some(reason) = unreachable(&claim.path) {
            return Some(Standing::Unreachable { reason });
        }
        let (pattern, method) = claim.key();
        if let Some((created, winner)) = self.first(&pattern, &method)
            && winner != object
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
                winner: winner.clone(),
                rule: "its path is longer and takes every request that starts with /proxy",
            },
            None => Standing::Wins,
        })
    }

    /// Puts in and replaces (`Some`), and takes out (`None`), many claims by their objects. Returns all objects whose
    /// [`Self::standing`] or [`Self::losers`] may differ from before, those of the changes among them.
    ///
    /// The cost is that of the changes, and of each group with the same match whose winner is another now; who joins a
    /// group behind its winner concerns the winner alone.
    pub fn renew(
        &mut self,
        changes: impl IntoIterator<Item = (ObjectKey, Option<Claim>)>,
    ) -> BTreeSet<ObjectKey> {
        let mut before: HashMap<(Pattern, String), Summary> = HashMap::new();
        let mut affected = BTreeSet::new();
        for (object, claim) in changes {
            for key in [self.by_object.get(&object), claim.as_ref()]
                .into_iter()
                .flatten()
                .map(Claim::key)
            {
                let summary = self.summary(&key.0, &key.1);
                before.entry(key).or_insert(summary);
            }
            match claim {
                Some(claim) => drop(self.insert(claim)),
                None => drop(self.remove(&object)),
            }
            affected.insert(object);
        }
        let mut shades = BTreeSet::new();
        for ((pattern, method), was) in before {
            let now = self.summary(&pattern, &method);
            if was == now {
                continue;
            }
            if was.first == now.first {
                affected.extend(now.first.map(|(_, object)| object));
            } else {
                let group = self.group(&pattern, &method).into_iter().flatten();
                affected.extend(group.map(|(_, object)| object.clone()));
            }
            if covers_everything(&pattern) {
                shades.insert(method);
            }
        }
        affected.extend(self.shaded(&shades));
        affected
    }

    /// The claims that lose every request to this one.
    pub fn losers(&self, object: &ObjectKey) -> Losers<'_> {
        let mut losers = Losers::default();
        let Some(claim) = self
            .by_object
            .get(object)
            .filter(|c| unreachable(&c.path).is_none())
        else {
            return losers;
        };
        let (pattern, method) = claim.key();
        let group = self.group(&pattern, &method);
        if group
            .and_then(BTreeSet::first)
            .is_none_or(|(_, first)| first != object)
        {
            return losers;
        }
        let rivals = group.into_iter().flatten().skip(1);
        losers.first = rivals.map(|(_, rival)| rival).next();
        losers.count = group.map_or(0, |group| group.len() - 1);
        if covers_everything(&pattern) {
            let shorter = (0..pattern.literal.len()).rev().map(wide);
            for (shorter, own, group) in shorter.flat_map(|p| self.groups(p, &method)) {
                if self.shadower(&shorter, own) == Some(object) {
                    losers.count += 1;
                    losers.first = losers
                        .first
                        .or_else(|| group.first().map(|(_, shadowed)| shadowed));
                }
            }
        }
        losers
    }

    /// The first of every group that may shade, or be shaded by, a match with one of these methods.
    fn shaded(&self, methods: &BTreeSet<String>) -> BTreeSet<ObjectKey> {
        let patterns = || (0..=SERVED_PREFIX.len()).map(wide);
        let mut objects = BTreeSet::new();
        for method in methods {
            let any = (method != "*").then(|| patterns().flat_map(|p| self.group_of(p, "*")));
            let groups = patterns().flat_map(|p| self.groups(p, method)).map(|(_, _, g)| g);
            let first = groups
                .chain(any.into_iter().flatten())
                .filter_map(BTreeSet::first);
            objects.extend(first.map(|(_, object)| object.clone()));
        }
        objects
    }

    /// The groups of a pattern whose requests a claim with this method takes, or for `*` all of them.
    fn groups(
        &self,
        pattern: Pattern,
        method: &str,
    ) -> impl Iterator<Item = (Pattern, &str, &BTreeSet<Senior>)> {
        let methods = self.by_match.get(&pattern);
        let one = methods
            .filter(|_| method != "*")
            .and_then(|all| all.get_key_value(method));
        let all = methods.filter(|_| method == "*").into_iter().flatten();
        one.into_iter()
            .chain(all)
            .map(move |(method, group)| (pattern.clone(), method.as_str(), group))
    }

    fn group_of(&self, pattern: Pattern, method: &str) -> Option<&BTreeSet<Senior>> {
        self.group(&pattern, method)
    }

    fn group(&self, pattern: &Pattern, method: &str) -> Option<&BTreeSet<Senior>> {
        self.by_match.get(pattern)?.get(method)
    }

    fn summary(&self, pattern: &Pattern, method: &str) -> Summary {
        let group = self.group(pattern, method);
        let mut best = group.into_iter().flatten().take(2).cloned();
        Summary {
            first: best.next(),
            second: best.next(),
            count: group.map_or(0, BTreeSet::len),
        }
    }

    fn first(&self, pattern: &Pattern, method: &str) -> Option<&Senior> {
        self.group(pattern, method)?.first()
    }

    /// The claim to which this pattern loses every request.
    ///
    /// Only a wildcard that ends before `/proxy` does can lose all: whatever else a pattern takes, no finite set of other
    /// patterns takes it too, since the next byte (or the method) can be one that none of them names.
    fn shadower(&self, pattern: &Pattern, method: &str) -> Option<&ObjectKey> {
        if !covers_everything(pattern) {
            return None;
        }
        (pattern.literal.len() + 1..=SERVED_PREFIX.len())
            .rev()
            .find_map(|length| {
                let longer = wide(length);
                let winner = self.first(&longer, method).or_else(|| self.first(&longer, "*"))?;
                Some(&winner.1)
            })
    }
}

// === impl Claim ===

impl Claim {
    fn key(&self) -> (Pattern, String) {
        (Pattern::parse(&self.path), self.method.clone())
    }

    fn seniority(&self) -> Senior {
        (self.created, self.object.clone())
    }
}

/// The pattern that takes everything below so many bytes of the served prefix.
fn wide(length: usize) -> Pattern {
    Pattern {
        literal: SERVED_PREFIX.as_bytes()[..length].to_vec(),
        wildcard: true,
    }
}

/// Does it take every path below `/proxy`?
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
