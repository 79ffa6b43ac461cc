use std::collections::BTreeMap;
use std::panic::catch_unwind;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, Program, Value};
use serde_json::json;

use crate::{Expected, LONGEST_RULE};

/// What a tool answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// In order; names in any case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// What that means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    /// One sentence, without anything of the answer but its status.
    Bad(String),
}

/// Nested loops of a rule.
const MOST_NESTED: usize = 2;
/// Expressions inside of one another.
const DEEPEST: usize = 96;
/// Texts with no more signs than that are no deeper.
const FEW_SIGNS: usize = 64;
/// Bytes of stack to read any rule.
const ROOM: usize = 64 << 20;
/// Entries of a list or map that a rule looks at.
const MOST_ITEMS: usize = 1000;

/// Whether a rule can be judged by at all.
///
/// # Errors
/// Why not, in one sentence.
pub fn check_rule(rule: &str) -> Result<(), String> {
    compile(rule).map(|_| ())
}

fn compile(rule: &str) -> Result<Program, String> {
    if rule.len() > LONGEST_RULE {
        return Err(format!(
            "it has {} bytes, and {LONGEST_RULE} are the most",
            rule.len()
        ));
    }
    let loops = [".all(", ".exists(", ".exists_one(", ".map(", ".filter("];
    let nested = loops.iter().map(|word| rule.matches(word).count()).sum::<usize>();
    if nested > MOST_NESTED {
        return Err(format!("it has {nested} loops, and {MOST_NESTED} are the most"));
    }
    if rule.bytes().filter(u8::is_ascii_punctuation).count() <= FEW_SIGNS {
        return read(rule);
    }
    // The parser calls itself for each term of a chain: what may be long is read where there is room for that.
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().stack_size(ROOM);
        let reader = reader.spawn_scoped(scope, || read(rule));
        let reader = reader.map_err(|_| "there is no room to read it".to_owned())?;
        reader.join().map_err(|_| "it cannot be read".to_owned())?
    })
}

fn read(rule: &str) -> Result<Program, String> {
    // The parser is known to panic on some texts that are no expressions.
    let program = match catch_unwind(|| Program::compile(rule)) {
        Ok(Ok(program)) => program,
        Ok(Err(error)) => {
            let text = error.to_string();
            return Err(text.lines().next().unwrap_or("it cannot be read").to_owned());
        }
        Err(_) => return Err("it cannot be read".to_owned()),
    };
    match is_shallow(program.expression(), 0) {
        true => Ok(program),
        false => Err(format!("it is nested deeper than {DEEPEST} levels")),
    }
}

/// It can be evaluated with the stack that there is.
fn is_shallow(node: &IdedExpr, depth: usize) -> bool {
    if depth > DEEPEST {
        return false;
    }
    let deeper = |node: &IdedExpr| is_shallow(node, depth + 1);
    let of_entry = |entry: &EntryExpr| match entry {
        EntryExpr::StructField(field) => deeper(&field.value),
        EntryExpr::MapEntry(entry) => deeper(&entry.key) && deeper(&entry.value),
    };
    match &node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => true,
        Expr::Call(call) => call.target.as_deref().is_none_or(deeper) && call.args.iter().all(deeper),
        Expr::List(list) => list.elements.iter().all(deeper),
        Expr::Map(map) => map.entries.iter().all(|entry| of_entry(&entry.expr)),
        Expr::Struct(made) => made.entries.iter().all(|entry| of_entry(&entry.expr)),
        Expr::Select(select) => deeper(&select.operand),
        Expr::Comprehension(comprehension) => [
            &comprehension.iter_range,
            &comprehension.accu_init,
            &comprehension.loop_cond,
            &comprehension.loop_step,
            &comprehension.result,
        ]
        .into_iter()
        .all(deeper),
    }
}

// === impl Answer ===

impl Answer {
    /// Where it redirects to, if it does.
    pub fn location(&self) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(name, _)| name.eq_ignore_ascii_case("location"));
        let redirects = matches!(self.status, 301 | 302 | 303 | 307 | 308);
        found.filter(|_| redirects).map(|(_, value)| value.as_str())
    }
}

// === impl Expected ===

impl Expected {
    pub fn judge(&self, answer: &Answer) -> Verdict {
        let status = answer.status;
        let is_good = match self {
            Self::Connection => true,
            Self::Success => (200..300).contains(&status),
            Self::Ok => status == 200,
            Self::Rule(rule) => match follows(rule, answer) {
                Ok(true) => true,
                Ok(false) => {
                    return Verdict::Bad(format!("the rule of the class is false for status code {status}"));
                }
                Err(problem) => {
                    return Verdict::Bad(format!("the rule of the class cannot be applied: {problem}"));
                }
            },
        };
        if is_good {
            Verdict::Good
        } else {
            Verdict::Bad(format!("status code {status}"))
        }
    }
}

fn follows(rule: &str, answer: &Answer) -> Result<bool, String> {
    let program = compile(rule)?;
    let mut headers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, value) in answer.headers.iter().take(MOST_ITEMS) {
        // Rules are written with either spelling.
        for name in [canonical(name), name.to_ascii_lowercase()] {
            let values = headers.entry(name).or_default();
            values.push(value);
        }
    }
    let body = serde_json::from_str::<serde_json::Value>(&answer.body).ok();
    let body = body.filter(is_small).unwrap_or_default();
    let response = json!({
        "statusCode": answer.status,
        "headers": headers,
        "bodyString": answer.body,
        "body": body,
    });
    let mut context = Context::default();
    context
        .add_variable("response", response)
        .map_err(|_| "the answer has no form for it".to_owned())?;
    match program.execute(&context) {
        Ok(Value::Bool(verdict)) => Ok(verdict),
        Ok(_) => Err("it is neither true nor false".to_owned()),
        Err(_) => Err("it does not fit the answer".to_owned()),
    }
}

/// No list or map of it is longer than a rule may look at.
fn is_small(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Array(all) => all.len() <= MOST_ITEMS && all.iter().all(is_small),
        serde_json::Value::Object(all) => all.len() <= MOST_ITEMS && all.values().all(is_small),
        _ => true,
    }
}

/// `content-type` becomes `Content-Type`.
fn canonical(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
    });
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.into(),
        }
    }

    #[track_caller]
    fn is_good(rule: &str, answer: &Answer) -> bool {
        Expected::Rule(rule.into()).judge(answer) == Verdict::Good
    }

    #[test]
    fn rules_look_at_status_headers_and_body() {
        let up = mk_answer(200, r#"{"status":"UP","n":3,"list":["a"]}"#);
        for rule in [
            "response.statusCode == 200",
            "response.statusCode == 200 && response.body.status == 'UP'",
            "response.body.n >= 3",
            "response.headers['Content-Type'][0] == 'application/json'",
            "response.headers['content-type'][0].startsWith('application/')",
            "response.bodyString.contains('UP')",
            "response.body.list.exists(x, x == 'a')",
        ] {
            assert!(is_good(rule, &up), "{rule}");
        }
        let starting = mk_answer(200, r#"{"status":"STARTING"}"#);
        assert!(!is_good(
            "response.statusCode == 200 && response.body.status == 'UP'",
            &starting
        ));
        // No JSON, no such member, no yes or no, no expression.
        for (rule, body) in [
            ("response.body.status == 'UP'", "plain"),
            ("response.body.missing == 1", "{}"),
            ("response.statusCode", "{}"),
            ("response.statusCode ==", "{}"),
        ] {
            assert!(!is_good(rule, &mk_answer(200, body)), "{rule}");
        }
    }

    #[test]
    fn without_a_rule_the_status_says_it() {
        for (status, success, ok) in [
            (200, true, true),
            (204, true, false),
            (302, false, false),
            (401, false, false),
        ] {
            let answer = mk_answer(status, "");
            assert_eq!(
                Expected::Success.judge(&answer) == Verdict::Good,
                success,
                "{status}"
            );
            assert_eq!(Expected::Ok.judge(&answer) == Verdict::Good, ok, "{status}");
        }
        assert_eq!(
            Expected::Success.judge(&mk_answer(401, "hunter2")),
            Verdict::Bad("status code 401".into())
        );
    }

    #[test]
    fn rules_that_could_take_long_are_refused() {
        let nested = "response.body.a.all(x, response.body.b.all(y, response.body.c.all(z, z == x)))";
        let long = "1 == 1 ".repeat(LONGEST_RULE / 7 + 1);
        for rule in [nested, &long, "(", ""] {
            assert!(check_rule(rule).is_err(), "{}", &rule[..rule.len().min(40)]);
        }
    }

    #[test]
    fn a_deep_rule_is_refused_and_ends_nothing() {
        for (one, many) in [
            ("1", "+1"),
            ("", "("),
            ("", "["),
            ("a", ".a"),
            ("", "!"),
            ("", "-"),
        ] {
            let mut rule = one.to_owned();
            while rule.len() + many.len() < LONGEST_RULE {
                rule += many;
            }
            assert!(check_rule(&rule).is_err(), "{many}");
        }
    }
}
