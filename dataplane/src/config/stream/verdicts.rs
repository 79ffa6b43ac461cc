use genkan_proto::v1alpha1::Verdict;
use prost::Message;

/// Bytes of all verdicts of one acknowledgement: an operator reads messages of 8 MiB, and one that it does not read would
/// end the stream again and again, for everybody.
const MOST: usize = 6 << 20;
/// Of one message, which ends in a condition.
const MAX_MESSAGE: usize = 1024;
/// Tag and length of each verdict.
const FRAMING: usize = 5;

/// As much of them as is read: messages are cut, then left out, and then the last verdicts.
pub(super) fn bounded(mut verdicts: Vec<Verdict>) -> Vec<Verdict> {
    for verdict in &mut verdicts {
        let cut = verdict.message.floor_char_boundary(MAX_MESSAGE);
        verdict.message.truncate(cut);
    }
    let size = |verdict: &Verdict| verdict.encoded_len() + FRAMING;
    if verdicts.iter().map(size).sum::<usize>() <= MOST {
        return verdicts;
    }
    verdicts.iter_mut().for_each(|verdict| verdict.message.clear());
    let count = verdicts.len();
    let mut used = 0;
    let fits = |verdict: &&Verdict| {
        used += size(verdict);
        used <= MOST
    };
    let kept = verdicts.iter().take_while(fits).count();
    verdicts.truncate(kept);
    tracing::warn!(
        count,
        kept,
        "too many objects cannot be built for the operator to be told all about them"
    );
    verdicts
}

#[cfg(test)]
mod tests {
    use genkan_proto::v1alpha1::ResourceRef;

    use super::*;

    fn mk_verdicts(count: usize, message: &str) -> Vec<Verdict> {
        let verdict = |n: usize| Verdict {
            resource: Some(ResourceRef {
                name: format!("object-{n}"),
                ..ResourceRef::default()
            }),
            message: message.into(),
            ..Verdict::default()
        };
        (0..count).map(verdict).collect()
    }

    #[test]
    fn verdicts_never_grow_past_what_is_read() {
        let few = mk_verdicts(3, "why");
        assert_eq!(bounded(few.clone()), few);
        assert_eq!(bounded(mk_verdicts(1, &"ä".repeat(2_000)))[0].message.len(), 1024);
        let many = bounded(mk_verdicts(20_000, &"x".repeat(500)));
        assert!(many.len() == 20_000 && many.iter().all(|verdict| verdict.message.is_empty()));
        let flood = bounded(mk_verdicts(1_000_000, "x"));
        let bytes: usize = flood.iter().map(|verdict| verdict.encoded_len() + FRAMING).sum();
        assert!(flood.len() > 100_000 && bytes <= MOST);
    }
}
