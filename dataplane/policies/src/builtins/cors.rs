use genkan_routing::answer::reason;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use crate::answer::{AnswerBody, AnswerKind, PolicyAnswer};
use crate::exchange::{Exchange, Later};
use crate::glob::Glob;
use crate::link::{Fault, Site};
use crate::step::{Act, Moment, Stop};

/// Pages of which hosts may ask, and what.
#[derive(Debug)]
pub(crate) struct Cors {
    /// `None`: any.
    origins: Option<Box<[Glob]>>,
    methods: Box<[String]>,
    /// In small letters.
    headers: Box<[String]>,
    of_preflight: Box<[(HeaderName, HeaderValue)]>,
    of_answers: Box<[(HeaderName, HeaderValue)]>,
    credentials: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    origins: Vec<String>,
    #[serde(default = "simple")]
    methods: Vec<String>,
    #[serde(default)]
    headers: Vec<String>,
    #[serde(default)]
    exposed: Vec<String>,
    #[serde(default)]
    credentials: bool,
    #[serde(default = "ten_minutes")]
    max_age: u32,
}

fn simple() -> Vec<String> {
    ["GET", "HEAD", "POST"].map(ToOwned::to_owned).into()
}

fn ten_minutes() -> u32 {
    600
}

// === impl Cors ===

impl Cors {
    pub(crate) fn compile(with: With, _: &Site<'_>) -> Result<Self, Fault> {
        let is_any = with.origins.iter().any(|origin| origin == "*");
        if is_any && with.credentials {
            let text = "credentials need origins that are written out, not *";
            return Err(Fault::new("with.credentials", text));
        }
        let joined = |field: &str, names: &[String]| {
            let value = HeaderValue::from_str(&names.join(", "));
            value.map_err(|_| Fault::new(field, "it cannot be written as a header"))
        };
        let mut of_preflight = vec![
            (
                ACCESS_CONTROL_ALLOW_METHODS,
                joined("with.methods", &with.methods)?,
            ),
            (ACCESS_CONTROL_MAX_AGE, HeaderValue::from(with.max_age)),
        ];
        if !with.headers.is_empty() {
            let value = joined("with.headers", &with.headers)?;
            of_preflight.push((ACCESS_CONTROL_ALLOW_HEADERS, value));
        }
        let mut of_answers = Vec::new();
        if !with.exposed.is_empty() {
            let value = joined("with.exposed", &with.exposed)?;
            of_answers.push((ACCESS_CONTROL_EXPOSE_HEADERS, value));
        }
        let origins = with.origins.iter().map(|origin| Glob::new(origin));
        Ok(Self {
            origins: (!is_any).then(|| origins.collect()),
            headers: with
                .headers
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
            methods: with.methods.into(),
            of_preflight: of_preflight.into(),
            of_answers: of_answers.into(),
            credentials: with.credentials,
        })
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        let Some(origins) = &self.origins else {
            return true;
        };
        let origin = origin.to_str().unwrap_or_default();
        // A star is no slash: there is none in what stands for a host.
        origins.iter().any(|glob| glob.matches_within(origin, b'/'))
    }

    /// `Access-Control-Allow-*` for an origin that may ask.
    fn greeting(&self, origin: &HeaderValue) -> Vec<(HeaderName, HeaderValue)> {
        let said = match self.origins {
            Some(_) => origin.clone(),
            None => HeaderValue::from_static("*"),
        };
        let mut all = vec![(ACCESS_CONTROL_ALLOW_ORIGIN, said)];
        if self.credentials {
            all.push((ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
        }
        all
    }

    fn takes(&self, method: &HeaderValue, headers: Option<&HeaderValue>) -> bool {
        let headers = headers.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut names = headers.split(',').map(str::trim).filter(|name| !name.is_empty());
        let is_known = |name: &str| self.headers.iter().any(|known| known.eq_ignore_ascii_case(name));
        self.methods
            .iter()
            .any(|known| known.as_bytes() == method.as_bytes())
            && names.all(is_known)
    }
}

impl Act for Cors {
    fn act(&self, exchange: &mut Exchange<'_>, _: Moment) -> Result<(), Stop> {
        let headers = exchange.headers();
        let Some(origin) = headers.get(ORIGIN).cloned() else {
            return Ok(());
        };
        let is_allowed = self.allows(&origin);
        let vary = (VARY, HeaderValue::from_static("Origin"));
        if exchange.request.method == "OPTIONS"
            && let Some(method) = headers.get(ACCESS_CONTROL_REQUEST_METHOD)
        {
            if !is_allowed || !self.takes(method, headers.get(ACCESS_CONTROL_REQUEST_HEADERS)) {
                let text = "pages of this origin may not send this request";
                return Err(PolicyAnswer::refused(403, reason::ORIGIN_REFUSED, text).into());
            }
            let mut answer = PolicyAnswer::new(AnswerKind::Responded, 204, reason::PREFLIGHT);
            answer.body = AnswerBody::Status;
            answer.headers = self.greeting(&origin);
            answer.headers.extend(self.of_preflight.iter().cloned());
            if self.origins.is_some() {
                answer.headers.push(vary);
            }
            return Err(answer.into());
        }
        if self.origins.is_some() {
            let (name, value) = vary;
            exchange.state.later.push(Later::Add(name, value));
        }
        if is_allowed {
            let greeting = self.greeting(&origin).into_iter();
            for (name, value) in greeting.chain(self.of_answers.iter().cloned()) {
                exchange.state.set_later(name, value);
            }
        }
        Ok(())
    }
}
