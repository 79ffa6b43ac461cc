/// Brackets inside of one another at most: the parser reads what stands in one several times, and so the inner ones ever
/// more often; and it calls itself for each sign.
const DEEPEST: usize = 12;

/// Refuses a text that would keep the parser of Rego busy, or take more stack than there is.
///
/// # Errors
/// One sentence with the limit.
pub fn refuse_depth(text: &str) -> Result<(), String> {
    match nesting(text) > DEEPEST {
        true => Err(format!(
            "its brackets or signs are nested deeper than {DEEPEST} levels"
        )),
        false => Ok(()),
    }
}

/// How deep brackets are, and signs in front of one another: not those of texts and remarks.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest, mut signs) = (0_usize, 0, 0);
    let mut letters = text.bytes();
    while let Some(letter) = letters.next() {
        if letter == b'-' {
            signs += 1;
            deepest = deepest.max(signs);
        } else if !letter.is_ascii_whitespace() {
            signs = 0;
        }
        match letter {
            b'#' => {
                letters.by_ref().find(|byte| *byte == b'\n');
            }
            b'`' => {
                letters.by_ref().find(|byte| *byte == b'`');
            }
            b'"' => {
                while let Some(byte) = letters.next() {
                    match byte {
                        b'\\' => {
                            letters.next();
                        }
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'(' | b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_of_texts_are_none() {
        assert_eq!(nesting(r#"a := "[[[\"(" # ((("#), 0);
        assert_eq!(nesting("f([{1}])"), 3);
    }

    #[test]
    fn what_is_too_deep_is_refused_at_once() {
        for many in ["[", "(", "-", "{1:"] {
            let text = format!("package proxy\nauth := {}", many.repeat(20_000));
            assert!(crate::Policy::new(&text).is_err(), "{many}");
        }
    }
}
