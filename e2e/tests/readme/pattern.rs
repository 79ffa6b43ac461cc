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
    let Some((begin, rest)) = wanted.split_once("...") else {
        return line == wanted;
    };
    let Some(mut line) = line.strip_prefix(begin.trim_end()) else {
        return false;
    };
    let (middle, end) = rest
        .rsplit_once("...")
        .map_or((None, rest), |(middle, end)| (Some(middle), end));
    for part in middle.into_iter().flat_map(|middle| middle.split("...")) {
        let part = part.trim();
        match line.find(part) {
            Some(at) => line = &line[at + part.len()..],
            None => return false,
        }
    }
    line.ends_with(end.trim_start())
}
