/// Words of a command: by blanks, `"…"` with `\` escapes, `'…'` as it is, until a `#` that begins a word.
///
/// # Errors
///
/// A quote is not closed.
pub(crate) fn words(command: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    let next = chars.next().ok_or("a quote is not closed")?;
                    match next {
                        next if next == c => break,
                        '\\' if c == '"' => word.push(chars.next().ok_or("a quote is not closed")?),
                        next => word.push(next),
                    }
                }
            }
            '#' if word.is_none() => break,
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}
