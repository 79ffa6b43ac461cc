//! How one UI is had, started, published and used.

use std::path::PathBuf;

use anyhow::Result;
use futures::future::BoxFuture;
use genkan_e2e::browser::Page;
use genkan_e2e::process::Launch;
use genkan_e2e::publish::reverse_proxy;
use serde_json::{Value, json};

/// One UI.
#[derive(Debug)]
pub struct Recipe {
    pub name: &'static str,
    /// As people call it.
    pub title: &'static str,
    /// It is used in every run, not in the whole one alone.
    pub always: bool,
    pub from: From,
    /// What it shows, by name, in the folder that it runs in; `@base@` and `@port@` stand for what a place has.
    pub files: &'static [(&'static str, &'static str)],
    pub launch: fn(&Place) -> Launch,
    /// A path that is answered when it is ready, below the base path.
    pub ready: &'static str,
    /// Where a person begins, below the base path.
    pub start: &'static str,
    pub aware: Aware,
    /// Fields of `spec.upstream` that it needs beside the URL.
    pub upstream: Option<fn() -> Value>,
    /// What a person does, and sees.
    pub act: for<'v> fn(&'v Visit) -> BoxFuture<'v, Result<()>>,
    /// What its console says in every way that works, by host as well.
    pub noise: &'static [&'static str],
    /// In all other ways it works, and asks for nothing outside of its own path.
    pub faults: &'static [(Way, Fault)],
}

/// Where it comes from.
#[derive(Debug, Clone, Copy)]
pub enum From {
    /// Requirements with the version of everything.
    PyPi(&'static str),
    /// `package.json` and `package-lock.json`.
    Npm(&'static str, &'static str),
    /// A program of this package.
    Debian {
        package: &'static str,
        program: &'static str,
    },
}

/// How it learns its base path.
#[derive(Debug, Clone, Copy)]
pub struct Aware {
    /// As a page names the setting.
    pub setting: &'static str,
    /// It is told where it is, and yet expects requests without that.
    pub strips: bool,
}

/// How it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Host,
    Markup,
    Full,
    Aware,
}

/// What is wrong with it. Its pages ask for this path, which lies outside of its own.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// And therefore it does not work.
    Fails(&'static str),
    /// And it works without that.
    Leaks(&'static str),
    /// Nothing leaves its path, but its router finds that in the address and takes it for one of its own pages.
    Lost,
}

/// Where one instance runs.
#[derive(Debug)]
pub struct Place {
    /// With the programs that were fetched.
    pub programs: PathBuf,
    /// Its own.
    pub folder: PathBuf,
    pub port: u16,
    /// `/proxy/NAME` if it is told.
    pub base: Option<String>,
}

/// A page at the place where a person begins.
#[derive(Debug)]
pub struct Visit {
    pub page: Page,
    /// Of the UI, without a slash at the end.
    pub url: String,
    /// A word that no other visit says.
    pub word: &'static str,
}

// === impl Way ===

impl Way {
    const ALL: [Self; 4] = [Self::Host, Self::Markup, Self::Full, Self::Aware];

    /// Those that an object can ask for.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|way| way.directives().is_some())
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Markup => "markup",
            Self::Full => "full",
            Self::Aware => "aware",
        }
    }

    /// As a page calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Host => "by host",
            Self::Markup => "Markup",
            Self::Full => "Full",
            Self::Aware => "aware, and the setting",
        }
    }

    /// Those of the object; none where its definition knows no such field.
    fn directives(self) -> Option<Value> {
        match self {
            Self::Host => Some(json!({})),
            Self::Markup => Some(json!({"rewriteLinks": "Markup"})),
            Self::Full => Some(json!({"rewriteLinks": "Full"})),
            Self::Aware => Some(json!({"stripPathPrefix": null})),
        }
    }
}

// === impl Recipe ===

impl Recipe {
    /// The name of what publishes it.
    pub fn published(&self, way: Way) -> String {
        format!("{}-{}", self.name, way.name())
    }

    /// What publishes it.
    pub fn object(&self, way: Way, port: u16) -> Value {
        let name = self.published(way);
        let prefix = format!("/proxy/{name}");
        let mut object = reverse_proxy(&name, &prefix, &format!("127.0.0.1:{port}"), json!({}));
        let directives = &mut object["spec"]["directives"];
        for (field, value) in way.directives().iter().flat_map(Value::as_object).flatten() {
            directives[field] = value.clone();
        }
        if way == Way::Aware && self.aware.strips {
            directives["stripPathPrefix"] = prefix.into();
        }
        let further = self.upstream.map(|further| further()).unwrap_or_default();
        for (field, value) in further.as_object().into_iter().flatten() {
            object["spec"]["upstream"][field] = value.clone();
        }
        object
    }

    pub fn fault(&self, way: Way) -> Option<Fault> {
        let known = self.faults.iter().find(|(known, _)| *known == way);
        known.map(|(_, fault)| *fault)
    }
}

// === impl Place ===

impl Place {
    /// One of the programs that were fetched, under the name of the UI.
    pub fn launch(&self, program: &str) -> Launch {
        Launch::new(program, self.programs.join(program))
            .current_dir(&self.folder)
            .env("HOME", self.folder.display().to_string())
    }

    /// The file of this name among its own.
    pub fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> String {
        self.port.to_string()
    }

    /// Writes what the UI shows, told where it is.
    pub fn write(&self, files: &[(&str, &str)]) -> Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let base = self.base.as_deref().unwrap_or_default();
        for (name, text) in files {
            let text = text.replace("@base@", base).replace("@port@", &self.port());
            std::fs::write(self.folder.join(name), text)?;
        }
        Ok(())
    }
}
