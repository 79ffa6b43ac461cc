use std::error::Error;

/// An error with its causes in one sentence: a cause that the ones before it have told already is left out. The outermost
/// text alone of an HTTP client says nothing.
pub fn sentence(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !told.contains(&more) {
            told = format!("{told}: {more}");
        }
        cause = error.source();
    }
    told
}

/// A text without control characters and of at most so many bytes; what is cut ends in `…`.
pub fn bounded(text: String, most: usize) -> String {
    let is_clean = !text.chars().any(char::is_control);
    if is_clean && text.len() <= most {
        return text;
    }
    let cut = text.len() > most;
    let kept = if cut {
        text.floor_char_boundary(most.saturating_sub('…'.len_utf8()))
    } else {
        text.len()
    };
    let blank = |c: char| if c.is_control() { ' ' } else { c };
    // A control character may be longer than the blank in its place, never shorter.
    text[..kept]
        .chars()
        .map(blank)
        .chain(cut.then_some('…'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_and_have_no_control_characters() {
        let text = bounded(format!("a\nb{}", "ä".repeat(2_000)), 1024);
        assert!(text.starts_with("a b") && text.len() <= 1024 && text.ends_with('…'));
        assert_eq!(bounded("whole".into(), 5), "whole");
        assert_eq!(bounded("a\r\u{85}b".into(), 10), "a  b");
        assert_eq!(bounded("too long".into(), 0), "…");
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let error = anyhow::anyhow!("no route")
            .context("connect: no route")
            .context("list");
        assert_eq!(sentence(error.as_ref()), "list: connect: no route");
    }
}
