use std::sync::Arc;

use genkan_probe::{Answer, Expected, MOST_REDIRECTS, Plan, Verdict, join, origin};
use genkan_routing::connectors::Client as Holder;
use genkan_routing::model::Probed;

use crate::upstream::client::{Asked, Client};
use crate::upstream::tokens::Tokens;

/// Asks tools, as themselves.
#[derive(Debug)]
pub struct Asker {
    client: Arc<Client>,
    tokens: Arc<Tokens>,
}

// === impl Asker ===

impl Asker {
    pub fn new(client: Arc<Client>, tokens: Arc<Tokens>) -> Self {
        Self { client, tokens }
    }

    /// Asks, follows redirects, and judges what comes.
    pub async fn ask(&self, plan: &Plan) -> Probed {
        let own = match self.lines(plan).await {
            Ok(own) => own,
            Err(problem) => return failed(problem),
        };
        let mut url = plan.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let asked = Asked {
                method: &plan.method,
                url: &url,
                // What was made for the tool is nobody else's.
                headers: if origin(&url) == origin(&plan.url) {
                    own.as_slice()
                } else {
                    &[]
                },
                body: &[],
                authorities: plan.authorities.as_deref(),
                beside_roots: !plan.without_roots,
                skips_verification: plan.skips_verification,
            };
            if plan.expected == Expected::Connection {
                return match self.client.connect(&asked).await {
                    Ok(()) => judged(plan, &Answer::default()),
                    Err(problem) => failed(problem),
                };
            }
            let answer = match self.client.ask(&asked).await {
                Ok(answer) => answer,
                Err(problem) => return failed(problem),
            };
            let next = answer.location().filter(|_| plan.follows_redirects);
            match next.map(|location| join(&url, location)) {
                None => return judged(plan, &answer),
                Some(None) => return failed("it redirects to nowhere that could be asked".to_owned()),
                Some(Some(next)) => url = next,
            }
        }
        failed(format!("it redirects more than {MOST_REDIRECTS} times"))
    }

    /// The headers of the plan, and the token that it is to be asked with.
    async fn lines(&self, plan: &Plan) -> Result<Vec<(String, String)>, String> {
        let mut lines = plan.headers.clone();
        let Some(wanted) = &plan.token else {
            return Ok(lines);
        };
        let client = Holder {
            id: wanted.client_id.as_bytes(),
            secret: wanted.client_secret.as_bytes(),
        };
        let granted = self.tokens.get(&wanted.source(), client).await;
        let granted = granted.map_err(|problem| problem.message)?;
        lines.push((
            "Authorization".to_owned(),
            format!("Bearer {}", granted.text.as_str()),
        ));
        Ok(lines)
    }
}

fn failed(message: String) -> Probed {
    Probed {
        is_good: false,
        has_answered: false,
        message,
    }
}

fn judged(plan: &Plan, answer: &Answer) -> Probed {
    let (is_good, message) = match plan.expected.judge(answer) {
        Verdict::Good => (true, String::new()),
        Verdict::Bad(message) => (false, message),
    };
    Probed {
        is_good,
        has_answered: true,
        message,
    }
}
