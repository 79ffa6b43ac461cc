use serde_json::{Map, Value};

use crate::policy::expression::{template, value};
use crate::policy::object;
use crate::tree::Node;

use super::{Converted, Fault, Policy, step};

/// What only requests and genkan itself say.
const READ_ONLY: [&str; 5] = ["request", "api", "client", "plan", "session"];

#[derive(Default)]
struct Set {
    set: Map<String, Value>,
    add: Map<String, Value>,
    remove: Vec<Value>,
    body: Option<Value>,
    status: Option<Value>,
    vars: Vec<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Set,
    Add,
    Clear,
}

pub(super) fn set_variable(policy: &Policy<'_>) -> Converted {
    let actions = policy.node.given("actions");
    let actions = actions.and_then(Node::as_list);
    let actions = actions.ok_or_else(|| Fault::Malformed("set-variable without a list of actions".into()))?;
    let mut set = Set::default();
    for node in actions {
        let kinds = [
            ("set", Action::Set),
            ("add", Action::Add),
            ("clear", Action::Clear),
        ];
        let found = kinds.iter().find_map(|(name, action)| {
            let name = node.given(name)?.as_text()?;
            Some((*action, name))
        });
        let (action, name) =
            found.ok_or_else(|| Fault::Malformed("set-variable without set, add or clear".into()))?;
        set.take(action, name, node)?;
    }
    Ok(vec![step("set", set.with())])
}

// === impl Set ===

impl Set {
    fn take(&mut self, action: Action, name: &str, node: &Node) -> Result<(), Fault> {
        let first = name.split('.').next().unwrap_or_default();
        if READ_ONLY.contains(&first) {
            return Err(read_only(name));
        }
        if let Some(header) = name
            .strip_prefix("message.headers.")
            .filter(|name| !name.is_empty())
        {
            self.header(action, header.to_lowercase(), node);
            return Ok(());
        }
        match (name, action) {
            ("message.body", Action::Set) => {
                self.body = Some(node.get("value").map_or(Value::from(""), value));
            }
            ("message.body", Action::Clear) => self.body = Some(Value::from("")),
            ("message.status.code", Action::Set) => self.status = Some(status(node.get("value"))),
            _ if first == "message" => return Err(read_only(name)),
            (_, Action::Add) => {
                let why = format!("adds to {name}, which is not a header");
                return Err(Fault::Unsupported(why));
            }
            (_, Action::Set) => self.vars.push(Value::Object(object([
                ("name", Value::from(name)),
                ("value", typed(node)),
                ("action", Value::from("set")),
            ]))),
            (_, Action::Clear) => self.vars.push(Value::Object(object([
                ("name", Value::from(name)),
                ("action", Value::from("clear")),
            ]))),
        }
        Ok(())
    }

    fn header(&mut self, action: Action, name: String, node: &Node) {
        let text = node.get("value").map(Node::shown).unwrap_or_default();
        let text = Value::from(template(&text));
        match action {
            Action::Set => {
                self.set.insert(name, text);
            }
            Action::Clear => self.remove.push(Value::from(name)),
            Action::Add => match self.add.get_mut(&name) {
                Some(Value::Array(all)) => all.push(text),
                Some(one) => *one = Value::Array(vec![one.take(), text]),
                None => {
                    self.add.insert(name, text);
                }
            },
        }
    }

    fn with(self) -> Map<String, Value> {
        let mut headers = Map::new();
        if !self.set.is_empty() {
            headers.insert("set".to_owned(), Value::Object(self.set));
        }
        if !self.add.is_empty() {
            headers.insert("add".to_owned(), Value::Object(self.add));
        }
        if !self.remove.is_empty() {
            headers.insert("remove".to_owned(), Value::Array(self.remove));
        }
        let mut with = Map::new();
        if !headers.is_empty() {
            with.insert("headers".to_owned(), Value::Object(headers));
        }
        if let Some(body) = self.body {
            with.insert("body".to_owned(), body);
        }
        if let Some(status) = self.status {
            with.insert("status".to_owned(), status);
        }
        if !self.vars.is_empty() {
            with.insert("vars".to_owned(), Value::Array(self.vars));
        }
        with
    }
}

fn read_only(name: &str) -> Fault {
    Fault::Unsupported(format!("writes {name}, which is read-only"))
}

/// `202 Accepted` is 202.
fn status(node: Option<&Node>) -> Value {
    let text = node.map(Node::shown).unwrap_or_default();
    let number = text.split_whitespace().next().and_then(|code| code.parse().ok());
    number.map_or_else(|| Value::from(template(&text)), |code: u16| Value::from(code))
}

/// The value of a variable; a text that stands for a number or a boolean becomes one.
fn typed(node: &Node) -> Value {
    let given = node.get("value").unwrap_or(&Node::Null);
    let text = given.as_text().unwrap_or_default();
    let read = match node.get("type").and_then(Node::as_text) {
        Some("number") => serde_json::from_str(text).ok().filter(Value::is_number),
        Some("boolean") => text.parse::<bool>().ok().map(Value::from),
        Some(_) | None => None,
    };
    read.unwrap_or_else(|| value(given))
}
