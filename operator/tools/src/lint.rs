//! `genkan lint`: judges manifests without a cluster, with the code that will serve them.

mod advice;
mod bases;
mod document;
mod foreign;
mod legacy;
mod locate;
mod object;
mod policies;
mod print;
mod schema;
mod together;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;

use document::Document;

/// What is judged.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 nothing is wrong (there may be warnings), 1 something is, 2 a file cannot be read"
)]
pub struct Args {
    /// Files or folders of manifests, a DataPower zip or the YAML of a DataPower policy; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How findings are printed
    #[arg(
        long,
        short,
        env = "GENKAN_OUTPUT",
        value_enum,
        default_value = "text",
        value_name = "FORMAT"
    )]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One line each
    Text,
    /// One JSON object
    Json,
}

/// How much a remark weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It would be refused, or not served as it stands.
    Error,
    /// It works, but perhaps not as it reads.
    Warning,
}

/// One thing worth saying.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Remark {
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    pub level: Level,
    /// Kind and name; empty where no object could be read.
    pub object: String,
    /// Path of the field; empty if it is about the whole.
    pub field: String,
    pub message: String,
}

/// What came of some manifests.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub files: usize,
    /// ReverseProxies and APIServices.
    pub objects: usize,
    pub remarks: Vec<Remark>,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    let (mut texts, mut archives) = (Vec::new(), Vec::new());
    for path in &args.files {
        let done = match is_zip(path) {
            true => std::fs::read(path)
                .map(|bytes| archives.push((path.display().to_string(), bytes)))
                .map_err(|error| (path.clone(), error)),
            false => read(path, &mut texts),
        };
        if let Err((path, error)) = done {
            eprintln!("genkan: {} cannot be read: {error}", path.display());
            return ExitCode::from(2);
        }
    }
    let report = lint_all(&texts, &archives);
    match args.output {
        Output::Text => print!("{}", print::text(&report)),
        Output::Json => println!("{}", print::json(&report)),
    }
    ExitCode::from(u8::from(report.errors() > 0))
}

/// Judges texts, each with the name of its file, by themselves and together.
pub fn lint(texts: &[(String, String)]) -> Report {
    lint_all(texts, &[])
}

/// The same, with DataPower zips beside them.
pub fn lint_all(texts: &[(String, String)], archives: &[(String, Vec<u8>)]) -> Report {
    let mut report = Report {
        files: texts.len() + archives.len(),
        ..Report::default()
    };
    let mut documents: Vec<Document<'_>> = Vec::new();
    for (file, text) in texts {
        documents.extend(document::read(file, text, &mut report.remarks));
    }
    let archives = archives.iter();
    documents.extend(archives.map(|(file, bytes)| foreign::archive(file, bytes)));
    for document in documents.iter().filter(|d| d.is_published() && !d.is_made) {
        report.objects += 1;
        object::check(document, &mut report.remarks);
    }
    together::check(&documents, &mut report.remarks);
    bases::check(&documents, &mut report.remarks);
    report.remarks.sort();
    report.remarks.dedup();
    report
}

fn is_zip(path: &Path) -> bool {
    let extension = path.extension();
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case("zip"))
}

fn read(path: &Path, texts: &mut Vec<(String, String)>) -> Result<(), (PathBuf, std::io::Error)> {
    let failed = |error| (path.to_owned(), error);
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
        texts.push(("-".into(), text));
    } else if path.is_dir() {
        for file in crate::directory::yaml_files(path).map_err(failed)? {
            read(&file, texts)?;
        }
    } else {
        let text = std::fs::read_to_string(path).map_err(failed)?;
        texts.push((path.display().to_string(), text));
    }
    Ok(())
}

// === impl Report ===

impl Report {
    pub fn errors(&self) -> usize {
        self.remarks.iter().filter(|r| r.level == Level::Error).count()
    }

    pub fn warnings(&self) -> usize {
        self.remarks.len() - self.errors()
    }
}
