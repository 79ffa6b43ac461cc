//! What a tool is asked to find out whether it works.

use genkan_crds::condition::connector::{kind, reason};
use genkan_crds::connectors::{ConnectorClassSpec, ConnectorSpec, Probe as Spec, probe::HttpProbe};
use genkan_probe::{Data, Expected, LONGEST_RULE, Plan, TokenWanted, check_rule, origin, render};
use genkan_routing::connectors::{Client, plugin_lines};
use genkan_routing::model::{ObjectKey, Probed, Secret};

use super::Compiler;
use super::tool::Trust;
use crate::index::{Index, Probe};
use crate::verdict::ToolCondition;

/// What probes of one Connector are made of.
pub(super) struct Asked<'a> {
    pub object: &'a ObjectKey,
    pub spec: &'a ConnectorSpec,
    pub class: &'a ConnectorClassSpec,
    /// Where the API of the class is, if it has one.
    pub api: Option<String>,
    pub secret: Option<&'a Secret>,
    /// What it is made of has not been read yet.
    pub is_waiting: bool,
    /// It names a Secret, which cannot be used.
    pub lacks_secret: bool,
    pub trust: &'a Trust,
}

// === impl Compiler ===

impl Compiler {
    /// The condition that a probe decides, and its plan if there is something to ask.
    pub(super) fn probe(
        &self,
        probe: Probe,
        asked: &Asked<'_>,
        index: &Index,
    ) -> (ToolCondition, Option<Secret>) {
        let (kind, none) = (condition_of(probe), none_of(probe));
        let plan = match asked.plan(probe) {
            None => return (ToolCondition::yes(kind, none), None),
            Some(_) if asked.is_waiting => {
                let message = "the Secrets of the Connector have not been read yet";
                return (ToolCondition::unknown(kind, reason::CHECKING, message), None);
            }
            Some(plan) if asked.lacks_secret && (probe == Probe::Auth || plan.is_err()) => {
                let message = "not asked, because the Secret of the Connector cannot be used";
                return (ToolCondition::unknown(kind, reason::NOT_SET, message), None);
            }
            Some(Err(problem)) => {
                let message = format!("the probe of the class cannot be used: {problem}");
                return (ToolCondition::no(kind, reason::INVALID, message), None);
            }
            Some(Ok(plan)) => plan.to_secret(),
        };
        let condition = match self.result(asked.object, probe, &plan, index) {
            None => ToolCondition::unknown(kind, reason::CHECKING, "the tool has not answered yet"),
            Some(Probed { is_good: true, .. }) => ToolCondition::yes(kind, ""),
            Some(Probed { message, .. }) if probe == Probe::Auth => ToolCondition::no(
                kind,
                reason::AUTHENTICATION_FAILED,
                format!("Authentication failed: {message}"),
            ),
            Some(Probed { message, .. }) => ToolCondition::no(
                kind,
                reason::CONNECTION_FAILED,
                format!("the tool does not answer as it should: {message}"),
            ),
        };
        (condition, Some(plan))
    }

    /// Whether somebody takes connections at the address of a class, and how that is found out.
    pub(super) fn reached(
        &self,
        object: &ObjectKey,
        probe: Probe,
        url: &str,
        trust: &Trust,
        index: &Index,
    ) -> (ToolCondition, Secret) {
        let plan = Plan {
            url: url.to_owned(),
            method: String::new(),
            headers: Vec::new(),
            follows_redirects: false,
            authorities: trust.authorities.clone(),
            without_roots: trust.authorities.is_some() && !trust.beside_roots,
            skips_verification: trust.skips,
            expected: Expected::Connection,
            token: None,
        };
        let (plan, kind) = (plan.to_secret(), condition_of(probe));
        let condition = match self.result(object, probe, &plan, index) {
            None => ToolCondition::unknown(kind, reason::CHECKING, "nobody has tried to connect yet"),
            Some(Probed { is_good: true, .. }) => ToolCondition::yes(kind, ""),
            Some(Probed { message, .. }) => {
                ToolCondition::no(kind, reason::CONNECTION_FAILED, message.as_str())
            }
        };
        (condition, plan)
    }

    /// What came of a plan, if it is the one that is in force.
    fn result<'i>(
        &self,
        object: &ObjectKey,
        probe: Probe,
        plan: &Secret,
        index: &'i Index,
    ) -> Option<&'i Probed> {
        let known = self.tools.plan_key(object, probe, plan)?;
        let (of, probed) = index.probes.get(&(object.clone(), probe))?;
        (of == known).then_some(probed)
    }
}

/// The condition that a probe decides.
pub(super) fn condition_of(probe: Probe) -> &'static str {
    match probe {
        Probe::Liveness => kind::LIVENESS_READY,
        Probe::Auth => kind::AUTH_READY,
        Probe::Api => kind::API_READY,
        Probe::Proxy => kind::PROXY_READY,
    }
}

/// Its reason where there is nothing to ask.
fn none_of(probe: Probe) -> &'static str {
    match probe {
        Probe::Liveness => reason::NON_LIVENESS_PROBE,
        Probe::Auth => reason::NON_AUTH_PROBE,
        Probe::Api => reason::NON_API,
        Probe::Proxy => reason::NON_PROXY,
    }
}

// === impl Asked ===

impl Asked<'_> {
    /// `None`: there is nothing to ask.
    fn plan(&self, probe: Probe) -> Option<Result<Plan, String>> {
        let auth = self.spec.auth.as_ref();
        let name = auth.and_then(|auth| auth.name.as_deref()).unwrap_or_default();
        let spec = match probe {
            Probe::Liveness => self.class.liveness_probe.as_ref(),
            Probe::Auth => {
                let mut all = self.class.auth_probes.iter();
                all.find(|of| of.auth_name == name)
                    .and_then(|of| of.probe.as_ref())
            }
            Probe::Api | Probe::Proxy => None,
        }?;
        match spec {
            Spec { http: Some(http), .. } => Some(self.http(http).and_then(|plan| match probe {
                Probe::Auth => self.with_token(plan, name),
                Probe::Liveness | Probe::Api | Probe::Proxy => Ok(plan),
            })),
            Spec { api: Some(api), .. } => {
                // While the class has no API nobody is asked.
                let base = self.api.as_deref()?;
                Some(self.api_plan(base, api.path.as_deref().unwrap_or_default()))
            }
            Spec {
                http: None,
                api: None,
            } => None,
        }
    }

    fn http(&self, http: &HttpProbe) -> Result<Plan, String> {
        let data = self.data();
        let address = self.spec.address.as_deref().unwrap_or_default();
        let (scheme, authority) = origin(address).ok_or("the Connector has no address")?;
        let host_of = |authority: &str| {
            authority
                .split(':')
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase()
        };
        let host = http.host.as_deref().unwrap_or_default();
        let is_own = host.is_empty() || host_of(host) == host_of(authority);
        let scheme = match http.scheme.as_deref() {
            Some(scheme) if !scheme.is_empty() => scheme,
            _ if is_own => scheme,
            _ => "http",
        };
        let authority = if host.is_empty() { authority } else { host };
        let path = render(&http.path, &data).map_err(|problem| format!("path: {problem}"))?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        let mut headers = Vec::new();
        for header in &http.http_headers {
            let value = render(&header.value, &data)
                .map_err(|problem| format!("httpHeaders {:?}: {problem}", header.name))?;
            // One that comes out empty is not sent.
            if !value.is_empty() {
                headers.push((header.name.clone(), value));
            }
        }
        let rule = http
            .response
            .as_ref()
            .and_then(|response| response.cel.as_deref());
        let expected = match rule.filter(|rule| !rule.is_empty()) {
            None => Expected::Success,
            Some(rule) if rule.len() > LONGEST_RULE => {
                return Err(format!(
                    "response.cel: has {} bytes, and {LONGEST_RULE} are the most",
                    rule.len()
                ));
            }
            Some(rule) => {
                check_rule(rule).map_err(|problem| format!("response.cel: {problem}"))?;
                Expected::Rule(rule.to_owned())
            }
        };
        Ok(Plan {
            url: format!("{scheme}://{authority}{slash}{path}"),
            method: http
                .method
                .clone()
                .filter(|method| !method.is_empty())
                .unwrap_or_else(|| "GET".into()),
            headers,
            follows_redirects: !http.disable_redirect.unwrap_or(false),
            authorities: self.trust.authorities.clone(),
            without_roots: false,
            skips_verification: self.trust.skips,
            expected,
            token: None,
        })
    }

    /// Of an auth type whose credential is a token that somebody grants: a template has no name for it.
    fn with_token(&self, mut plan: Plan, name: &str) -> Result<Plan, String> {
        let types = self.class.auth.as_ref().map(|auth| auth.types.as_slice());
        let auth = types.unwrap_or_default().iter().find(|auth| auth.name == name);
        let source = auth.and_then(|auth| auth.generator.as_ref()?.oauth2.as_ref());
        let (Some(source), Some(secret)) = (source, self.secret) else {
            return Ok(plan);
        };
        if plan
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
        {
            return Ok(plan);
        }
        let client = Client::of(secret, "the Secret of the Connector").map_err(|refused| refused.message)?;
        let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err("the Secret of the Connector holds a client that is no text".to_owned()),
        };
        plan.token = Some(TokenWanted {
            url: source.token_url.clone(),
            scopes: source.scopes.clone(),
            authorities: source.ca_certs.clone().filter(|pem| !pem.is_empty()),
            client_id: text(client.id)?,
            client_secret: text(client.secret)?,
        });
        Ok(plan)
    }

    fn api_plan(&self, base: &str, path: &str) -> Result<Plan, String> {
        let path = render(path, &self.data()).map_err(|problem| format!("api.path: {problem}"))?;
        let slash = if path.starts_with('/') || path.is_empty() {
            ""
        } else {
            "/"
        };
        let address = self.spec.address.as_deref().unwrap_or_default();
        let lines = plugin_lines(address, self.secret).into_iter();
        Ok(Plan {
            url: format!("{}{slash}{path}", base.trim_end_matches('/')),
            method: "GET".into(),
            headers: lines.map(|(name, value)| (name, value.to_string())).collect(),
            follows_redirects: false,
            authorities: self
                .class
                .api
                .as_ref()
                .and_then(|api| api.destination.ca_certs.clone())
                .filter(|pem| !pem.is_empty()),
            without_roots: true,
            skips_verification: false,
            expected: Expected::Ok,
            token: None,
        })
    }

    fn data(&self) -> Data {
        let pairs = |all: &[genkan_crds::connectors::Param]| -> Vec<(String, String)> {
            all.iter()
                .map(|param| (param.name.clone(), param.value.clone()))
                .collect()
        };
        let auth = self.spec.auth.as_ref();
        let auth_params = auth.map(|auth| pairs(&auth.params)).unwrap_or_default();
        let mut params = pairs(&self.spec.params);
        for declared in &self.class.params {
            let is_given = params.iter().any(|(name, _)| *name == declared.name);
            if let (false, Some(default)) = (is_given, declared.default_text()) {
                params.push((declared.name.clone(), default.to_owned()));
            }
        }
        let address = self.spec.address.as_deref().unwrap_or_default();
        let ObjectKey { namespace, name, .. } = self.object;
        Data::new(namespace, name, address, &auth_params, &params, self.secret)
    }
}
