//! OpenAPI 3.0 and 3.1, as far as bodies of requests go: which operation a request is for, and what its body has to be.

mod schema;
mod template;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use genkan_routing::canonicalize;
use parking_lot::Mutex;
use ring::digest::{Context, SHA256};
use serde_json::{Map, Value};

use crate::json;
use crate::limiters::Table;
use crate::schema::Schema;
use schema::Version;
use template::Template;

/// The operations of a document, compiled once.
#[derive(Debug)]
pub(crate) struct Operations {
    /// In front of the paths of the document: without a slash at the end, the longest first.
    bases: Vec<String>,
    /// The most literal first.
    paths: Vec<(Template, Methods)>,
}

/// The operations of a path, by their methods in small letters.
type Methods = Vec<(String, Option<Body>)>;

/// What an operation says of the bodies that it takes.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) is_required: bool,
    /// By media type; `None`: nothing is said of what such a body holds.
    content: Vec<(String, Option<Arc<Schema>>)>,
}

/// What a document says of the operation of a request.
#[derive(Debug)]
pub(crate) enum Found<'o> {
    /// It takes such requests, and says nothing of bodies.
    Nothing,
    Body(&'o Body),
    /// There is no such operation.
    Unknown,
}

const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];
const MOST_OPERATIONS: usize = 512;
/// References that lead to references.
const LONGEST_CHAIN: usize = 16;

/// Documents that are kept with what they mean: objects are linked again whenever one of them changes.
const MOST_KNOWN: usize = 16;

static KNOWN: LazyLock<Mutex<Table<Vec<u8>, Arc<Operations>>>> =
    LazyLock::new(|| Mutex::new(Table::new(MOST_KNOWN)));

struct Reader<'d> {
    document: &'d Value,
    version: Version,
    formats: bool,
    /// Schemas that are the same text are one.
    known: HashMap<String, Arc<Schema>>,
}

// === impl Operations ===

impl Operations {
    /// Of a file. `base`: in front of the paths, in place of what the servers of the document say.
    ///
    /// # Errors
    /// Where the document is none that can be used, and why.
    pub(crate) fn of_file(bytes: &[u8], base: Option<&str>, formats: bool) -> Result<Arc<Self>, String> {
        let mut key = Context::new(&SHA256);
        let base_key = base.map_or("-".to_owned(), |base| format!("={base}"));
        key.update(format!("{formats}\n{base_key}\n").as_bytes());
        key.update(bytes);
        let key = key.finish().as_ref().to_vec();
        if let Some(known) = KNOWN.lock().get(&key) {
            return Ok(Arc::clone(known));
        }
        let document = json::read(bytes);
        let document = document
            .map_err(|error| format!("{error}; the document has to be JSON, which tools make of YAML"))?;
        let made = Arc::new(Self::read(&document, base, formats)?);
        KNOWN.lock().insert(key, Arc::clone(&made));
        Ok(made)
    }

    fn read(document: &Value, base: Option<&str>, formats: bool) -> Result<Self, String> {
        let mut reader = Reader {
            document,
            version: Version::of(document)?,
            formats,
            known: HashMap::new(),
        };
        let mut bases = match base {
            Some(base) => vec![base_of(base)?],
            None => servers(document)?,
        };
        bases.sort_by_key(|base| std::cmp::Reverse(base.len()));
        bases.dedup();
        let empty = Map::new();
        let paths = document.get("paths").and_then(Value::as_object).unwrap_or(&empty);
        let mut read = Vec::with_capacity(paths.len());
        let mut total = 0;
        for (path, item) in paths.iter().filter(|(path, _)| path.starts_with('/')) {
            let template = Template::parse(path)?;
            let operations = reader.item(path, item)?;
            total += operations.len();
            if total > MOST_OPERATIONS {
                return Err(format!("it has more than {MOST_OPERATIONS} operations"));
            }
            read.push((template, operations));
        }
        read.sort_by_cached_key(|(template, _)| template.precedence());
        Ok(Self { bases, paths: read })
    }

    /// By the method and the canonical path of a request. `HEAD` is as `GET` where nothing else is said.
    pub(crate) fn find(&self, method: &str, path: &str) -> Found<'_> {
        for base in &self.bases {
            let Some(rest) = path.strip_prefix(base.as_str()) else {
                continue;
            };
            let rest = if rest.is_empty() { "/" } else { rest };
            let matching = self.paths.iter().find(|(template, _)| template.matches(rest));
            let Some((_, operations)) = matching else {
                continue;
            };
            let of = |wanted: &str| {
                operations
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            };
            let found = of(method).or_else(|| of("get").filter(|_| method == "HEAD"));
            return match found {
                Some((_, Some(body))) => Found::Body(body),
                Some((_, None)) => Found::Nothing,
                None => Found::Unknown,
            };
        }
        Found::Unknown
    }
}

// === impl Body ===

impl Body {
    /// `None`: it does not take such bodies. `Some(None)`: whatever they hold.
    pub(crate) fn schema_for(&self, kind: &str) -> Option<Option<&Schema>> {
        let kind = kind.to_ascii_lowercase();
        let exact = self.content.iter().find(|(known, _)| *known == kind);
        let ranged = || {
            let group = kind.split('/').next().unwrap_or_default();
            let is_group = |known: &str| known.strip_suffix("/*").is_some_and(|known| known == group);
            self.content.iter().find(|(known, _)| is_group(known))
        };
        let any = || self.content.iter().find(|(known, _)| known == "*/*");
        let found = exact.or_else(ranged).or_else(any);
        found.map(|(_, schema)| schema.as_deref())
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<_> = self.content.iter().map(|(kind, _)| kind.as_str()).collect();
        f.write_str(&kinds.join(" or "))
    }
}

// === impl Reader ===

impl<'d> Reader<'d> {
    fn item(&mut self, path: &str, item: &'d Value) -> Result<Methods, String> {
        let item = self.followed(item).map_err(|error| format!("{path}: {error}"))?;
        let members = item.as_object().into_iter().flatten();
        let operations = members.filter(|(method, _)| METHODS.contains(&method.as_str()));
        let mut read = Vec::new();
        for (method, operation) in operations {
            let body = self
                .body(operation.get("requestBody"))
                .map_err(|error| format!("{} {path}: {error}", method.to_ascii_uppercase()))?;
            read.push((method.clone(), body));
        }
        Ok(read)
    }

    fn body(&mut self, body: Option<&'d Value>) -> Result<Option<Body>, String> {
        let Some(body) = body else {
            return Ok(None);
        };
        let body = self.followed(body)?;
        let Some(content) = body.get("content").and_then(Value::as_object) else {
            return Err("its requestBody has no content".to_owned());
        };
        let mut kinds = Vec::with_capacity(content.len());
        for (kind, media) in content {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            let kind = kind.to_ascii_lowercase();
            let is_json = json::is_json(&kind) || kind.ends_with("/*");
            let schema = match media.get("schema").filter(|_| is_json) {
                Some(schema) => Some(self.schema(schema)?),
                None => None,
            };
            kinds.push((kind, schema));
        }
        Ok(Some(Body {
            is_required: body.get("required").and_then(Value::as_bool).unwrap_or(false),
            content: kinds,
        }))
    }

    fn schema(&mut self, schema: &Value) -> Result<Arc<Schema>, String> {
        let text = schema.to_string();
        if let Some(known) = self.known.get(&text) {
            return Ok(Arc::clone(known));
        }
        let whole = self.version.whole(schema, self.document);
        let made = Arc::new(Schema::compile(&whole, self.formats)?);
        self.known.insert(text, Arc::clone(&made));
        Ok(made)
    }

    /// What a reference leads to, inside of the document.
    fn followed(&self, value: &'d Value) -> Result<&'d Value, String> {
        let mut value = value;
        for _ in 0..LONGEST_CHAIN {
            let Some(to) = value.get("$ref").and_then(Value::as_str) else {
                return Ok(value);
            };
            let inside = to
                .strip_prefix('#')
                .ok_or_else(|| format!("{to} is not part of the document; references lead only inside it"))?;
            let found = self.document.pointer(inside);
            value = found.ok_or_else(|| format!("{to} leads to nothing"))?;
        }
        Err("its references lead in a circle".to_owned())
    }
}

/// The paths of the servers of a document, and of none at all: the root.
fn servers(document: &Value) -> Result<Vec<String>, String> {
    let servers = document.get("servers").and_then(Value::as_array);
    let servers = servers.into_iter().flatten();
    let bases = servers.filter_map(|server| {
        let mut url = server.get("url")?.as_str()?.to_owned();
        let variables = server.get("variables").and_then(Value::as_object);
        for (name, variable) in variables.into_iter().flatten() {
            let default = variable
                .get("default")
                .and_then(Value::as_str)
                .unwrap_or_default();
            url = url.replace(&format!("{{{name}}}"), default);
        }
        let path = match url.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
            None => url.as_str(),
        };
        let end = path.find(['?', '#']).unwrap_or(path.len());
        Some(base_of(&path[..end]))
    });
    let bases: Vec<_> = bases.collect::<Result<_, _>>()?;
    Ok(if bases.is_empty() {
        vec![String::new()]
    } else {
        bases
    })
}

fn base_of(path: &str) -> Result<String, String> {
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        return Ok(String::new());
    }
    let path = format!("/{}", path.trim_start_matches('/'));
    let base = canonicalize(path.as_bytes()).map_err(|error| format!("{path}: {error}"))?;
    Ok(base.into_owned())
}

#[cfg(test)]
mod tests;
