use std::collections::BTreeMap;

use genkan_routing::{Claim, Claims, RouteTable, Standing, is_served_path};

use super::random::Random;

const PATHS: &[&str] = &[
    "*",
    "/*",
    "/p*",
    "/prox*",
    "/proxy*",
    "/proxy",
    "/proxy/*",
    "/proxy/**",
    "/proxy/x",
    "/proxy/x*",
    "/proxy/x/*",
    "/other/*",
];
const METHODS: &[&str] = &["GET", "POST", "*"];

fn mk_claim(random: &mut Random) -> Claim {
    Claim {
        name: format!("p{}", random.below(12)),
        path: (*random.pick(PATHS)).to_owned(),
        method: (*random.pick(METHODS)).to_owned(),
        created: i64::try_from(random.below(3)).unwrap(),
    }
}

fn standings(claims: &Claims, names: &BTreeMap<String, Claim>) -> BTreeMap<String, Standing> {
    names
        .keys()
        .map(|name| (name.clone(), claims.standing(name).unwrap()))
        .collect()
}

#[test]
fn an_edit_changes_only_those_that_are_said_to_be_affected() {
    for seed in 0..60 {
        let mut random = Random::new(200 + seed);
        let (mut claims, mut names) = (Claims::new(), BTreeMap::new());
        for _ in 0..60 {
            let before = standings(&claims, &names);
            let claim = mk_claim(&mut random);
            let mut touched = vec![claim.name.clone()];
            if random.below(3) == 0 {
                names.remove(&claim.name);
                let removed = claims.remove(&claim.name);
                touched.extend(removed.iter().flat_map(|claim| claims.affected(claim)));
            } else {
                names.insert(claim.name.clone(), claim.clone());
                let replaced = claims.insert(claim.clone());
                touched.extend(replaced.iter().flat_map(|claim| claims.affected(claim)));
                touched.extend(claims.affected(&claim));
            }
            for (name, standing) in standings(&claims, &names) {
                if before.get(&name) != Some(&standing) {
                    assert!(touched.contains(&name), "{name} became {standing:?} unnoticed");
                }
            }
        }
    }
}

#[test]
fn standings_are_what_requests_find() {
    let requests: Vec<(&str, String)> = [
        "/proxy",
        "/proxy/",
        "/proxy/x",
        "/proxy/x/",
        "/proxy/xy",
        "/proxyfoo",
        "/proxy/z/é",
    ]
    .iter()
    .flat_map(|path| ["GET", "POST", "PUT"].map(|method| (method, (*path).to_owned())))
    .collect();
    for seed in 0..200 {
        let mut random = Random::new(300 + seed);
        let (mut claims, mut names) = (Claims::new(), BTreeMap::new());
        for _ in 0..10 {
            let claim = mk_claim(&mut random);
            names.insert(claim.name.clone(), claim.clone());
            claims.insert(claim);
        }
        let mut all = RouteTable::new();
        // Oldest last, so that it replaces the younger ones with the same match.
        let mut ordered: Vec<&Claim> = names.values().collect();
        ordered.sort_by(|a, b| (b.created, &b.name).cmp(&(a.created, &a.name)));
        for claim in ordered {
            all.insert(&claim.path, &claim.method, claim.name.clone());
        }
        for (name, standing) in standings(&claims, &names) {
            let wins = requests
                .iter()
                .filter(|(_, path)| is_served_path(path))
                .any(|(method, path)| all.lookup(method, path.as_bytes()) == Some(&name));
            match standing {
                Standing::Wins => assert!(wins, "{name} wins nothing: {names:?}"),
                Standing::Conflicted { winner, .. } => assert!(!wins && names.contains_key(&winner)),
                Standing::Shadowed { winner, .. } => assert!(!wins && names.contains_key(&winner)),
                Standing::Unreachable { .. } => assert!(!wins && names[&name].path == "/other/*"),
            }
        }
    }
}
