use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::*;

fn mk_claim(size: usize, created: i64) -> Claim {
    Claim {
        size,
        weight: size,
        created,
        free_to_grow: false,
    }
}

type Change = (&'static str, Option<Claim>);

fn put(key: &'static str, size: usize, created: i64) -> Change {
    (key, Some(mk_claim(size, created)))
}

fn inside(budget: &Budget<&'static str>) -> Vec<&'static str> {
    let all = budget
        .claims
        .iter()
        .filter(|(_, (_, place))| *place == Place::Inside);
    all.map(|(key, _)| *key).collect()
}

fn sorted(keys: BTreeSet<&'static str>) -> Vec<&'static str> {
    keys.into_iter().collect()
}

#[test]
fn the_largest_are_refused_first_then_the_youngest_then_by_name() {
    let mut budget = Budget::new(100);
    budget.settle([put("large", 60, 1), put("old", 30, 1), put("young", 30, 2)]);
    assert_eq!(inside(&budget), ["old", "young"]);
    budget.settle([put("younger", 30, 3), put("youngest", 30, 4)]);
    assert_eq!(inside(&budget), ["old", "young", "younger"]);
    budget.settle([("old", None)]);
    assert_eq!(inside(&budget), ["young", "younger", "youngest"]);
    let moved = budget.settle([("young", None), ("younger", None), ("youngest", None)]);
    assert_eq!(sorted(moved), ["large", "young", "younger", "youngest"]);
    budget.settle([put("b", 40, 1), put("a", 40, 1), put("large", 40, 1)]);
    assert_eq!((inside(&budget), budget.used()), (vec!["a", "b"], 80));
}

#[test]
fn a_small_newcomer_is_never_kept_out_by_large_ones() {
    let mut budget = Budget::new(100);
    budget.settle([put("a", 50, 1), put("b", 50, 2)]);
    assert_eq!(sorted(budget.settle([put("small", 1, 9)])), ["b", "small"]);
    assert_eq!(inside(&budget), ["a", "small"]);
}

#[test]
fn what_grows_displaces_nobody() {
    let mut budget = Budget::new(100);
    budget.settle([put("a", 10, 1), put("b", 80, 2)]);
    assert_eq!(sorted(budget.settle([put("a", 25, 1)])), ["a"]);
    assert_eq!(budget.place(&"a"), Some(Place::Held));
    assert_eq!(
        budget.settle([put("a", 26, 1)]),
        BTreeSet::new(),
        "and not by growing more"
    );
    assert_eq!(inside(&budget), ["b"]);
    assert_eq!(
        budget.settle([put("a", 24, 1)]),
        BTreeSet::new(),
        "nor by coming half the way back"
    );
    budget.settle([put("a", 20, 1)]);
    assert_eq!(inside(&budget), ["a", "b"], "as soon as it fits");
    budget.settle([put("a", 25, 1)]);
    budget.settle([put("b", 75, 2)]);
    assert_eq!(inside(&budget), ["a", "b"], "or the other one makes room");
    budget.settle([put("b", 76, 2)]);
    assert_eq!(
        budget.place(&"b"),
        Some(Place::Outside),
        "it is the largest anyway"
    );
}

#[test]
fn another_object_of_the_same_name_is_no_growth() {
    let mut budget = Budget::new(100);
    budget.settle([put("a", 10, 1), put("b", 80, 2)]);
    budget.settle([put("a", 25, 3)]);
    assert_eq!(inside(&budget), ["a"]);
}

#[test]
fn an_ordinary_edit_of_a_small_object_is_never_held() {
    let mut budget = Budget::new(64 << 20);
    budget.settle([put("small", 300, 1), put("rest", (64 << 20) - 300, 2)]);
    budget.settle([put("small", 4_000, 1)]);
    assert_eq!(inside(&budget), ["small"]);
    let free = Claim {
        free_to_grow: true,
        ..mk_claim(60 << 20, 1)
    };
    budget.settle([
        ("endpoints", Some(mk_claim(1, 1))),
        ("rest", Some(mk_claim(62 << 20, 2))),
    ]);
    budget.settle([("endpoints", Some(free))]);
    assert_eq!(inside(&budget), ["endpoints", "small"]);
}

#[test]
fn those_who_grow_together_are_judged_by_their_rank() {
    let start = [put("a", 10, 1), put("b", 10, 2), put("c", 70, 3)];
    for changes in [
        [put("a", 20, 1), put("b", 15, 2)],
        [put("b", 15, 2), put("a", 20, 1)],
    ] {
        let mut budget = Budget::new(100);
        budget.settle(start);
        budget.settle(changes);
        assert_eq!(
            (inside(&budget), budget.place(&"a")),
            (vec!["b", "c"], Some(Place::Held))
        );
    }
}

#[test]
fn what_is_told_twice_changes_nothing() {
    let mut budget = Budget::new(100);
    let all = [put("a", 60, 1), put("b", 60, 2)];
    assert_eq!(sorted(budget.settle(all)), ["a", "b"]);
    assert_eq!(budget.settle(all), BTreeSet::new());
    assert_eq!(budget.settle([("nobody", None)]), BTreeSet::new());
}

/// Without growth the outcome is a function of what is there, whatever came in which order and how cut into changes.
#[test]
fn the_order_of_arrival_does_not_show() {
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let size = |random: &mut StdRng| random.random_range(1..40);
        let claims: Vec<(usize, Claim)> = (0..30)
            .map(|key| (key, mk_claim(size(&mut random), random.random_range(0..4))))
            .collect();
        let mut expected: Vec<_> = claims.iter().map(|(key, c)| (c.size, c.created, *key)).collect();
        expected.sort_unstable();
        let mut used = 0;
        let fit = expected.iter().take_while(|(size, ..)| {
            used += size;
            used <= 200
        });
        let expected: BTreeSet<usize> = fit.map(|(.., key)| *key).collect();
        let mut order: Vec<(usize, Option<Claim>)> = Vec::new();
        for _ in 0..3 {
            order.extend(claims.iter().map(|(key, claim)| (*key, Some(*claim))));
        }
        order.extend((30..60).flat_map(|key| [(key, Some(mk_claim(5, 0))), (key, None)]));
        order[..60].shuffle(&mut random);
        let mut budget = Budget::new(200);
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(random.random_range(1..=rest.len()));
            budget.settle(batch.iter().copied());
            rest = later;
        }
        let inside: BTreeSet<usize> = budget.inside.iter().map(|(.., key)| *key).collect();
        assert_eq!(inside, expected, "seed {seed}");
    }
}

/// Whatever happens, the accounts are right, nothing that fits stands outside, and growth moves nobody else out.
#[test]
fn accounts_hold_through_any_history() {
    for seed in 0..100 {
        let mut random = StdRng::seed_from_u64(1_000 + seed);
        let mut budget: Budget<usize> = Budget::new(200);
        for _ in 0..300 {
            let key = random.random_range(0..20);
            let claim = (random.random_range(0..4) > 0).then(|| mk_claim(random.random_range(1..60), 0));
            let before = budget.claims.clone();
            let moved = budget.settle([(key, claim)]);
            let used: usize = budget.inside.iter().map(|(size, ..)| size).sum();
            assert!(used == budget.used && used <= 200);
            assert!(budget.outside.first().is_none_or(|(size, ..)| used + size > 200));
            assert!(budget.held.first().is_none_or(|(size, ..)| used + size > 200));
            assert!(
                budget
                    .outside
                    .first()
                    .is_none_or(|o| budget.inside.last().is_none_or(|i| i < o))
            );
            let grew = match (before.get(&key), claim) {
                (Some((old, Place::Inside)), Some(new)) => new.size > old.size,
                (Some((_, Place::Held)), Some(_)) => true,
                _ => false,
            };
            for other in moved.iter().filter(|other| grew && **other != key) {
                assert_eq!(budget.place(other), Some(Place::Inside), "{other} was displaced");
            }
        }
    }
}

#[test]
fn the_cost_of_a_change_is_not_that_of_the_whole() {
    let mut budget = Budget::new(1 << 30);
    budget.settle((0..200_000usize).map(|key| (key, Some(mk_claim(10_000, 0)))));
    assert!(budget.refused() > 0);
    for key in 200_000..201_000 {
        let moved = budget.settle([(key, Some(mk_claim(300, 1)))]);
        assert!(moved.len() <= 2, "{moved:?}");
    }
}
