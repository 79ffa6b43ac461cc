//! `filter`: what a request may look like, checked from the outside in.

mod json_limits;
mod patterns;
mod xml_limits;

use std::net::IpAddr;

use genkan_routing::answer::reason;
use http::HeaderName;
use http::header::ALLOW;
use ipnet::IpNet;
use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::media::MediaTypes;
use super::{header_name, status_of};
use crate::answer::PolicyAnswer;
use crate::exchange::{Exchange, Pairs};
use crate::expr::Expr;
use crate::failure::Event;
use crate::json;
use crate::link::{Fault, Site};
use crate::step::{Act, Moment, Stop};
use crate::template::Template;
use json_limits::JsonLimits;
use patterns::{Pattern, PatternWith, pattern};
use xml_limits::XmlLimits;

#[derive(Debug)]
pub(crate) struct Filter {
    allow: Box<[IpNet]>,
    deny: Box<[IpNet]>,
    methods: Box<[String]>,
    headers: Box<[Header]>,
    query: Box<[Parameter]>,
    body: Option<Body>,
    json: Option<JsonLimits>,
    xml: Option<XmlLimits>,
    patterns: Box<[Pattern]>,
    rules: Box<[Rule]>,
}

#[derive(Debug)]
struct Header {
    name: HeaderName,
    required: bool,
    deny: bool,
    pattern: Option<Regex>,
    max_length: usize,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    required: bool,
    deny: bool,
    pattern: Option<Regex>,
    repeat: bool,
}

#[derive(Debug)]
struct Body {
    max_bytes: Option<u64>,
    required: bool,
    content_types: Option<MediaTypes>,
}

#[derive(Debug)]
struct Rule {
    expr: Expr,
    status: u16,
    message: Template,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    #[serde(default)]
    ip: IpWith,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default)]
    headers: Vec<HeaderWith>,
    #[serde(default)]
    query: Vec<ParameterWith>,
    body: Option<BodyWith>,
    json: Option<Map<String, Value>>,
    xml: Option<XmlLimits>,
    #[serde(default)]
    patterns: Vec<PatternWith>,
    #[serde(default)]
    rules: Vec<RuleWith>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IpWith {
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    deny: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HeaderWith {
    name: String,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    deny: bool,
    pattern: Option<String>,
    max_length: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ParameterWith {
    name: String,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    deny: bool,
    pattern: Option<String>,
    repeat: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BodyWith {
    max_bytes: Option<u64>,
    #[serde(default)]
    required: bool,
    content_types: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuleWith {
    cel: String,
    status: Option<u16>,
    message: Option<String>,
}

const LONGEST_HEADER: usize = 8192;
const MOST_PATTERNS: usize = 64;

// === impl Filter ===

impl Filter {
    pub(crate) fn compile(with: With, site: &Site<'_>) -> Result<Self, Fault> {
        if with.patterns.len() > MOST_PATTERNS {
            let text = format!("{} patterns, the limit is {MOST_PATTERNS}", with.patterns.len());
            return Err(Fault::new("with.patterns", text));
        }
        let headers = with.headers.into_iter().enumerate();
        let query = with.query.into_iter().enumerate();
        let patterns = with.patterns.into_iter().enumerate();
        let rules = with.rules.into_iter().enumerate();
        Ok(Self {
            allow: nets("with.ip.allow", &with.ip.allow)?,
            deny: nets("with.ip.deny", &with.ip.deny)?,
            methods: with.methods.into(),
            headers: headers
                .map(|(index, header)| Header::compile(&format!("with.headers[{index}]"), header))
                .collect::<Result<_, _>>()?,
            query: query
                .map(|(index, parameter)| Parameter::compile(&format!("with.query[{index}]"), parameter))
                .collect::<Result<_, _>>()?,
            body: with.body.map(|body| Body {
                max_bytes: site.body_bytes(body.max_bytes),
                required: body.required,
                content_types: body.content_types.map(|types| MediaTypes::new(&types)),
            }),
            json: with.json.map(|json| json_limits(json, site)).transpose()?,
            xml: with.xml,
            patterns: patterns
                .map(|(index, with)| Pattern::compile(&format!("with.patterns[{index}]"), with))
                .collect::<Result<_, _>>()?,
            rules: rules
                .map(|(index, rule)| Rule::compile(&format!("with.rules[{index}]"), rule, site))
                .collect::<Result<_, _>>()?,
        })
    }

    fn address(&self, address: Option<IpAddr>) -> Result<(), Stop> {
        if self.allow.is_empty() && self.deny.is_empty() {
            return Ok(());
        }
        let address = address.ok_or_else(|| Stop::error("the address of the client is not known"))?;
        let address = address.to_canonical();
        let is_in = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
        if is_in(&self.deny) || !self.allow.is_empty() && !is_in(&self.allow) {
            return Err(refused(403, "requests from this address are not taken here"));
        }
        Ok(())
    }

    fn method(&self, method: &str) -> Result<(), Stop> {
        if self.methods.is_empty() || self.methods.iter().any(|known| known == method) {
            return Ok(());
        }
        let allowed = self.methods.join(", ");
        let text = format!("{method} is not taken here; {allowed} are");
        let mut answer = PolicyAnswer::refused(405, reason::FILTER_REFUSED, text);
        if let Ok(value) = http::HeaderValue::from_str(&allowed) {
            answer.headers.push((ALLOW, value));
        }
        Err(answer.into())
    }

    fn body(&self, exchange: &Exchange<'_>) -> Result<(), Stop> {
        let Some(rules) = &self.body else {
            return Ok(());
        };
        let body = exchange
            .body()
            .ok_or_else(|| Stop::error("the body was not read"))?;
        if rules.max_bytes.is_some_and(|most| body.len() as u64 > most) {
            return Err(Stop::failed(Event::Budget, format!("{} bytes", body.len())));
        }
        if rules.required && body.is_empty() {
            return Err(refused(400, "a body is needed"));
        }
        if let Some(types) = &rules.content_types
            && !body.is_empty()
            && !types.take(exchange.headers())
        {
            return Err(refused(415, format!("the body has to be of type {types}")));
        }
        Ok(())
    }

    fn content(&self, exchange: &Exchange<'_>) -> Result<(), Stop> {
        let Some(kind) = json::media_type(exchange.headers()) else {
            return Ok(());
        };
        let body = || {
            exchange
                .body()
                .ok_or_else(|| Stop::error("the body was not read"))
        };
        if let Some(limits) = &self.json
            && json::is_json(kind)
            && !body()?.is_empty()
        {
            limits.check(body()?)?;
        }
        if let Some(limits) = &self.xml
            && is_xml(kind)
            && !body()?.is_empty()
        {
            limits.check(body()?)?;
        }
        Ok(())
    }
}

impl Act for Filter {
    fn act(&self, exchange: &mut Exchange<'_>, moment: Moment) -> Result<(), Stop> {
        self.address(exchange.request.source.address)?;
        self.method(exchange.request.method)?;
        self.headers
            .iter()
            .try_for_each(|header| header.check(exchange))?;
        self.query
            .iter()
            .try_for_each(|parameter| parameter.check(exchange))?;
        self.body(exchange)?;
        self.content(exchange)?;
        self.patterns
            .iter()
            .try_for_each(|pattern| pattern.check(exchange))?;
        for rule in &self.rules {
            if rule.expr.truth(exchange, moment.now)? {
                let text = rule.message.render(exchange, moment.now)?;
                return Err(refused(rule.status, text));
            }
        }
        Ok(())
    }
}

// === impl Header ===

impl Header {
    fn compile(field: &str, with: HeaderWith) -> Result<Self, Fault> {
        Ok(Self {
            name: header_name(&format!("{field}.name"), &with.name)?,
            required: with.required,
            deny: with.deny,
            pattern: pattern(&format!("{field}.pattern"), with.pattern.as_deref())?,
            max_length: with.max_length.unwrap_or(LONGEST_HEADER),
        })
    }

    fn check(&self, exchange: &Exchange<'_>) -> Result<(), Stop> {
        let name = &self.name;
        let mut is_there = false;
        for value in exchange.headers().get_all(name) {
            is_there = true;
            if self.deny {
                return Err(refused(400, format!("the header {name} is not taken here")));
            }
            if value.len() > self.max_length {
                let text = format!("the header {name} is longer than {} bytes", self.max_length);
                return Err(refused(431, text));
            }
            let text = String::from_utf8_lossy(value.as_bytes());
            if self
                .pattern
                .as_ref()
                .is_some_and(|pattern| !pattern.is_match(&text))
            {
                return Err(refused(
                    400,
                    format!("the header {name} has another form than is taken here"),
                ));
            }
        }
        if self.required && !is_there {
            return Err(refused(400, format!("the header {name} is needed")));
        }
        Ok(())
    }
}

// === impl Parameter ===

impl Parameter {
    fn compile(field: &str, with: ParameterWith) -> Result<Self, Fault> {
        Ok(Self {
            name: with.name,
            required: with.required,
            deny: with.deny,
            pattern: pattern(&format!("{field}.pattern"), with.pattern.as_deref())?,
            repeat: with.repeat.unwrap_or(true),
        })
    }

    fn check(&self, exchange: &Exchange<'_>) -> Result<(), Stop> {
        let name = &self.name;
        let pairs = Pairs(exchange.query()).decoded();
        let mut count = 0;
        for (_, value) in pairs.filter(|(other, _)| other == name) {
            count += 1;
            if self.deny {
                return Err(refused(400, format!("the parameter {name} is not taken here")));
            }
            if self
                .pattern
                .as_ref()
                .is_some_and(|pattern| !pattern.is_match(&value))
            {
                let text = format!("the parameter {name} has another form than is taken here");
                return Err(refused(400, text));
            }
        }
        if count > 1 && !self.repeat {
            return Err(refused(
                400,
                format!("the parameter {name} is there more than once"),
            ));
        }
        if self.required && count == 0 {
            return Err(refused(400, format!("the parameter {name} is needed")));
        }
        Ok(())
    }
}

// === impl Rule ===

impl Rule {
    fn compile(field: &str, with: RuleWith, site: &Site<'_>) -> Result<Self, Fault> {
        let message = with
            .message
            .as_deref()
            .unwrap_or("a rule of this object refuses it");
        Ok(Self {
            expr: site.expr(&format!("{field}.cel"), &with.cel)?,
            status: status_of(&format!("{field}.status"), with.status.unwrap_or(403))?,
            message: site.template(&format!("{field}.message"), message)?,
        })
    }
}

/// What the step does not say is what holds for the object.
fn json_limits(written: Map<String, Value>, site: &Site<'_>) -> Result<JsonLimits, Fault> {
    let mut limits = site.settings.json.clone();
    limits.extend(written);
    site.read(&limits).map_err(|fault| Fault {
        field: fault.field.replacen("with", "with.json", 1),
        ..fault
    })
}

fn refused(status: u16, text: impl Into<String>) -> Stop {
    PolicyAnswer::refused(status, reason::FILTER_REFUSED, text).into()
}

fn is_xml(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    matches!(kind.as_str(), "application/xml" | "text/xml") || kind.ends_with("+xml")
}

/// Addresses of clients are looked at like this.
fn canonical(net: IpNet) -> IpNet {
    const MAPPED: u8 = 96;
    let IpAddr::V4(address) = net.network().to_canonical() else {
        return net;
    };
    match (net, net.prefix_len().checked_sub(MAPPED)) {
        (IpNet::V6(_), Some(length)) => IpNet::new(address.into(), length).unwrap_or(net),
        (IpNet::V4(_), _) | (IpNet::V6(_), None) => net,
    }
}

/// Networks, and single addresses; those of IPv4 in IPv6 are of IPv4.
fn nets(field: &str, texts: &[String]) -> Result<Box<[IpNet]>, Fault> {
    let nets = texts.iter().enumerate().map(|(index, text)| {
        let net = text.parse::<IpNet>().ok();
        let net = net.map(canonical);
        let net = net.or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?.to_canonical())));
        let wrong = || format!("{text:?} is no address and no network such as 192.0.2.0/24");
        net.ok_or_else(|| Fault::new(&format!("{field}[{index}]"), wrong()))
    });
    nets.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_ipv4_in_ipv6_are_of_ipv4() {
        for (written, address, is_in) in [
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "11.1.2.3", false),
            ("::ffff:192.0.2.7", "192.0.2.7", true),
            ("2001:db8::/32", "2001:db8::1", true),
            // All of IPv6, and none of IPv4.
            ("::/0", "10.1.2.3", false),
        ] {
            let nets = nets("with.ip.deny", &[written.to_owned()]).unwrap();
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(nets.iter().any(|net| net.contains(&address)), is_in, "{written}");
        }
    }
}
