use std::fmt;

use bytes::Bytes;
use genkan_routing::model::policy::Direction;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::ProblemReason;
use super::overrides::Settings;
use crate::expr::Expr;
use crate::jsonata::Jsonata;
use crate::limiters::Limiters;
use crate::template::Template;
use crate::world::{Alias, Aliases, ObjectFacts, World};

/// Where a step stands: what its configuration may refer to.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(super) object: &'a ObjectFacts<'a>,
    pub(super) world: &'a World,
    pub(crate) limiters: &'a Limiters,
    pub(crate) settings: &'a Settings,
    pub(crate) on: Direction,
    /// Of the object, or of the extension that the step comes from.
    pub(super) secrets: &'a Aliases,
    pub(super) secrets_are: &'static str,
    /// Of whoever uses the definition that the step is part of.
    pub(super) outer: Option<&'a Site<'a>>,
    /// Of that definition, as far as they are known when it is linked.
    pub(super) params: Option<&'a Map<String, Value>>,
    /// The extension that the step comes from.
    pub(super) extension: Option<&'a str>,
    /// Bytes of a body that the entry lets its steps read.
    pub(super) max_body: Option<u64>,
    /// The request line for the backend is made already, and who it is told that calls.
    pub(crate) is_line_made: bool,
    /// An answer of genkan's own that is an error.
    pub(crate) is_of_error: bool,
}

/// What is wrong with a configuration.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) reason: ProblemReason,
    /// Such as `with.rules[0].cel`.
    pub(crate) field: String,
    pub(crate) message: String,
}

/// In front of an alias that a user of a definition gave.
pub(super) const OF_USER: char = '@';

// === impl Site ===

impl Site<'_> {
    /// The configuration, by the members that the step has; others are refused.
    pub(crate) fn read<T: DeserializeOwned>(&self, with: &Map<String, Value>) -> Result<T, Fault> {
        let value = Value::Object(with.clone());
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            let field = match path.as_str() {
                "." | "?" => "with".to_owned(),
                path => format!("with.{}", path.trim_end_matches(".?")),
            };
            Fault::new(&field, error.inner().to_string())
        })
    }

    /// Bytes of a body that a step reads, which says `own` itself; the entry that it is of has the last word.
    pub(crate) fn body_bytes(&self, own: Option<u64>) -> Option<u64> {
        let said = own.or(self.settings.body_bytes);
        [said, self.max_body].into_iter().flatten().min()
    }

    /// CEL.
    pub(crate) fn expr(&self, field: &str, text: &str) -> Result<Expr, Fault> {
        Expr::compile(text).map_err(|error| Fault::new(field, error))
    }

    pub(crate) fn jsonata(&self, field: &str, text: &str) -> Result<Jsonata, Fault> {
        Jsonata::compile(text).map_err(|error| Fault::new(field, error))
    }

    /// A text that may hold CEL.
    pub(crate) fn template(&self, field: &str, text: &str) -> Result<Template, Fault> {
        Template::parse(text).map_err(|error| Fault::new(field, error))
    }

    /// A text that may not.
    pub(crate) fn fixed<'t>(&self, field: &str, text: &'t str) -> Result<&'t str, Fault> {
        if text.contains("{{") {
            return Err(Fault::new(field, "it has to be written out, without {{ }}"));
        }
        Ok(text)
    }

    pub(crate) fn alias(&self, field: &str, name: &str) -> Result<&Alias, Fault> {
        if let (Some(name), Some(outer)) = (name.strip_prefix(OF_USER), self.outer) {
            return outer.alias(field, name);
        }
        let missing = || format!("there is no alias {name} in {}", self.secrets_are);
        self.secrets.get(name).ok_or_else(|| Fault::new(field, missing()))
    }

    /// `ENTRY/PATH` of the extension that the step is of; of other steps, of any.
    pub(crate) fn file(&self, field: &str, path: &str) -> Result<&Bytes, Fault> {
        let path = self.fixed(field, path)?;
        let missing = || format!("there is no file {path}; files are named ENTRY/PATH");
        self.world
            .files
            .get(self.extension, path)
            .ok_or_else(|| Fault::new(field, missing()))
    }

    /// For what outlives a plan: the object, the place and the configuration.
    pub(crate) fn limiter_key(&self, uses: &str, label: &str, with: &Map<String, Value>) -> String {
        let with = Value::Object(with.clone());
        format!("{}\n{label}\n{uses}\n{with}", self.object.title())
    }

    /// # Errors
    /// Where hooks of `PostRequest` stand, nothing of this is looked at any more.
    pub(crate) fn refuse_behind_line(&self, field: &str, what: &str) -> Result<(), Fault> {
        if self.is_line_made {
            let text = format!(
                "{what} is not changed at PostRequest, where the request line is made already; use PreRequest"
            );
            return Err(Fault::new(field, text));
        }
        Ok(())
    }
}

impl fmt::Debug for Site<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Site(..)")
    }
}

// === impl Fault ===

impl Fault {
    pub(crate) fn new(field: &str, message: impl Into<String>) -> Self {
        Self {
            reason: ProblemReason::Invalid,
            field: field.to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self {
            reason: ProblemReason::Unsupported,
            field: String::new(),
            message: message.into(),
        }
    }
}
