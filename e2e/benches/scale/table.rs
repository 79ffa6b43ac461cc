use std::fmt;
use std::time::Duration;

/// A table as Markdown writes it.
#[derive(Debug)]
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

// === impl Table ===

impl Table {
    pub fn new(head: &[&'static str]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Printed at once as well: a run of half an hour that breaks off has not been for nothing.
    pub fn row<const N: usize>(&mut self, row: [String; N]) {
        println!("{}", row.join(" | "));
        self.rows.push(row.to_vec());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.head.join(" | "))?;
        writeln!(f, "|{}", " --: |".repeat(self.head.len()))?;
        self.rows
            .iter()
            .try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

pub fn mib(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}

pub fn kib_each(kib: u64, count: usize) -> String {
    format!("{:.2}", kib as f64 / count.max(1) as f64)
}

pub fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}

/// Of sorted times the one that so many hundredths are below.
pub fn at(sorted: &[Duration], hundredths: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((sorted.len() * hundredths / 100).min(last))
        .copied()
        .unwrap_or_default()
}
