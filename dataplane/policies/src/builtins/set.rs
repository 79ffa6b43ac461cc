use std::collections::BTreeMap;

use genkan_routing::model::policy::Direction;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;

use super::log::plain;
use super::{settable, status_of};
use crate::exchange::{Exchange, Pairs, Stage, encoded};
use crate::glob::Glob;
use crate::link::{Fault, Site};
use crate::step::{Act, Moment, Stop};
use crate::template::{Json, Template};

/// Sets, adds and removes.
#[derive(Debug, Default)]
pub(crate) struct Set {
    set: Box<[(HeaderName, Template)]>,
    add: Box<[(HeaderName, Template)]>,
    remove: Box<[Removed]>,
    query: Option<QueryRules>,
    body: Option<Template>,
    status: Option<u16>,
    vars: Box<[(String, Option<Json>)]>,
}

#[derive(Debug)]
enum Removed {
    Name(HeaderName),
    Like(Glob),
}

#[derive(Debug)]
struct QueryRules {
    set: Box<[(String, Template)]>,
    add: Box<[(String, Template)]>,
    remove: Box<[String]>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    #[serde(default)]
    headers: Fields,
    query: Option<Fields>,
    body: Option<Value>,
    status: Option<u16>,
    #[serde(default)]
    vars: Vec<Var>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields {
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    add: BTreeMap<String, String>,
    #[serde(default)]
    remove: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Var {
    name: String,
    value: Option<Value>,
    #[serde(default)]
    action: VarAction,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum VarAction {
    #[default]
    Set,
    Clear,
}

// === impl Set ===

impl Set {
    pub(crate) fn compile(with: With, site: &Site<'_>) -> Result<Self, Fault> {
        let is_request = site.on == Direction::Request;
        if is_request && with.status.is_some() {
            return Err(Fault::new(
                "with.status",
                "it is for answers, and not for requests",
            ));
        }
        if !is_request && with.query.is_some() {
            return Err(Fault::new(
                "with.query",
                "it is for requests, and not for answers",
            ));
        }
        if with.query.is_some() {
            site.refuse_behind_line("with.query", "the query")?;
        }
        let body = with.body.map(plain);
        let body = body.map(|text| site.template("with.body", &text)).transpose()?;
        if body.is_some() && !is_request {
            return Err(Fault {
                field: "with.body".to_owned(),
                ..Fault::unsupported("bodies of answers are not changed by this version of genkan")
            });
        }
        let status = with.status.map(|status| status_of("with.status", status));
        let query = with
            .query
            .map(|query| QueryRules::compile(query, site))
            .transpose()?;
        Ok(Self {
            set: templates("with.headers.set", &with.headers.set, site)?,
            add: templates("with.headers.add", &with.headers.add, site)?,
            remove: with
                .headers
                .remove
                .iter()
                .enumerate()
                .map(|(index, name)| Removed::compile(&format!("with.headers.remove[{index}]"), name))
                .collect::<Result<_, _>>()?,
            query,
            body,
            status: status.transpose()?,
            vars: with
                .vars
                .into_iter()
                .enumerate()
                .map(|(index, var)| var.compile(index))
                .collect::<Result<_, _>>()?,
        })
    }

    fn headers(&self, exchange: &mut Exchange<'_>, moment: Moment) -> Result<(), Stop> {
        for removed in &self.remove {
            match removed {
                Removed::Name(name) => exchange.headers_mut().remove(name),
                Removed::Like(glob) => {
                    let names = exchange.headers().keys();
                    let meant = names.filter(|name| glob.matches(name.as_str()) && !is_kept(name));
                    let meant: Vec<_> = meant.cloned().collect();
                    for name in &meant {
                        exchange.headers_mut().remove(name);
                    }
                }
            }
        }
        for (name, text) in &self.set {
            let value = value_of(text, exchange, moment)?;
            exchange.headers_mut().set(name.clone(), value);
            // It is the step's own, and takes the place of whatever the client sent.
            if name == AUTHORIZATION {
                exchange.state.forwards_authorization = true;
            }
        }
        for (name, text) in &self.add {
            let value = value_of(text, exchange, moment)?;
            exchange.headers_mut().add(name.clone(), value);
        }
        Ok(())
    }
}

impl Act for Set {
    fn act(&self, exchange: &mut Exchange<'_>, moment: Moment) -> Result<(), Stop> {
        // A text that cannot be made leaves nothing half done: this one is the likeliest to fail.
        let body = self.body.as_ref().map(|body| body.render(exchange, moment.now));
        let body = body.transpose()?;
        self.headers(exchange, moment)?;
        if let Some(query) = &self.query {
            exchange.state.query = Some(query.apply(exchange, moment)?);
        }
        for (name, value) in &self.vars {
            match value {
                Some(value) => {
                    let value = value.value(exchange, moment.now)?;
                    exchange.state.vars.insert(name.clone(), value);
                }
                None => {
                    exchange.state.vars.remove(name);
                }
            }
        }
        if let Some(body) = body {
            exchange.set_body(body.into());
        }
        if let (Some(new), Stage::Response { status, .. }) = (self.status, &mut exchange.stage) {
            **status = new;
        }
        Ok(())
    }
}

// === impl Removed ===

impl Removed {
    fn compile(field: &str, text: &str) -> Result<Self, Fault> {
        let small = text.to_ascii_lowercase();
        if small.contains(['*', '?']) {
            return Ok(Self::Like(Glob::new(&small)));
        }
        settable(field, &small).map(Self::Name)
    }
}

/// A pattern takes nothing away that the framing of a message needs.
fn is_kept(name: &HeaderName) -> bool {
    settable("", name.as_str()).is_err()
}

// === impl QueryRules ===

impl QueryRules {
    fn compile(with: Fields, site: &Site<'_>) -> Result<Self, Fault> {
        let list = |field: &str, all: BTreeMap<String, String>| {
            let all = all.into_iter().map(|(name, text)| {
                let template = site.template(&format!("{field}.{name}"), &text)?;
                Ok((name, template))
            });
            all.collect::<Result<Box<[_]>, Fault>>()
        };
        Ok(Self {
            set: list("with.query.set", with.set)?,
            add: list("with.query.add", with.add)?,
            remove: with.remove.into(),
        })
    }

    fn apply(&self, exchange: &Exchange<'_>, moment: Moment) -> Result<String, Stop> {
        let is_unwanted = |name: &str| {
            self.remove.iter().any(|removed| removed == name) || self.set.iter().any(|(set, _)| set == name)
        };
        let mut query = Pairs(exchange.query()).without(is_unwanted);
        for (name, text) in self.set.iter().chain(&self.add) {
            let value = text.render(exchange, moment.now)?;
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(&encoded(name));
            query.push('=');
            query.push_str(&encoded(&value));
        }
        Ok(query)
    }
}

// === impl Var ===

impl Var {
    fn compile(self, index: usize) -> Result<(String, Option<Json>), Fault> {
        let field = format!("with.vars[{index}].value");
        match (self.action, self.value) {
            (VarAction::Clear, _) => Ok((self.name, None)),
            (VarAction::Set, Some(value)) => {
                let json = Json::parse(&value, &field).map_err(|(field, error)| Fault::new(&field, error))?;
                Ok((self.name, Some(json)))
            }
            (VarAction::Set, None) => Err(Fault::new(&field, "it is missing")),
        }
    }
}

fn templates(
    field: &str,
    all: &BTreeMap<String, String>,
    site: &Site<'_>,
) -> Result<Box<[(HeaderName, Template)]>, Fault> {
    let all = all.iter().map(|(name, text)| {
        let name_of = settable(field, name)?;
        Ok((name_of, site.template(&format!("{field}.{name}"), text)?))
    });
    all.collect()
}

fn value_of(text: &Template, exchange: &Exchange<'_>, moment: Moment) -> Result<HeaderValue, Stop> {
    let made = match text.as_fixed() {
        Some(text) => HeaderValue::from_bytes(text.as_bytes()),
        None => HeaderValue::from_bytes(text.render(exchange, moment.now)?.as_bytes()),
    };
    made.map_err(|_| Stop::error("a value cannot be written as a header"))
}
