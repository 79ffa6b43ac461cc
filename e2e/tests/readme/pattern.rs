//! Printed lines with `...` in them, compared with what was really printed.

use anyhow::{Result, bail};

/// Whether the output is what the page says. Runs of blanks are one, and empty lines do not count.
pub fn check(wanted: &[String], output: &str) -> Result<()> {
    let tidy = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines = |text: Vec<String>| {
        text.into_iter()
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
    };
    let wanted = lines(wanted.iter().map(|line| tidy(line)).collect());
    let seen = lines(output.lines().map(tidy).collect());
    if wanted.is_empty() || lines_fit(&wanted, &seen) {
        return Ok(());
    }
    bail!(
        "wanted:\n  {}\nprinted:\n  {}",
        wanted.join("\n  "),
        seen.join("\n  ")
    )
}

fn lines_fit(wanted: &[String], seen: &[String]) -> bool {
    match wanted.split_first() {
        None => seen.is_empty(),
        Some((first, rest)) if first == "..." => (0..=seen.len()).any(|skip| lines_fit(rest, &seen[skip..])),
        Some((first, rest)) => {
            seen.first().is_some_and(|line| line_fits(first, line)) && lines_fit(rest, &seen[1..])
        }
    }
}

fn line_fits(wanted: &str, line: &str) -> bool {
    let mut parts = wanted.split("...");
    let Some(mut rest) = parts.next().and_then(|begin| line.strip_prefix(begin.trim_end())) else {
        return false;
    };
    let mut open_end = false;
    for part in parts {
        let part = part.trim();
        open_end = part.is_empty();
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    open_end || rest.is_empty()
}
