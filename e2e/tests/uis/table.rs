//! What was seen, as a table for people, and as the one of the documentation.

use anyhow::{Context, Result, ensure};
use genkan_e2e::browser::Seen;

use crate::recipe::{Fault, Recipe, Way};

/// One UI in all ways.
#[derive(Debug)]
pub struct Row {
    pub name: &'static str,
    pub used: Vec<(Way, Used)>,
    /// What is not as the recipe says.
    pub wrong: Vec<String>,
}

/// One UI in one way.
#[derive(Debug)]
pub struct Used {
    pub outcome: Result<(), String>,
    pub errors: Vec<String>,
    /// Where it asked outside of what is its.
    pub escaped: Vec<String>,
    /// How often it did, and was sent back.
    returned: usize,
    /// What was answered with an error, or not at all.
    pub refused: Vec<String>,
}

/// What browsers ask each origin for by themselves.
const ICON: &str = "/favicon.ico";
/// Where nobody but genkan is to look for it.
const LOOPBACK: &str = "http://127.0.0.1:";
/// Of each kind, where something is wrong.
const MOST: usize = 8;
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/web-uis.md");
const BEGIN: &str = "<!-- What `make uis` has seen; GENKAN_REWRITE=1 writes it. -->\n";
const END: &str = "<!-- end -->\n";

// === impl Row ===

impl Row {
    pub fn new(recipe: &Recipe) -> Self {
        Self {
            name: recipe.name,
            used: Vec::new(),
            wrong: Vec::new(),
        }
    }

    /// It could not be used at all.
    pub fn broken(recipe: &Recipe, why: &str) -> Self {
        Self {
            wrong: vec![why.to_owned()],
            ..Self::new(recipe)
        }
    }
}

// === impl Used ===

impl Used {
    pub fn new(outcome: Result<()>, seen: &Seen, origin: &str, below: &str) -> Self {
        let (mut escaped, mut returned) = (Vec::new(), 0);
        for asked in &seen.asked {
            let Some(path) = outside(&asked.url, origin, below) else {
                continue;
            };
            let back = |url: &String| outside(url, origin, below).is_none();
            match asked
                .led_to
                .as_ref()
                .filter(|url| asked.status == Some(307) && back(url))
            {
                Some(_) => returned += 1,
                None => escaped.push(path),
            }
        }
        let refused = seen.asked.iter().filter_map(|asked| {
            let why = match (asked.status, &asked.failed) {
                (Some(status), _) if status >= 400 => status.to_string(),
                (_, Some(failed)) => failed.clone(),
                _ => return None,
            };
            Some(format!("{why} {}", asked.url))
        });
        Self {
            outcome: outcome.map_err(|error| format!("{error:#}")),
            errors: seen
                .errors
                .iter()
                .filter(|error| !error.ends_with(ICON))
                .cloned()
                .collect(),
            escaped,
            returned,
            refused: refused.collect(),
        }
    }
}

impl std::fmt::Display for Used {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kinds = [
            ("console", &self.errors),
            ("escaped", &self.escaped),
            ("refused", &self.refused),
        ];
        for (kind, all) in kinds {
            for one in all.iter().take(MOST) {
                writeln!(f, "  {kind}: {one}")?;
            }
        }
        Ok(())
    }
}

/// What lies outside of what is a UI's: a path of its own origin, or an address that it was to be reached at by genkan alone.
fn outside(url: &str, origin: &str, below: &str) -> Option<String> {
    let url = url.replacen("ws", "http", usize::from(url.starts_with("ws:")));
    let Some(path) = url.strip_prefix(origin).filter(|path| path.starts_with('/')) else {
        return url.starts_with(LOOPBACK).then_some(url);
    };
    let own = path
        .strip_prefix(below)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    (!own && path != ICON).then(|| path.to_owned())
}

/// For whoever runs it: the outcome, errors on the console, and requests that escaped.
pub fn printed(rows: &[Row]) -> String {
    let mut text = format!("{:<14}", "");
    for way in Way::all() {
        text.push_str(&format!("{:<46}", way.name()));
    }
    for row in rows {
        text.push_str(&format!("\n{:<14}", row.name));
        for (_, used) in &row.used {
            let outcome = if used.outcome.is_ok() { "works" } else { "fails" };
            let (errors, escaped) = (used.errors.len(), used.escaped.len());
            let mut cell = format!("{outcome}, {errors} errors, {escaped} escaped");
            if used.returned > 0 {
                cell.push_str(&format!(", {} sent back", used.returned));
            }
            text.push_str(&format!("{cell:<46}"));
        }
    }
    text.push('\n');
    text
}

/// As the documentation has it: what recipes say, which every run holds against what is.
fn documented(recipes: &[Recipe]) -> String {
    let mut text = String::from("| |");
    let mut rule = String::from("\n| --- |");
    for way in Way::all() {
        text.push_str(&format!(" {} |", way.title()));
        rule.push_str(" --- |");
    }
    text.push_str(&rule);
    text.push('\n');
    for recipe in recipes {
        text.push_str(&format!("| {} |", recipe.title));
        for way in Way::all() {
            match recipe.fault(way) {
                None => text.push_str(" works"),
                Some(Fault::Fails(path)) => text.push_str(&format!(" fails: asks for `{path}`")),
                Some(Fault::Lost) => text.push_str(" fails: its router takes the prefix for a page"),
                Some(Fault::Leaks(path)) => text.push_str(&format!(" works, and asks for `{path}`")),
            }
            if way == Way::Aware {
                text.push_str(&format!(": {}", recipe.aware.setting));
            }
            text.push_str(" |");
        }
        text.push('\n');
    }
    text
}

/// With the page; `GENKAN_REWRITE=1` writes it instead.
pub fn compare(recipes: &[Recipe]) -> Result<()> {
    let page = std::fs::read_to_string(PAGE).context("docs/web-uis.md")?;
    let (before, rest) = page
        .split_once(BEGIN)
        .context("docs/web-uis.md has no place for the table")?;
    let (written, after) = rest
        .split_once(END)
        .context("the table of docs/web-uis.md has no end")?;
    let found = documented(recipes);
    if std::env::var_os("GENKAN_REWRITE").is_some() {
        std::fs::write(PAGE, [before, BEGIN, &found, END, after].concat())?;
        return Ok(());
    }
    ensure!(
        written == found,
        "the table of docs/web-uis.md has changed; GENKAN_REWRITE=1 rewrites it. Found:\n{found}"
    );
    Ok(())
}
