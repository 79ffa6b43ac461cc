//! What was seen, as a table for people, and as the one of the documentation.

use anyhow::{Context, Result, ensure};
use genkan_e2e::browser::Seen;

use crate::recipe::{Fault, Recipe, Way};

/// One UI in all ways.
#[derive(Debug)]
pub struct Row {
    pub name: &'static str,
    setting: &'static str,
    faults: Vec<(Way, Fault)>,
    pub used: Vec<(Way, Used)>,
    /// What is not as the recipe says.
    pub wrong: Vec<String>,
}

/// One UI in one way.
#[derive(Debug)]
pub struct Used {
    pub outcome: Result<(), String>,
    pub errors: Vec<String>,
    /// Paths of its own origin, outside of what is its.
    pub escaped: Vec<String>,
    /// What was answered with an error, or not at all.
    pub refused: Vec<String>,
}

/// What browsers ask each origin for by themselves.
const ICON: &str = "/favicon.ico";
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
            setting: recipe.aware.setting,
            faults: recipe.faults.to_vec(),
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
        let sockets = origin.replacen("http", "ws", 1);
        let own = |url: &str| -> Option<String> {
            let rest = url
                .strip_prefix(origin)
                .or_else(|| url.strip_prefix(sockets.as_str()))?;
            rest.starts_with('/').then(|| rest.to_owned())
        };
        let inside = |path: &str| {
            let rest = path.strip_prefix(below);
            rest.is_some_and(|rest| below.is_empty() || rest.is_empty() || rest.starts_with(['/', '?']))
        };
        let mut escaped: Vec<_> = seen.asked.iter().filter_map(|asked| own(&asked.url)).collect();
        escaped.retain(|path| !inside(path) && path != ICON);
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

/// For whoever runs it: the outcome, errors on the console, and requests that escaped.
pub fn printed(rows: &[Row]) -> String {
    let mut text = format!("{:<14}", "");
    for way in Way::all() {
        text.push_str(&format!("{:<34}", way.name()));
    }
    for row in rows {
        text.push_str(&format!("\n{:<14}", row.name));
        for (_, used) in &row.used {
            let outcome = if used.outcome.is_ok() { "works" } else { "fails" };
            let (errors, escaped) = (used.errors.len(), used.escaped.len());
            let cell = format!("{outcome}, {errors} errors, {escaped} escaped");
            text.push_str(&format!("{cell:<34}"));
        }
    }
    text.push('\n');
    text
}

/// As the documentation has it.
fn documented(rows: &[Row]) -> String {
    let mut text = String::from("| |");
    let mut rule = String::from("\n| --- |");
    for way in Way::all() {
        text.push_str(&format!(" {} |", way.title()));
        rule.push_str(" --- |");
    }
    text.push_str(&rule);
    text.push('\n');
    for row in rows {
        text.push_str(&format!("| {} |", row.name));
        for way in Way::all() {
            let fault = row.faults.iter().find(|(known, _)| *known == way);
            match fault {
                None => text.push_str(" works"),
                Some((_, Fault::Fails(path))) => text.push_str(&format!(" fails: asks for `{path}`")),
                Some((_, Fault::Leaks(path))) => text.push_str(&format!(" works, and asks for `{path}`")),
            }
            if way == Way::Aware {
                text.push_str(&format!(": {}", row.setting));
            }
            text.push_str(" |");
        }
        text.push('\n');
    }
    text
}

/// With the page; `GENKAN_REWRITE=1` writes it instead.
pub fn compare(rows: &[Row]) -> Result<()> {
    let page = std::fs::read_to_string(PAGE).context("docs/web-uis.md")?;
    let (before, rest) = page
        .split_once(BEGIN)
        .context("docs/web-uis.md has no place for the table")?;
    let (written, after) = rest
        .split_once(END)
        .context("the table of docs/web-uis.md has no end")?;
    let found = documented(rows);
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
