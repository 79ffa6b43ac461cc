use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock, Weak};

use parking_lot::Mutex;
use regex_automata::meta::{Config, Regex};
use regex_automata::util::captures::Captures;
use regex_automata::util::iter::Searcher;
use regex_automata::{Input, Match, Span};

use super::{scratch, size};
use crate::directives::work::{Spent, Work};

/// One expression, shared by all rules of all objects that are written with the same text.
#[derive(Debug)]
pub(in crate::directives) struct Expression {
    id: u64,
    written: Box<str>,
    /// States, each counted once more for every group: time and memory grow with both.
    size: u64,
    /// No match is longer.
    longest: Option<usize>,
    names: Vec<(usize, Box<str>)>,
    groups: usize,
    /// Made by the first request that needs it. Absent inside when it cannot be made, which its size rules out.
    built: OnceLock<Option<Regex>>,
}

/// Everything that is in use, by its text.
static SHARED: LazyLock<Mutex<HashMap<Box<str>, Weak<Expression>>>> = LazyLock::new(Mutex::default);

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Below that nobody looks for texts that are used no longer.
const FEW: usize = 64;

/// Of the states that a lazy automaton has found, for one worker; what outgrows it is matched without.
const AUTOMATON: usize = 64 << 10;
/// Of an automaton that is made at once, where an expression is simple enough.
const ONE_PASS: usize = 16 << 10;

// === impl Expression ===

impl Expression {
    /// # Errors
    /// A sentence on what is wrong with the expression.
    pub(in crate::directives) fn of(written: &str) -> Result<Arc<Self>, String> {
        let mut shared = SHARED.lock();
        if let Some(known) = shared.get(written).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let expression = Arc::new(Self::parse(written)?);
        if shared.len() >= FEW && shared.len() == shared.capacity() {
            shared.retain(|_, expression| expression.strong_count() > 0);
        }
        shared.insert(written.into(), Arc::downgrade(&expression));
        Ok(expression)
    }

    fn parse(written: &str) -> Result<Self, String> {
        let hir = super::parse(written)?;
        let (names, groups) = size::groups(&hir);
        let each = u64::try_from(groups).unwrap_or(u64::MAX);
        Ok(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            written: written.into(),
            size: size::states(&hir).saturating_mul(each),
            longest: hir.properties().maximum_len(),
            names,
            groups,
            built: OnceLock::new(),
        })
    }

    pub(in crate::directives) fn written(&self) -> &str {
        &self.written
    }

    pub(in crate::directives) fn size(&self) -> u64 {
        self.size
    }

    /// The number of the group with this name or number.
    pub(super) fn group_of(&self, name: &str) -> Option<usize> {
        match name.parse::<usize>() {
            Ok(number) if name.bytes().all(|byte| byte.is_ascii_digit()) => {
                (number < self.groups).then_some(number)
            }
            _ => self
                .names
                .iter()
                .find(|(_, known)| **known == *name)
                .map(|(number, _)| *number),
        }
    }

    /// Shows every match to `each`, from the first to the last.
    ///
    /// # Errors
    /// When the steps are spent, or with what `each` says.
    pub(super) fn each_match<E: From<Spent>>(
        &self,
        text: &[u8],
        work: &Work,
        mut each: impl FnMut(&Captures, Span) -> Result<(), E>,
    ) -> Result<(), E> {
        // How far the engine looks, nobody can tell but by a bound: everything, once, whatever is found.
        work.spend_each(text.len() + 1, self.size)?;
        let Some(regex) = self.built.get_or_init(|| build(&self.written)) else {
            return Err(Spent.into());
        };
        scratch::with(self.id, regex, |cache| {
            // Asking for captures allocates, even in vain.
            if regex
                .search_half_with(cache, &Input::new(text).earliest(true))
                .is_none()
            {
                return Ok(());
            }
            let mut captures = regex.create_captures();
            let mut searcher = Searcher::new(Input::new(text));
            let mut is_paid = true;
            loop {
                let mut paid = Ok(());
                let found = searcher.advance(|input| {
                    regex.search_captures_with(cache, input, &mut captures);
                    let found = captures.get_match();
                    if !std::mem::take(&mut is_paid) {
                        let reach = self.reach(found.as_ref(), input);
                        let looked_at = reach.saturating_sub(input.start()) + 1;
                        paid = paid.and(work.spend_each(looked_at, self.size));
                    }
                    Ok(found)
                });
                paid?;
                let Some(found) = found else { return Ok(()) };
                each(&captures, found.span())?;
            }
        })
    }

    /// How far a search that found this can have looked: what could still have become another match is no longer than the
    /// longest one.
    fn reach(&self, found: Option<&Match>, input: &Input<'_>) -> usize {
        let bound = found
            .zip(self.longest)
            .map(|(found, longest)| found.end().saturating_add(longest));
        bound.map_or(input.end(), |bound| bound.min(input.end()))
    }
}

fn build(written: &str) -> Option<Regex> {
    let config = Config::new()
        .utf8_empty(false)
        .nfa_size_limit(None)
        .hybrid_cache_capacity(AUTOMATON)
        .onepass_size_limit(Some(ONE_PASS))
        .dfa(false);
    let hir = super::parse(written).ok()?;
    Regex::builder().configure(config).build_from_hir(&hir).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_expression_and_what_is_unused_goes() {
        let one = Expression::of("^/shared/(x)").unwrap();
        let other = Expression::of("^/shared/(x)").unwrap();
        assert!(Arc::ptr_eq(&one, &other));
        assert!(
            one.built.get().is_none(),
            "nothing is made before a request needs it"
        );
        drop((one, other));
        for number in 0..10_000 {
            drop(Expression::of(&format!("^/unused/{number}")).unwrap());
        }
        assert!(SHARED.lock().len() <= 1_000);
    }

    /// What the budgets rest on: bytes for each state, and some that do not depend on it.
    #[test]
    fn memory_follows_the_size() {
        for written in [
            "a",
            "^/proxy/([^/]+)/(.*)$",
            "[ab]*a[ab]{990}c",
            "(?i)[a-z]{1,300}(b|c|d){20}",
            "(a|b|c|d|e|f|g)(x){1,9}",
            "(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.){1,30}",
        ] {
            let expression = Expression::of(written).unwrap();
            let regex = build(written).unwrap();
            let text = "ab".repeat(400);
            let mut cache = regex.create_cache();
            let mut captures = regex.create_captures();
            regex.search_captures_with(&mut cache, &text.as_str().into(), &mut captures);
            let size = usize::try_from(expression.size()).unwrap();
            let program = regex.memory_usage();
            assert!(
                program <= 64 * size + (40 << 10),
                "{written}: {program} bytes for {size}"
            );
            let scratch = cache.memory_usage();
            assert!(
                scratch <= 64 * size + (400 << 10),
                "{written}: {scratch} bytes for {size}"
            );
        }
    }
}
