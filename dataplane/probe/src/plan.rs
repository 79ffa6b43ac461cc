use genkan_routing::model::{Secret, TokenSource};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// One question, ready to be asked. It holds credentials: it travels and is kept as a Secret is.
#[derive(Clone, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// Absolute, with path and query.
    pub url: String,
    pub method: String,
    /// In order; a name may come several times.
    pub headers: Vec<(String, String)>,
    pub follows_redirects: bool,
    /// PEM, beside the roots of whoever asks.
    pub authorities: Option<String>,
    /// `authorities` alone count, as for the API of a class.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_roots: bool,
    pub skips_verification: bool,
    pub expected: Expected,
    /// Whoever asks gets a bearer token first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenWanted>,
}

/// A client, and who grants tokens to it.
#[derive(Clone, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenWanted {
    pub url: String,
    pub scopes: Vec<String>,
    /// PEM.
    pub authorities: Option<String>,
    pub client_id: String,
    pub client_secret: String,
}

/// Which answer is good.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Expected {
    /// Any 2xx.
    Success,
    /// 200 alone: the API of a class says whether a credential is good.
    Ok,
    /// What this CEL expression is true for.
    Rule(String),
    /// None is asked for: it is enough that a connection can be made, with TLS where the URL says so.
    Connection,
}

/// The type of the Secret that a plan travels as.
const KIND: &str = "genkan.io/probe";
const KEY: &str = "plan";

// === impl Plan ===

impl Plan {
    pub fn to_secret(&self) -> Secret {
        // Text, lists and flags always have a form in JSON.
        let json = Zeroizing::new(serde_json::to_vec(self).unwrap_or_default());
        Secret {
            kind: KIND.into(),
            data: [(KEY.to_owned(), json)].into(),
        }
    }

    /// `None`: it is no plan of this version.
    pub fn from_secret(secret: &Secret) -> Option<Self> {
        let json = secret.data.get(KEY).filter(|_| secret.kind == KIND)?;
        serde_json::from_slice(json).ok()
    }
}

// === impl TokenWanted ===

impl TokenWanted {
    pub fn source(&self) -> TokenSource {
        TokenSource {
            url: self.url.clone(),
            scopes: self.scopes.clone(),
            authorities: self.authorities.clone(),
        }
    }
}

impl std::fmt::Debug for TokenWanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenWanted(..)")
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Plan(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_travels_as_a_secret() {
        let plan = Plan {
            url: "https://tool.example/x".into(),
            method: "GET".into(),
            headers: vec![("X-Key".into(), "k".into())],
            follows_redirects: true,
            authorities: None,
            without_roots: true,
            skips_verification: false,
            expected: Expected::Rule("response.statusCode == 204".into()),
            token: Some(TokenWanted {
                url: "https://login.example/token".into(),
                scopes: vec!["read".into()],
                authorities: None,
                client_id: "i".into(),
                client_secret: "s".into(),
            }),
        };
        assert_eq!(Plan::from_secret(&plan.to_secret()), Some(plan));
        let other = Secret {
            kind: "Opaque".into(),
            data: [(KEY.to_owned(), b"{}".to_vec().into())].into(),
        };
        assert_eq!(Plan::from_secret(&other), None);
    }
}
