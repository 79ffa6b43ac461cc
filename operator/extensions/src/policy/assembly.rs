//! The steps of an assembly, one policy of DataPower's after the other.

mod call;
mod flow;
mod limit;
mod message;
mod refused;
mod security;
mod set;

use genkan_routing::model::policy::{Catch, PolicyStep};
use serde_json::{Map, Value};

use crate::refusal::{Reason, Refused};
use crate::tree::Node;

use super::catch::reasons;
use super::expression::value;
use super::{Reading, Steps, version};

/// Characters of the name of a step.
const LONGEST_NAME: usize = 64;

/// The assembly of one file.
pub(super) struct Assembly<'a> {
    file: &'a str,
    reading: &'a Reading,
}

/// Why a step is not converted.
enum Fault {
    /// It is no step: `PolicyInvalid`.
    Malformed(String),
    /// Its name and why: `Unsupported`.
    Unsupported(String),
    /// About a step inside it, and complete.
    Inside(Refused),
}

type Converted = Result<Vec<PolicyStep>, Fault>;

/// One policy of an assembly.
struct Policy<'a> {
    name: &'a str,
    node: &'a Node,
    path: &'a str,
}

// === impl Assembly ===

impl<'a> Assembly<'a> {
    pub fn new(file: &'a str, reading: &'a Reading) -> Self {
        Self { file, reading }
    }

    pub fn read(&self, assembly: Option<&Node>) -> Result<Steps, Refused> {
        let Some(assembly) = assembly else {
            return Ok(Steps::default());
        };
        if assembly.as_map().is_none() {
            return Err(self.malformed("assembly", "not a map"));
        }
        let list = |name: &str| match assembly.given(name) {
            Some(node) => self.steps(node, &format!("assembly.{name}")),
            None => Ok(Vec::new()),
        };
        Ok(Steps {
            steps: list("execute")?,
            catch: match assembly.given("catch") {
                Some(node) => self.catch(node)?,
                None => Vec::new(),
            },
            finally: list("finally")?,
        })
    }

    fn catch(&self, node: &Node) -> Result<Vec<Catch>, Refused> {
        let items = node.as_list();
        let items = items.ok_or_else(|| self.malformed("assembly.catch", "not a list"))?;
        let mut all = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("assembly.catch[{index}]");
            if let Some(steps) = item.given("default") {
                let path = format!("{path}.default");
                all.push(Catch {
                    errors: vec!["*".to_owned()],
                    steps: self.steps(steps, &path)?,
                });
                continue;
            }
            let errors = item.given("errors").and_then(Node::as_list);
            let errors = errors.ok_or_else(|| self.malformed(&path, "neither errors nor default"))?;
            let names: Vec<_> = errors.iter().map(Node::shown).collect();
            let steps = match item.given("execute") {
                Some(steps) => self.steps(steps, &format!("{path}.execute"))?,
                None => Vec::new(),
            };
            all.push(Catch {
                errors: reasons(names.iter().map(String::as_str)),
                steps,
            });
        }
        Ok(all)
    }

    /// A list of policies.
    fn steps(&self, node: &Node, path: &str) -> Result<Vec<PolicyStep>, Refused> {
        let items = node.as_list();
        let items = items.ok_or_else(|| self.malformed(path, "not a list"))?;
        let mut steps = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let [(name, node)] = item.as_map().unwrap_or_default() else {
                return Err(self.malformed(&path, "not one policy"));
            };
            let policy = Policy {
                name,
                node,
                path: &path,
            };
            let mut converted = self.convert(&policy).map_err(|fault| match fault {
                Fault::Malformed(what) => self.malformed(&path, &what),
                Fault::Unsupported(what) => {
                    let message = format!("{}: {path}: {name} {what}", self.file);
                    Reason::Unsupported.refuse(message)
                }
                Fault::Inside(refused) => refused,
            })?;
            let title = node.given("title").and_then(Node::scalar);
            if let (Some(title), [step]) = (title, converted.as_mut_slice()) {
                step.name = Some(title.chars().take(LONGEST_NAME).collect());
            }
            steps.extend(converted);
        }
        Ok(steps)
    }

    fn malformed(&self, path: &str, what: &str) -> Refused {
        Reason::PolicyInvalid.refuse(format!("{}: {path}: {what}", self.file))
    }

    fn convert(&self, policy: &Policy<'_>) -> Converted {
        match policy.name {
            "set-variable" => set::set_variable(policy),
            "gatewayscript" => message::gatewayscript(policy),
            "invoke" | "proxy" => call::call(policy, &self.reading.host_map),
            "switch" => flow::switch(self, policy),
            "if" => flow::if_(self, policy),
            "operation-switch" => flow::operation_switch(self, policy),
            "throw" => flow::throw(policy),
            "log" | "activity-log" => message::log(policy),
            "redact" => message::redact(policy),
            "json-to-xml" => message::json_to_xml(policy),
            "xml-to-json" => message::xml_to_json(policy),
            "map" => message::map(policy),
            "parse" => message::parse(policy),
            "validate" => message::validate(policy),
            "ratelimit" => limit::ratelimit(policy),
            "jwt-validate" => security::jwt_validate(policy),
            "user-security" => security::user_security(policy, &self.reading.secret_map),
            "cors" | "client-identification" | "security" => Ok(Vec::new()),
            name => match refused::why(name) {
                Some(why) => Err(Fault::Unsupported(why.to_owned())),
                None if self.reading.known.contains(name) => Ok(vec![defined(policy)]),
                None => {
                    let why = "is not a policy that is known here";
                    Err(Fault::Unsupported(why.to_owned()))
                }
            },
        }
    }
}

// === impl Policy ===

impl<'a> Policy<'a> {
    /// The text of a member, unless it is absent, null or empty.
    fn text(&self, name: &str) -> Option<String> {
        let text = self.node.given(name)?.scalar()?;
        (!text.is_empty()).then_some(text)
    }

    fn list(&self, name: &str) -> &'a [Node] {
        let node = self.node.given(name);
        node.and_then(Node::as_list).unwrap_or_default()
    }

    /// Texts of a list, or the one text that stands for a list.
    fn texts(&self, name: &str) -> Vec<String> {
        match self.node.given(name) {
            Some(node) => match node.as_list() {
                Some(items) => items.iter().map(Node::shown).collect(),
                None => vec![node.shown()],
            },
            None => Vec::new(),
        }
    }

    /// The message is what every one of these reads and writes.
    fn is_about_the_message(&self) -> Result<(), Fault> {
        for name in ["input", "output"] {
            if let Some(text) = self.text(name)
                && text != "message"
            {
                return Err(Fault::Unsupported(format!(
                    "with {name}: {text} is not converted"
                )));
            }
        }
        Ok(())
    }
}

fn step(uses: &str, with: Map<String, Value>) -> PolicyStep {
    PolicyStep {
        uses: uses.to_owned(),
        with,
        ..PolicyStep::default()
    }
}

/// A policy of this or another extension; what is not its version or title is a parameter.
fn defined(policy: &Policy<'_>) -> PolicyStep {
    let name = policy.name;
    let uses = match policy.text("version") {
        Some(text) => format!("{name}@{}", version(&text).unwrap_or(text)),
        None => name.to_owned(),
    };
    let members = policy.node.as_map().unwrap_or_default();
    let parameters = members
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "version" | "title"));
    let with = parameters.map(|(name, node)| (name.clone(), value(node)));
    step(&uses, with.collect())
}
