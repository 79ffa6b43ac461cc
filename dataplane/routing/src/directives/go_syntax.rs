//! Go's regular expressions in the syntax of the `regex` crate. What one of the two reads otherwise is rewritten, or refused
//! in one sentence.

/// Go's limit for a counted repetition.
const MAX_REPEAT: u32 = 1000;

/// The same expression for the `regex` crate.
pub(super) fn translate(written: &str) -> Result<String, String> {
    let mut out = String::with_capacity(written.len() + 8);
    let mut rest = written;
    let mut after_repeat = false;
    while let Some(first) = rest.chars().next() {
        let mut is_repeat = false;
        match first {
            '\\' => rest = escape(&rest[1..], &mut out)?,
            '[' => rest = class(rest, &mut out)?,
            '(' => rest = group(rest, &mut out)?,
            '*' | '+' | '?' => {
                is_repeat = true;
                rest = &rest[1..];
                repeat(first.encode_utf8(&mut [0; 4]), after_repeat, &mut rest, &mut out)?;
            }
            '{' => match counted(rest)? {
                Some(length) => {
                    is_repeat = true;
                    let (count, tail) = rest.split_at(length);
                    rest = tail;
                    repeat(count, after_repeat, &mut rest, &mut out)?;
                }
                None => {
                    out.push_str("\\{");
                    rest = &rest[1..];
                }
            },
            // A closing brace or bracket alone is literal for both.
            literal => {
                if matches!(literal, '}' | ']') {
                    out.push('\\');
                }
                out.push(literal);
                rest = &rest[literal.len_utf8()..];
            }
        }
        after_repeat = is_repeat;
    }
    Ok(out)
}

/// A repetition and the `?` that makes it lazy.
fn repeat(operator: &str, after_repeat: bool, rest: &mut &str, out: &mut String) -> Result<(), String> {
    if after_repeat {
        return Err(format!(
            "the repetition {operator} follows another one; put the first into (?:...)"
        ));
    }
    out.push_str(operator);
    if let Some(tail) = rest.strip_prefix('?') {
        out.push('?');
        *rest = tail;
    }
    Ok(())
}

/// The length of `{n}`, `{n,}` or `{n,m}`; anything else in braces is literal.
fn counted(rest: &str) -> Result<Option<usize>, String> {
    let Some(end) = rest.find('}') else {
        return Ok(None);
    };
    let (low, high) = match rest[1..end].split_once(',') {
        Some((low, high)) => (low, high),
        None => (&rest[1..end], ""),
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if low.is_empty() || !is_number(low) || !is_number(high) {
        return Ok(None);
    }
    let too_many =
        |text: &str| !text.is_empty() && text.parse::<u32>().ok().is_none_or(|count| count > MAX_REPEAT);
    if too_many(low) || too_many(high) {
        return Err(format!("{} repeats more than {MAX_REPEAT} times", &rest[..=end]));
    }
    Ok(Some(end + 1))
}

/// What follows a backslash outside a class; returns the rest.
fn escape<'r>(rest: &'r str, out: &mut String) -> Result<&'r str, String> {
    if let Some(literal) = rest.strip_prefix('Q') {
        let (literal, tail) = literal.split_once("\\E").unwrap_or((literal, ""));
        out.push_str(&regex_syntax::escape(literal));
        return Ok(tail);
    }
    if let Some(anchor) = rest
        .chars()
        .next()
        .filter(|first| matches!(first, 'A' | 'b' | 'B' | 'z'))
    {
        out.push('\\');
        out.push(anchor);
        return Ok(&rest[1..]);
    }
    character_escape(rest, out)
}

/// An escape that stands for a character or a class of characters.
fn character_escape<'r>(rest: &'r str, out: &mut String) -> Result<&'r str, String> {
    let Some(first) = rest.chars().next() else {
        return Err("a backslash ends it".into());
    };
    let tail = &rest[first.len_utf8()..];
    match first {
        'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'a' | 'f' | 'n' | 'r' | 't' | 'v' => {
            out.push('\\');
            out.push(first);
            Ok(tail)
        }
        'x' => {
            let length = match tail.strip_prefix('{') {
                Some(braced) => braced.find('}').map(|end| end + 2),
                None => Some(2),
            };
            let digits = length
                .and_then(|length| tail.get(..length))
                .ok_or("the escape \\x is not complete")?;
            out.push_str("\\x");
            out.push_str(digits);
            Ok(&tail[digits.len()..])
        }
        'p' | 'P' => Err("\\p is not supported; a path is ASCII, so write the characters".into()),
        '1'..='9' => Err("back-references are not supported".into()),
        letter if letter.is_ascii_alphanumeric() => Err(format!("the escape \\{letter} does not exist")),
        literal => {
            push_literal(literal, out);
            Ok(tail)
        }
    }
}

/// A group's opening; the flags are those that both know.
fn group<'r>(rest: &'r str, out: &mut String) -> Result<&'r str, String> {
    let Some(special) = rest.strip_prefix("(?") else {
        out.push('(');
        return Ok(&rest[1..]);
    };
    if ["=", "!", "<=", "<!"]
        .iter()
        .any(|look| special.starts_with(look))
    {
        return Err("look-around is not supported".into());
    }
    if special.starts_with("P<") || special.starts_with('<') {
        let end = special.find('>').ok_or("the name of a group is not closed")?;
        let name = special[..end].trim_start_matches('P').trim_start_matches('<');
        out.push_str("(?P<");
        out.push_str(name);
        out.push('>');
        return Ok(&special[end + 1..]);
    }
    let end = special.find([':', ')']).ok_or("a group is not closed")?;
    if let Some(flag) = special[..end].chars().find(|flag| !"imsU-".contains(*flag)) {
        return Err(format!("the flag {flag} does not exist; i, m, s and U do"));
    }
    out.push_str("(?");
    out.push_str(&special[..=end]);
    Ok(&special[end + 1..])
}

/// A class in brackets. Set operations and nesting, which Go reads as plain characters, lose their meaning.
fn class<'r>(rest: &'r str, out: &mut String) -> Result<&'r str, String> {
    let mut rest = &rest[1..];
    out.push('[');
    if let Some(tail) = rest.strip_prefix('^') {
        out.push('^');
        rest = tail;
    }
    let mut is_first = true;
    loop {
        let Some(first) = rest.chars().next() else {
            return Err("a class in brackets is not closed".into());
        };
        match first {
            ']' if !is_first => {
                out.push(']');
                return Ok(&rest[1..]);
            }
            '[' if rest.starts_with("[:") && rest[2..].contains(":]") => {
                let end = rest[2..].find(":]").map_or(rest.len(), |end| end + 4);
                out.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            _ => {
                rest = class_character(rest, out)?;
                // A dash between two characters makes a range; before the closing bracket it is one itself.
                if rest.starts_with('-') && !rest.starts_with("-]") && rest.len() > 1 {
                    out.push('-');
                    rest = class_character(&rest[1..], out)?;
                }
            }
        }
        is_first = false;
    }
}

fn class_character<'r>(rest: &'r str, out: &mut String) -> Result<&'r str, String> {
    match rest.chars().next() {
        Some('\\') => character_escape(&rest[1..], out),
        Some(literal) => {
            push_literal(literal, out);
            Ok(&rest[literal.len_utf8()..])
        }
        None => Err("a class in brackets is not closed".into()),
    }
}

fn push_literal(literal: char, out: &mut String) {
    if regex_syntax::is_meta_character(literal) {
        out.push('\\');
    }
    out.push(literal);
}
