use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use genkan_routing::model::Secret;
use gtmpl::{Context, Template, Value};
use serde_json::Value as Json;

use crate::{LONGEST_RENDERED, LONGEST_TEMPLATE};

/// What templates see: the Connector by the names that it has in Go, and the Secret.
#[derive(Clone, Debug)]
pub struct Data {
    value: Value,
}

// === impl Data ===

impl Data {
    /// `params` are the parameters of `spec.auth` and of the spec itself, with their defaults.
    pub fn new(
        namespace: &str,
        name: &str,
        address: &str,
        auth_params: &[(String, String)],
        params: &[(String, String)],
        secret: Option<&Secret>,
    ) -> Self {
        let param = |(name, value): &(String, String)| {
            map([
                ("Name", name.as_str().into()),
                (
                    "Value",
                    map([("StringVal", value.as_str().into()), ("Type", "string".into())]),
                ),
            ])
        };
        let params_of = |all: &[(String, String)]| Value::Array(all.iter().map(param).collect());
        let metadata = [("Name", name.into()), ("Namespace", namespace.into())];
        let spec = map([
            ("Address", map([("Value", map([("StringVal", address.into())]))])),
            ("Auth", map([("Params", params_of(auth_params))])),
            ("Params", params_of(params)),
        ]);
        let connector = map(metadata.into_iter().chain([("Spec", spec)]));
        let secret = secret.map_or(Value::Nil, |secret| {
            let text = |value: &[u8]| Value::from(String::from_utf8_lossy(value).into_owned());
            let data = secret.data.iter().map(|(key, value)| (key.clone(), text(value)));
            let data = Value::Map(data.collect());
            map([("StringData", data), ("Type", secret.kind.as_str().into())])
        });
        Self {
            value: map([("Connector", connector), ("Secret", secret)]),
        }
    }
}

fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let entries = entries.into_iter().map(|(name, value)| (name.to_owned(), value));
    Value::Map(entries.collect::<HashMap<_, _>>())
}

/// Fills a template of a class.
///
/// # Errors
/// Why it cannot be filled, in one sentence without a value.
pub fn render(text: &str, data: &Data) -> Result<String, String> {
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    if text.len() > LONGEST_TEMPLATE {
        return Err(format!(
            "it has {} bytes, and {LONGEST_TEMPLATE} are the most",
            text.len()
        ));
    }
    if let Some(word) = ["define", "template", "block"]
        .iter()
        .find(|word| has_action(text, word))
    {
        return Err(format!("{word} is not known here"));
    }
    let mut template = Template::default();
    for (name, function) in FUNCTIONS {
        template.add_func(name, function);
    }
    template
        .parse(text)
        .map_err(|error| format!("it cannot be read: {error}"))?;
    let rendered = template.render(&Context::from(data.value.clone()));
    // What the library says of a value may hold it.
    let rendered =
        rendered.map_err(|_| "it cannot be filled with this Connector and its Secret".to_owned())?;
    if rendered.len() > LONGEST_RENDERED {
        return Err(format!("it becomes longer than {LONGEST_RENDERED} bytes"));
    }
    Ok(rendered.replace("<no value>", ""))
}

fn has_action(text: &str, word: &str) -> bool {
    text.split("{{").skip(1).any(|action| {
        let action = action.trim_start_matches('-').trim_start();
        action
            .strip_prefix(word)
            .is_some_and(|rest| rest.starts_with([' ', '}', '"']))
    })
}

/// Of sprig, those that headers are made with.
const FUNCTIONS: [(&str, gtmpl::Func); 6] = [
    ("b64enc", |args| {
        text(args).map(|text| STANDARD.encode(text).into())
    }),
    ("trim", |args| text(args).map(|text| text.trim().into())),
    ("lower", |args| text(args).map(|text| text.to_lowercase().into())),
    ("upper", |args| text(args).map(|text| text.to_uppercase().into())),
    ("quote", |args| {
        text(args).map(|text| Json::from(text).to_string().into())
    }),
    ("default", |args| match args {
        [fallback, Value::Nil | Value::NoValue] => Ok(fallback.clone()),
        [fallback, Value::String(given)] if given.is_empty() => Ok(fallback.clone()),
        [_, given] => Ok(given.clone()),
        _ => Err(gtmpl::FuncError::ExactlyXArgs("default".into(), 2)),
    }),
];

fn text(args: &[Value]) -> Result<String, gtmpl::FuncError> {
    match args {
        [Value::String(text)] => Ok(text.clone()),
        [other] => Ok(other.to_string()),
        _ => Err(gtmpl::FuncError::ExactlyXArgs("it".into(), 1)),
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn mk_data(secret: bool) -> Data {
        let secret = secret.then(|| Secret {
            kind: "Opaque".into(),
            data: [("token".to_owned(), Zeroizing::new(b"glpat-x".to_vec()))].into(),
        });
        let params = [("repository".to_owned(), "org/repo.git".to_owned())];
        Data::new(
            "team",
            "board",
            "https://tool.example",
            &params,
            &[],
            secret.as_ref(),
        )
    }

    #[test]
    fn published_templates_are_filled() {
        const TOKEN: &str = "{{ if .Secret }}{{ .Secret.StringData.token }}{{ end }}";
        for (text, secret, made) in [
            (TOKEN, true, "glpat-x"),
            (TOKEN, false, ""),
            (
                "/{{ (index .Connector.Spec.Auth.Params 0).Value.StringVal }}/info/refs?service=x",
                false,
                "/org/repo.git/info/refs?service=x",
            ),
            ("Bearer {{ .Secret.StringData.token }}", true, "Bearer glpat-x"),
            ("{{ .Secret.StringData.missing }}", true, ""),
            (
                "Basic {{ .Secret.StringData.token | b64enc }}",
                true,
                "Basic Z2xwYXQteA==",
            ),
            ("{{ .Connector.Name }}", false, "board"),
            ("/health", false, "/health"),
        ] {
            assert_eq!(render(text, &mk_data(secret)), Ok(made.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_is_told_without_a_value() {
        let long = format!("{{{{ .Connector.Name }}}}{}", "x".repeat(LONGEST_TEMPLATE));
        for text in [
            "{{ env \"HOME\" }}",
            "{{ define \"x\" }}{{ end }}",
            "{{- template \"x\" }}",
            "{{ .Secret.StringData.token",
            "{{ index .Connector.Spec.Auth.Params 7 }}",
            &long,
        ] {
            let said = render(text, &mk_data(true)).unwrap_err();
            assert!(!said.is_empty() && !said.contains("glpat"), "{said}");
        }
    }
}
