//! The answer for people.

use std::fmt::Write;

use super::{Explanation, Outcome};

/// The answer as lines.
pub fn text(explanation: &Explanation) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{} {}", explanation.method, explanation.target);
    let as_asked = explanation.target.split('?').next() == explanation.path.as_deref();
    if let Some(path) = explanation.path.as_ref().filter(|_| !as_asked) {
        let _ = writeln!(out, "the path is read as {path}");
    }
    let width = |of: fn(&super::Candidate) -> &str| {
        let widths = explanation.candidates.iter().map(|candidate| of(candidate).len());
        widths.max().unwrap_or_default()
    };
    let (objects, takes) = (width(|c| &c.object), width(|c| &c.takes));
    if !explanation.candidates.is_empty() {
        let _ = writeln!(out, "\ncandidates");
    }
    for candidate in &explanation.candidates {
        let word = if candidate.wins { "wins" } else { "loses" };
        let _ = writeln!(
            out,
            "  {:objects$}  {:takes$}  {word:5}  {}",
            candidate.object, candidate.takes, candidate.why
        );
    }
    policies(explanation, &mut out);
    out.push('\n');
    outcome(&explanation.outcome, &mut out);
    if !explanation.detail.is_empty() {
        let _ = writeln!(out, "the log says why: {}", explanation.detail);
    }
    if let Some(in_place) = &explanation.in_place {
        let _ = writeln!(
            out,
            "the hook {} answers {} in its place\n\n{}",
            in_place.by, in_place.code, in_place.body
        );
    }
    if let Some(answer) = &explanation.answer {
        let _ = writeln!(out, "\nof that answer the client gets\n\n  {}", answer.status);
        for (name, value) in &answer.headers {
            let _ = writeln!(out, "  {name}: {value}");
        }
    }
    if explanation.as_grpc {
        out.push_str("as the client speaks gRPC, it gets 200 with grpc-status and this as grpc-message\n");
    }
    out
}

fn policies(explanation: &Explanation, out: &mut String) {
    let Some(class) = explanation.class else { return };
    let _ = writeln!(out, "\npolicies, {class}");
    let width = |of: fn(&super::PolicyStep) -> &str| {
        let widths = explanation.policies.iter().map(|step| of(step).len());
        widths.max().unwrap_or_default()
    };
    let (places, froms) = (width(|step| &step.place), width(|step| &step.from));
    for step in &explanation.policies {
        let mode = step.mode.map(|mode| format!("  {mode}")).unwrap_or_default();
        let _ = writeln!(
            out,
            "  {:places$}  {:froms$}  {}{mode}",
            step.place, step.from, step.uses
        );
    }
}

fn outcome(outcome: &Outcome, out: &mut String) {
    match outcome {
        Outcome::Forward(forward) => {
            let peer = &forward.peer;
            let protocol = if peer.http2 { "HTTP/2" } else { "HTTP/1.1" };
            let place = match &peer.host {
                Some(host) => host.clone(),
                None => peer.endpoints.join(" or "),
            };
            let _ = writeln!(out, "{} sends it by {} to {place}\n", forward.object, peer.scheme);
            let _ = writeln!(out, "  {} {} {protocol}", forward.method, forward.target);
            for (name, value) in &forward.headers {
                let _ = writeln!(out, "  {name}: {value}");
            }
            if !forward.notes.is_empty() {
                out.push('\n');
            }
            for note in &forward.notes {
                let _ = writeln!(out, "{note}");
            }
        }
        Outcome::Redirect { code, location } => {
            let _ = writeln!(out, "genkan answers {code}, Location: {location}");
        }
        Outcome::Respond {
            code,
            reason,
            step,
            body,
        } => {
            let _ = writeln!(out, "the policy {step} answers {code} {reason}");
            if !body.is_empty() {
                let _ = writeln!(out, "\n{body}");
            }
        }
        Outcome::Discovery { what } => {
            let _ = writeln!(out, "genkan answers by itself: {what}");
        }
        Outcome::ServerOptions => {
            let _ = writeln!(
                out,
                "genkan answers by itself: 200 with the methods that it serves"
            );
        }
        Outcome::Refuse {
            code,
            reason,
            message,
        } => {
            let _ = writeln!(out, "genkan answers {code} {reason}: {message}");
        }
    }
}
