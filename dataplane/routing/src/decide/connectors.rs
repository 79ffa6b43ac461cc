//! The steps of a request through a Connector.

use http::Method;
use http::header::{AUTHORIZATION, COOKIE, ORIGIN};

use super::halt::{Call, Stop};
use super::steps::Line;
use super::{Answer, Caller, Deciding, Destination, Evaluation, Family, Grant, Verb};
use crate::access::Questions;
use crate::answer::Refused;
use crate::arriving;
use crate::connectors::{
    self, ApiPath, Class, Connector, Credential, Found, Injected, Proxy, Shape, UNDECLARED, Wanted,
    without_token,
};
use crate::credential::{KUBESPHERE_AUTHORIZATION, Places};
use crate::headers::{HeaderStore, HeaderView};
use crate::model::Provider;
use crate::sending::RequestLine;
use crate::table::Decision;

pub(super) use crate::connectors::connector_not_found;

/// What is known of a request through a Connector; all of it absent for any other.
#[derive(Debug)]
pub(super) struct Tool<'a, R> {
    pub(super) path: Option<ApiPath<'a>>,
    /// It asks for the switches.
    asks_flags: bool,
    /// The query as it was sent, or as policies changed it.
    query: Option<&'a [u8]>,
    /// Bytes of the query as it was sent, with the question mark.
    sent: usize,
    class: Option<&'a Class<R>>,
    found: Option<Found<'a>>,
    pub(super) destination: Option<&'a R>,
    is_of_class: bool,
    host: Option<String>,
    /// In front of the path, for a proxy that tells Connectors apart by it.
    prefix: String,
    keeps_credential: bool,
    /// What the request counts as for the second review, once that is known.
    verb: Option<&'static str>,
    pub(super) injected: Option<Injected>,
    /// The token of the caller, which goes nowhere.
    token: Option<String>,
}

impl<R> Default for Tool<'_, R> {
    fn default() -> Self {
        Self {
            path: None,
            asks_flags: false,
            query: None,
            sent: 0,
            class: None,
            found: None,
            destination: None,
            is_of_class: false,
            host: None,
            prefix: String::new(),
            keeps_credential: false,
            verb: None,
            injected: None,
            token: None,
        }
    }
}

// === impl Tool ===

impl<'a, R> Tool<'a, R> {
    pub(super) fn query_is_changed(&mut self, query: Option<&'a [u8]>) {
        self.query = query;
    }

    pub(super) fn take_call(&mut self, target: &'a [u8]) -> Option<Call<'a>> {
        let rest = self.path?.rest.len() + self.sent;
        Some(Call {
            injected: self.injected.take().unwrap_or_default(),
            base: target
                .get(..target.len().saturating_sub(rest))
                .unwrap_or_default(),
            template: self.template(),
            host: self.host.take(),
            keeps_credential: self.keeps_credential,
            is_deprecated: self.path?.shape == Shape::Resources,
        })
    }

    fn template(&self) -> &'a str {
        self.found.map_or(UNDECLARED, |found| found.template)
    }
}

// === impl Deciding: the steps of the Connector API ===

impl<'a, R: Destination<Handle = R>, U: Caller> Deciding<'a, R, U> {
    /// How a request is named in lines and counts: by what is declared, never by what its sender made up. Absent for
    /// everything but the Connector API.
    pub fn shown_path(&self) -> Option<String> {
        let ApiPath { namespace, name, .. } = self.tool.path?;
        let template = self.tool.template();
        Some(format!(
            "/connectors/{}/{namespace}/{name}/path/{template}",
            connectors::VERSION
        ))
    }

    /// Before anybody is known: shape, method, and what two servers could read in two ways.
    pub(super) fn gate(&mut self, headers: &impl HeaderView) -> Result<(), Stop<'a>> {
        if self.family != Family::Connectors {
            return Ok(());
        }
        arriving::refuse_impersonation(headers, &Decision::<R, R>::NotFound)?;
        let mut parts = self.request.target.splitn(2, |byte| *byte == b'?');
        let path = parts.next().unwrap_or_default();
        if ApiPath::is_of_flags(path) {
            self.tool.asks_flags = true;
            return match self.request.method {
                "GET" | "HEAD" => Ok(()),
                method => Err(connectors::write_refused(method, false).into()),
            };
        }
        let path = ApiPath::parse(path);
        let path = path.ok_or_else(connectors::unknown_shape)?;
        self.tool.query = parts.next();
        self.tool.sent = self.tool.query.map_or(0, |query| query.len() + 1);
        let method = self.request.method;
        match method {
            "GET" | "HEAD" | "OPTIONS" => {}
            "POST" | "PUT" | "PATCH" | "DELETE" if self.table.connectors.writes => {}
            "POST" | "PUT" | "PATCH" | "DELETE" => return Err(connectors::write_refused(method, true).into()),
            _ => return Err(connectors::write_refused(method, false).into()),
        }
        if path.is_ambiguous() {
            return Err(connectors::dot_segment().into());
        }
        self.tool.path = Some(path);
        self.find_operation();
        Ok(())
    }

    /// Class and operation, as far as they are there; nothing of it is told before the caller may know it.
    fn find_operation(&mut self) {
        let Some(path) = self.tool.path else { return };
        let connector = self
            .table
            .connectors
            .get(&path)
            .and_then(|route| route.role().connector());
        let class = connector.and_then(|connector| self.table.connectors.class(&connector.class));
        self.tool.class = class.and_then(|class| class.role().class());
        self.tool.found = match path.shape {
            Shape::Path => {
                let operations = self.tool.class.map(|class| &class.operations);
                operations.and_then(|operations| operations.find(self.request.method, path.rest))
            }
            Shape::Resources => None,
        };
    }

    pub(super) fn questions_of_tool(&self) -> Questions<'_> {
        if self.tool.asks_flags {
            return Questions::of_flags();
        }
        let (namespace, name) = self
            .tool
            .path
            .map_or(("", ""), |path| (path.namespace, path.name));
        let questions = Questions::of_connector(namespace, name);
        let connector = self.connector();
        match (connector, self.operation_verb()) {
            (Some(connector), Some(verb)) => {
                let declared = self.tool.found.filter(|found| found.provider.is_some());
                let template = declared.map(|found| found.template);
                questions.with_operation(verb, &connector.class, template)
            }
            _ => questions,
        }
    }

    /// What is asked for in the second review; nothing while that is off, or not known yet.
    fn operation_verb(&self) -> Option<&'static str> {
        if !self.table.connectors.reviews_operations {
            return None;
        }
        match self.permissions() {
            Some(_) => self.tool.verb,
            None => Some(Questions::verb_of(self.request.method)),
        }
    }

    fn permissions(&self) -> Option<&'a str> {
        self.tool.class?.permissions.as_deref()
    }

    /// Behind the first review, so that no policy runs for whoever may not even know the Connector.
    pub(super) fn count_as(&self) -> Result<(), Stop<'a>> {
        let (Some(path), Some(connector), None) = (self.tool.path, self.connector(), self.tool.verb) else {
            return Ok(());
        };
        match self
            .permissions()
            .filter(|_| self.table.connectors.reviews_operations)
        {
            None => Ok(()),
            Some(policy) => Err(Stop::Verb(Evaluation {
                class: &connector.class,
                auth: "",
                policy,
                secret: None,
                method: self.request.method,
                path: path.rest,
                query: self.tool.query,
            })),
        }
    }

    /// The answer to [`Question::Verb`](super::Question::Verb): the second review is asked for that.
    pub fn counts_as(&mut self, verb: Verb) {
        self.tool.verb = Some(match verb {
            Verb::Read => "get",
            Verb::Delete => "delete",
            Verb::OfMethod => Questions::verb_of(self.request.method),
        });
        self.is_allowed = false;
    }

    /// The switches, to whoever may see classes.
    pub(super) fn tell_flags(&self) -> Result<(), Stop<'a>> {
        if !self.tool.asks_flags {
            return Ok(());
        }
        Err(Stop::Answer(Answer::FeatureFlags(&self.table.connectors.flags)))
    }

    fn connector(&self) -> Option<&'a Connector<R>> {
        self.route.and_then(|route| route.role().connector())
    }

    /// What the tool is to see of who calls: nothing.
    pub(super) fn leave_caller_behind(&mut self, headers: &mut (impl HeaderView + HeaderStore)) {
        let token = self.settings.places.and_then(|_| token(headers));
        if let Some(token) = &token {
            let holds = |name: &str| {
                let name = http::HeaderName::from_bytes(name.as_bytes());
                name.is_ok_and(|name| {
                    headers
                        .lines(name)
                        .any(|line| memchr::memmem::find(line, token.as_bytes()).is_some())
                })
            };
            let holders: Vec<String> = headers
                .names()
                .filter(|name| holds(name))
                .map(str::to_owned)
                .collect();
            holders
                .iter()
                .filter(|name| !(self.tool.keeps_credential && name.eq_ignore_ascii_case("authorization")))
                .for_each(|name| headers.remove(name));
        }
        if let Some(places) = self.settings.places.filter(|_| !self.tool.keeps_credential) {
            places.clear(headers);
        }
        if !self.tool.keeps_credential {
            headers.remove_name(&AUTHORIZATION);
        }
        headers.remove_name(&KUBESPHERE_AUTHORIZATION);
        // A browser sends the cookies of everybody who shares its origin.
        if headers.first(ORIGIN).is_some()
            || headers
                .names()
                .any(|name| name.eq_ignore_ascii_case("sec-fetch-site"))
        {
            headers.remove_name(&COOKIE);
        }
        headers.retain(&|name| !is_of_front(name));
        self.tool.token = token;
    }

    pub(super) fn choose_provider(&mut self) -> Result<(), Stop<'a>> {
        let Some(path) = self.tool.path else { return Ok(()) };
        let connector = self.connector().ok_or_else(|| connector_not_found(&path))?;
        let class = self.table.connectors.class(&connector.class);
        let class = class.ok_or_else(|| connectors::class_not_found(&connector.class))?;
        let Some(declared) = class.role().class() else {
            // It is known, and broken.
            return self.backend_of(class).map(|_| ());
        };
        let provider = self.tool.found.and_then(|found| found.provider);
        let tool = Provider::Tool(String::new());
        let provider = match path.shape {
            Shape::Path => provider.unwrap_or(&tool),
            Shape::Resources => &Provider::Api,
        };
        let (destination, is_of_class) = match provider {
            Provider::Api => {
                if class.backend().is_err() {
                    return Err(connectors::no_api(&connector.class).into());
                }
                (class, true)
            }
            Provider::Tool(address) => match &declared.proxy {
                Proxy::None => return Err(connectors::no_proxy(&connector.class).into()),
                Proxy::BuiltIn => (self.address(connector, declared, address)?, false),
                Proxy::Own {
                    destination,
                    host_suffix,
                } => {
                    self.tool.keeps_credential = true;
                    let ApiPath { namespace, name, .. } = path;
                    match host_suffix {
                        Some(suffix) => self.tool.host = Some(format!("c-{name}.{namespace}.{suffix}")),
                        None => self.tool.prefix = format!("/namespaces/{namespace}/connectors/{name}"),
                    }
                    (destination, false)
                }
            },
        };
        self.tool.destination = Some(destination);
        self.tool.is_of_class = is_of_class;
        Ok(())
    }

    /// Which of its addresses a tool is called at.
    fn address(
        &self,
        connector: &'a Connector<R>,
        class: &'a Class<R>,
        address: &str,
    ) -> Result<&'a R, Stop<'a>> {
        if address.is_empty() {
            return self.destination();
        }
        let found = [&connector.extensions, &class.extensions, &class.direct]
            .into_iter()
            .find_map(|all| all.get(address));
        found.ok_or_else(|| connectors::bad_address(&connector.class, self.tool.template(), address).into())
    }

    pub(super) fn find_credential(&mut self) -> Result<(), Stop<'a>> {
        let (Some(path), None, Some(connector)) = (self.tool.path, &self.tool.injected, self.connector())
        else {
            return Ok(());
        };
        if self.tool.keeps_credential {
            return Ok(());
        }
        let secret = match &connector.credential {
            Credential::Problem(problem) => return Err(connectors::unusable(problem.clone()).into()),
            Credential::Secret { title, value } => Some((value, title.as_str())),
            Credential::None => None,
        };
        let auth = self.tool.class.and_then(|class| class.auth.get(&connector.auth));
        let wanted = match (auth, secret) {
            (None, None) if connector.auth.is_empty() => Wanted::Ready(Injected::default()),
            (None, _) => return Err(connectors::no_such_auth(connector).into()),
            (Some(auth), None) if auth.is_optional => Wanted::Ready(Injected::default()),
            (Some(_), None) => return Err(connectors::secret_required(connector, &path).into()),
            (Some(auth), Some((secret, title))) if self.tool.is_of_class => {
                connectors::check(auth, secret, title)?;
                Wanted::Ready(Injected::default())
            }
            (Some(auth), Some((secret, title))) => connectors::wanted(auth, secret, title)?,
        };
        if self.tool.is_of_class {
            self.tool.injected = Some(connectors::plugin_headers(&connector.address, secret)?);
            return Ok(());
        }
        match (wanted, secret) {
            (Wanted::Ready(injected), _) => {
                self.tool.injected = Some(injected);
                Ok(())
            }
            (Wanted::Generate { policy }, Some((secret, _))) => Err(Stop::Generate(Evaluation {
                class: &connector.class,
                auth: &connector.auth,
                policy,
                secret: Some(secret),
                method: self.request.method,
                path: path.rest,
                query: self.tool.query,
            })),
            (Wanted::Token { source, client }, _) => Err(Stop::Token(Grant {
                class: &connector.class,
                source,
                client,
            })),
            (Wanted::Generate { .. }, None) => Ok(()),
        }
    }

    /// The request line: what was sent, behind the address that was chosen.
    pub(super) fn call_tool(&mut self) -> Result<(), Stop<'a>> {
        let (Some(path), Some(destination)) = (self.tool.path, self.tool.destination) else {
            return Err(Stop::Answer(Answer::nothing()));
        };
        let base = self.backend_of(destination)?.base_path;
        let query = self.tool.query;
        let query = match &self.tool.token {
            Some(token) => query.map(|query| without_token(query, token)),
            None => query.map(Into::into),
        };
        let injected = self.tool.injected.get_or_insert_default();
        let query = injected.query(query.as_deref());
        let mut target = [base.as_bytes(), self.tool.prefix.as_bytes(), path.rest].concat();
        if target.is_empty() {
            target.push(b'/');
        }
        if let Some(query) = query {
            target.push(b'?');
            target.extend_from_slice(&query);
        }
        let target = RequestLine::check(target)?;
        let method = Method::from_bytes(self.request.method.as_bytes()).unwrap_or_default();
        self.line = Some(Line {
            method,
            target,
            stripped_prefix: None,
        });
        Ok(())
    }
}

/// # Errors
/// The answer to whoever shows no token.
pub(super) fn require_bearer(headers: &impl HeaderView) -> Result<(), Refused> {
    let mut lines = headers.lines(AUTHORIZATION).map(<[u8]>::trim_ascii);
    let scheme = |line: &[u8]| {
        line.split(|byte| *byte == b' ')
            .next()
            .map(<[u8]>::to_ascii_lowercase)
    };
    match lines.find(|line| !line.is_empty()) {
        None => Err(connectors::no_token()),
        // The scheme alone: whoever says no more would be anybody.
        Some(line) if line.eq_ignore_ascii_case(b"bearer") => Err(connectors::no_token()),
        Some(line) if scheme(line).as_deref() == Some(b"bearer") => Ok(()),
        Some(_) => Err(connectors::not_a_bearer()),
    }
}

fn token(headers: &impl HeaderView) -> Option<String> {
    let credential = Places::read(headers, false, None).ok()?;
    Some(credential.token().to_owned()).filter(|token| !token.is_empty())
}

/// What tells a backend who stands in front of it: the tool of a Connector is somebody else's.
fn is_of_front(name: &str) -> bool {
    let is = |prefix: &str| {
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    is("x-forwarded-") || name.eq_ignore_ascii_case("forwarded") || name.eq_ignore_ascii_case("x-real-ip")
}
