//! The memory that workers search with. Each keeps that of the expressions it used last, and no more of it than a few MiB:
//! it does not grow with the number of expressions.

use std::cell::RefCell;
use std::mem::take;

use regex_automata::meta::{Cache, Regex};

/// Of each worker.
const MOST_CACHES: usize = 32;
const MOST_BYTES: usize = 4 << 20;

thread_local! {
    /// By the number of their expression, the one that was used last at the end.
    static CACHES: RefCell<Vec<(u64, Cache)>> = const { RefCell::new(Vec::new()) };
}

/// Lends the memory for one expression.
pub(super) fn with<T>(id: u64, regex: &Regex, search: impl FnOnce(&mut Cache) -> T) -> T {
    let mut caches = CACHES.with_borrow_mut(take);
    let kept = caches.iter().position(|(of, _)| *of == id);
    let mut cache = match kept {
        Some(at) => caches.remove(at).1,
        None => regex.create_cache(),
    };
    let result = search(&mut cache);
    caches.push((id, cache));
    bound(&mut caches);
    CACHES.set(caches);
    result
}

fn bound(caches: &mut Vec<(u64, Cache)>) {
    let mut bytes = 0;
    let newest_first = caches.iter().rev();
    let fitting = newest_first.take(MOST_CACHES).take_while(|(_, cache)| {
        bytes += cache.memory_usage();
        bytes <= MOST_BYTES
    });
    let fitting = fitting.count();
    caches.drain(..caches.len() - fitting);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> (usize, usize) {
        CACHES.with_borrow(|caches| {
            let bytes = caches.iter().map(|(_, cache)| cache.memory_usage());
            (caches.len(), bytes.sum())
        })
    }

    #[test]
    fn memory_does_not_grow_with_the_number_of_expressions() {
        for id in 0..200 {
            let regex = Regex::new(&format!("[ab]*a[ab]{{900}}c{id}")).unwrap();
            with(id, &regex, |cache| {
                regex.search_half_with(cache, &"ab".repeat(2_000).as_str().into())
            });
            let (number, bytes) = kept();
            assert!(number <= MOST_CACHES && bytes <= MOST_BYTES, "{number}, {bytes}");
        }
        let (number, _) = kept();
        assert!(number > 0, "the last one is kept");
        let last = CACHES.with_borrow(|caches| caches.last().map(|(id, _)| *id));
        assert_eq!(last, Some(199));
    }
}
