//! Reports for people and for programs.

use std::fmt::Write;

use serde_json::json;

use super::{Level, Report};

/// `FILE:LINE: error: OBJECT: FIELD: MESSAGE`, and a last line that counts.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    for remark in &report.remarks {
        let level = match remark.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let _ = write!(out, "{}:{}: {level}: ", remark.file, remark.line);
        for part in [&remark.object, &remark.field] {
            if !part.is_empty() {
                let _ = write!(out, "{part}: ");
            }
        }
        let _ = writeln!(out, "{}", remark.message);
    }
    let _ = writeln!(
        out,
        "{} in {}: {}, {}",
        count(report.objects, "object"),
        count(report.files, "file"),
        count(report.errors(), "error"),
        count(report.warnings(), "warning"),
    );
    out
}

pub(super) fn json(report: &Report) -> String {
    json!({
        "files": report.files,
        "objects": report.objects,
        "errors": report.errors(),
        "warnings": report.warnings(),
        "remarks": report.remarks,
    })
    .to_string()
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
