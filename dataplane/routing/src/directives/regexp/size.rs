use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

/// An upper bound of the states that the expression compiles to, from what it says alone.
pub(super) fn states(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => count(literal.0.len()),
        // Ranges of one state; some take as much memory as a state.
        HirKind::Class(Class::Bytes(class)) => 1 + count(class.ranges().len()) / 4,
        HirKind::Class(Class::Unicode(class)) => count(class.ranges().len()).saturating_mul(16),
        HirKind::Repetition(repetition) => repeated(repetition),
        HirKind::Capture(capture) => states(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) => sum(parts, 0),
        HirKind::Alternation(branches) => sum(branches, 1),
    }
}

/// What must be there is copied, what may be there is copied behind a branch.
fn repeated(repetition: &Repetition) -> u64 {
    let each = states(&repetition.sub);
    let least = u64::from(repetition.min);
    let required = each.saturating_mul(least);
    let optional = match repetition.max {
        Some(most) => {
            let branches = u64::from(most).saturating_sub(least);
            each.saturating_add(1).saturating_mul(branches)
        }
        // The last of what must be there is what repeats.
        None if least > 0 => 0,
        None => each,
    };
    required.saturating_add(optional).saturating_add(3)
}

fn sum(parts: &[Hir], branch: u64) -> u64 {
    let all = parts.iter().map(states);
    all.fold(2 * branch, |sum, states| {
        sum.saturating_add(states).saturating_add(branch)
    })
}

/// The numbers of the groups, with their names, and one more than the highest number.
pub(super) fn groups(hir: &Hir) -> (Vec<(usize, Box<str>)>, usize) {
    let (mut named, mut count) = (Vec::new(), 1);
    note_groups(hir, &mut named, &mut count);
    (named, count)
}

fn note_groups(hir: &Hir, named: &mut Vec<(usize, Box<str>)>, count: &mut usize) {
    match hir.kind() {
        HirKind::Capture(capture) => {
            let index = capture.index as usize;
            *count = (*count).max(index + 1);
            named.extend(capture.name.clone().map(|name| (index, name)));
            note_groups(&capture.sub, named, count);
        }
        HirKind::Repetition(repetition) => note_groups(&repetition.sub, named, count),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().for_each(|part| note_groups(part, named, count));
        }
        HirKind::Empty | HirKind::Look(_) | HirKind::Literal(_) | HirKind::Class(_) => {}
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use regex_automata::nfa::thompson::{Compiler, Config};

    use super::*;

    #[test]
    fn no_expression_compiles_to_more_states_than_are_foretold() {
        for written in [
            "",
            "a",
            "/{2,}",
            "^/proxy/([^/]+)/(.*)$",
            "[ab]*a[ab]{990}c",
            "(?:a|bc|[d-f]x|){3,9}",
            "(a*)*b+?c??",
            "(((x{2}){3,}y){0,4}|z){5}",
            "(?i)abcdefgh[a-z0-9_.~-]+$",
            r"\b\w{1,40}\B",
            "(|a|){7}",
            "a{0}b{0,}",
        ] {
            let hir = super::super::parse(written).unwrap();
            for reverse in [false, true] {
                let nfa = Compiler::new()
                    .configure(
                        Config::new()
                            .reverse(reverse)
                            .utf8(false)
                            .which_captures(match reverse {
                                true => regex_automata::nfa::thompson::WhichCaptures::None,
                                false => regex_automata::nfa::thompson::WhichCaptures::All,
                            }),
                    )
                    .build_from_hir(&hir)
                    .unwrap();
                // Those of the whole match, and the loop in front of an unanchored search.
                let most = states(&hir) + 8;
                let found = nfa.states().len() as u64;
                assert!(found <= most, "{written}: {found} of {most}");
                assert!(reverse || most <= found * 3 + 16, "{written}: {found} of {most}");
            }
        }
    }
}
