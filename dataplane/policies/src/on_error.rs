use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::answer::{AnswerBody, AnswerKind};
use crate::exchange::{Exchange, Failing, Request, Stage, State};
use crate::glob::Glob;
use crate::outside::Outside;
use crate::plan::{Chain, Plan};
use crate::run::Outcome;

/// A hook for answers of genkan that are errors.
#[derive(Debug)]
pub(crate) struct ErrorHook {
    /// `EXT/ENTRY`.
    pub(crate) title: Arc<str>,
    /// Reasons that it is about.
    pub(crate) errors: Box<[Glob]>,
    pub(crate) chain: Chain,
}

/// An answer that a hook may replace.
#[derive(Clone, Copy, Debug)]
pub struct Replacing<'a> {
    pub status: u16,
    pub reason: &'a str,
    pub message: &'a str,
}

/// What the client gets instead. The reason stays that of the error.
#[derive(Debug)]
pub struct Replaced {
    pub status: u16,
    pub body: AnswerBody,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The message of the hook, for a body that is a Status.
    pub message: String,
    /// `EXT/ENTRY`.
    pub by: Arc<str>,
    /// The step of it.
    pub step: Arc<str>,
}

// === impl ErrorHook ===

impl ErrorHook {
    fn is_about(&self, reason: &str) -> bool {
        self.errors.is_empty() || self.errors.iter().any(|error| error.matches(reason))
    }
}

// === impl Plan ===

impl Plan {
    /// The hooks that are about this error, one after the other; the first that responds replaces it. It is for answers that
    /// genkan gives itself to a request whose route is known, and that are errors.
    pub async fn replace(
        &self,
        error: Replacing<'_>,
        request: Request<'_>,
        request_headers: &HeaderMap,
        state: &mut State,
        outside: &dyn Outside,
    ) -> Option<Replaced> {
        let mut headers = HeaderMap::new();
        for hook in self.on_error.iter().filter(|hook| hook.is_about(error.reason)) {
            let mut status = error.status;
            let stage = Stage::Response {
                request: request_headers,
                status: &mut status,
                headers: &mut headers,
            };
            let mut exchange = Exchange::new(request, stage, state);
            exchange.failing = Some(Failing {
                status: error.status,
                message: error.message.to_owned(),
            });
            let Outcome::Answer(answer) = hook.chain.run(&mut exchange, outside).await else {
                continue;
            };
            if answer.kind != AnswerKind::Responded {
                continue;
            }
            let mut all: Vec<_> = headers
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            all.extend(answer.headers);
            return Some(Replaced {
                status: answer.status,
                body: answer.body,
                headers: all,
                message: answer.message,
                by: Arc::clone(&hook.title),
                step: answer.step,
            });
        }
        None
    }
}
