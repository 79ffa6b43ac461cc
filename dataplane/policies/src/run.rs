use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use genkan_routing::model::policy::{Direction, Mode, OnError};
use http::HeaderMap;

use crate::answer::{AnswerKind, PolicyAnswer};
use crate::exchange::{Exchange, Stage};
use crate::failure::{Case as FailureCase, Counted, Event, Verdict, outcome};
use crate::meters::Decision;
use crate::outside::{Outside, Waiting};
use crate::step::{Action, Case, Definition, Moment, Params, Step, Stop};

/// What becomes of a message at one place of a plan.
#[derive(Debug)]
pub enum Outcome {
    Forward,
    Answer(Box<PolicyAnswer>),
}

type Done = Result<(), Box<PolicyAnswer>>;

/// Step by step; the first that answers ends it.
pub(crate) async fn run_steps(steps: &[Step], exchange: &mut Exchange<'_>, outside: &dyn Outside) -> Done {
    for (index, step) in steps.iter().enumerate() {
        match step.mode {
            Mode::Disabled => {}
            Mode::Enforce => {
                if let Err(mut answer) = run_step(step, exchange, outside).await {
                    let rest = steps.get(index + 1..).unwrap_or_default();
                    answer.is_final |= rest.iter().any(Step::protects);
                    return Err(answer);
                }
            }
            Mode::Shadow => shadow(step, exchange, outside).await,
        }
    }
    Ok(())
}

/// The same, for steps inside of steps.
fn nested<'a>(
    steps: &'a [Step],
    exchange: &'a mut Exchange<'_>,
    outside: &'a dyn Outside,
) -> Waiting<'a, Done> {
    Box::pin(run_steps(steps, exchange, outside))
}

async fn run_step(step: &Step, exchange: &mut Exchange<'_>, outside: &dyn Outside) -> Done {
    let moment = Moment {
        now: outside.now(),
        elapsed: outside.elapsed(),
    };
    let applies = match &step.when {
        Some(when) => when.truth(exchange, moment.now),
        None => Ok(true),
    };
    let counted = exchange.state.counted.len();
    let warned = exchange.state.warned.len();
    let done = match applies {
        Ok(false) => return Ok(()),
        Ok(true) => {
            exchange.state.marks.meet(step.mark);
            match exchange.time_left(moment.elapsed) {
                Some(Duration::ZERO) => judged(step, exchange, too_late()),
                Some(_) | None => match step.timeout {
                    Some(timeout) => act_in_time(step, timeout, exchange, moment, outside).await,
                    None => act(step, exchange, moment, outside).await,
                },
            }
        }
        Err(detail) => {
            exchange.state.marks.meet(step.mark);
            judged(step, exchange, Stop::error(format!("when: {detail}")))
        }
    };
    if let Some(meter) = &step.meter {
        let has_failed = exchange.state.counted.len() > counted;
        let mut decision = Decision::of(&done, has_failed, step.mode == Mode::Shadow);
        if decision == Decision::Passed && exchange.state.warned.len() > warned {
            decision = Decision::Warned;
        }
        meter.record(decision, outside.elapsed().saturating_sub(moment.elapsed));
    }
    done
}

/// Steps do not interrupt each other's work: one that waits is left, and one that comes too late has failed.
async fn act_in_time(
    step: &Step,
    timeout: Duration,
    exchange: &mut Exchange<'_>,
    moment: Moment,
    outside: &dyn Outside,
) -> Done {
    let deadline = moment.elapsed.saturating_add(timeout);
    let outer = exchange.deadline;
    exchange.deadline = Some(outer.map_or(deadline, |outer| outer.min(deadline)));
    let params = exchange.params.clone();
    let counted = exchange.state.counted.len();
    let open = exchange.open.len();
    let done = {
        let mut work: Waiting<'_, Done> = Box::pin(act(step, exchange, moment, outside));
        let mut pause = outside.pause(timeout);
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => pause.as_mut().poll(context).map(|()| None),
        })
        .await
    };
    exchange.params = params;
    exchange.deadline = outer;
    // What was left in the middle, from the inside out.
    while exchange.open.len() > open
        && let Some((definition, params)) = exchange.open.pop()
    {
        let outer = exchange.swap_params(Some(params));
        finish(&definition, exchange, outside).await;
        exchange.swap_params(outer);
    }
    let is_late = outside.elapsed() > deadline;
    match done {
        Some(done) if !is_late || done.is_err() => done,
        Some(_) | None => {
            // It is counted once, as what it is.
            exchange.state.counted.truncate(counted);
            judged(step, exchange, too_late())
        }
    }
}

fn too_late() -> Stop {
    Stop::failed(Event::Timeout, "it took longer than its timeout")
}

async fn act(step: &Step, exchange: &mut Exchange<'_>, moment: Moment, outside: &dyn Outside) -> Done {
    let done = match &step.action {
        Action::Plain(act) => act.act(exchange, moment),
        Action::Jwt(jwt) => jwt.run(exchange, moment, outside).await,
        Action::Basic(basic) => basic.run(exchange, moment, outside).await,
        Action::Switch(cases) => match chosen(cases, exchange, moment) {
            Ok(Some(case)) => {
                let done = nested(&case.steps, exchange, outside).await;
                return done.or_else(|answer| passed(step, exchange, answer));
            }
            Ok(None) => Ok(()),
            Err(stop) => Err(stop),
        },
        Action::Definition(definition) => match run_definition(definition, exchange, moment, outside).await {
            Ok(done) => return done.or_else(|answer| passed(step, exchange, answer)),
            Err(stop) => Err(stop),
        },
    };
    match done {
        Ok(()) => Ok(()),
        Err(stop) => judged(step, exchange, stop),
    }
}

fn chosen<'c>(cases: &'c [Case], exchange: &Exchange<'_>, moment: Moment) -> Result<Option<&'c Case>, Stop> {
    for case in cases {
        let is_true = match &case.when {
            Some(when) => when.truth(exchange, moment.now)?,
            None => true,
        };
        if is_true {
            return Ok(Some(case));
        }
    }
    Ok(None)
}

async fn run_definition(
    definition: &Arc<Definition>,
    exchange: &mut Exchange<'_>,
    moment: Moment,
    outside: &dyn Outside,
) -> Result<Done, Stop> {
    let params = match &definition.params {
        Params::Fixed(params) => Arc::clone(params),
        Params::Computed(params, schema) => {
            let value = params.value(exchange, moment.now)?;
            if schema
                .as_ref()
                .is_some_and(|schema| !schema.is_followed_by(&value))
            {
                return Err(Stop::error(
                    "the parameters do not follow the schema of the policy",
                ));
            }
            let serde_json::Value::Object(params) = value else {
                return Err(Stop::error("the parameters are no object"));
            };
            Arc::new(params)
        }
    };
    let has_end = !definition.finally.is_empty();
    if has_end {
        exchange.open.push((Arc::clone(definition), Arc::clone(&params)));
    }
    let outer = exchange.swap_params(Some(params));
    let mut done = nested(&definition.steps, exchange, outside).await;
    if let Err(answer) = &done
        && answer.is_error()
        && let Some(catch) = definition
            .catch
            .iter()
            .find(|catch| catch.errors.iter().any(|error| error.matches(&answer.reason)))
    {
        let is_final = answer.is_final;
        match nested(&catch.steps, exchange, outside).await {
            // What protects has the last word, unless another answer takes its place.
            Ok(()) if is_final => {}
            Ok(()) => done = Ok(()),
            Err(other) => {
                done = Err(Box::new(PolicyAnswer {
                    is_final: is_final || other.is_final,
                    is_skippable: other.is_skippable && !is_final,
                    ..*other
                }));
            }
        }
    }
    if has_end {
        exchange.open.pop();
        finish(definition, exchange, outside).await;
    }
    exchange.swap_params(outer);
    Ok(done)
}

/// In any case, and so however late it is. It cannot answer.
async fn finish(definition: &Definition, exchange: &mut Exchange<'_>, outside: &dyn Outside) {
    let deadline = exchange.deadline.take();
    let _ = nested(&definition.finally, exchange, outside).await;
    exchange.deadline = deadline;
}

/// An answer of an inner step; the outer one may let errors pass.
fn passed(step: &Step, exchange: &mut Exchange<'_>, answer: Box<PolicyAnswer>) -> Done {
    let is_skipped = answer.kind == AnswerKind::Failed
        && answer.is_skippable
        && !step.has_protective
        && step.on_error == Some(OnError::Continue);
    if is_skipped {
        count(step, exchange, Counted::Error);
        return Ok(());
    }
    Err(answer)
}

/// By the table of failures.
fn judged(step: &Step, exchange: &mut Exchange<'_>, stop: Stop) -> Done {
    let (event, answer, detail) = match stop {
        Stop::Answer(answer) if answer.kind == AnswerKind::Responded => {
            return Err(Box::new(signed(*answer, step)));
        }
        Stop::Answer(answer) => {
            let event = Event::Refusal {
                status: answer.status,
                reason: answer.reason.clone(),
            };
            (event, Some(answer), String::new())
        }
        Stop::Failed(failed) => (failed.event, None, failed.detail),
    };
    if is_failure(&event) {
        exchange.state.marks.fail(step.mark);
    }
    let case = FailureCase {
        uses: &step.uses,
        event,
        on: step.on,
        on_error: step.on_error,
        failure_policy: step.failure_policy,
        is_allowed_to_fail_open: step.is_allowed_to_fail_open,
        has_protective: step.has_protective,
        // A shadow is made by whoever calls.
        mode: Mode::Enforce,
    };
    match outcome(&case) {
        Verdict::Continue(counted) => {
            count(step, exchange, counted);
            Ok(())
        }
        Verdict::Answer { status, reason } => {
            let mut answer = match answer {
                Some(answer) => PolicyAnswer { status, ..*answer },
                None => {
                    let mut answer = PolicyAnswer::new(AnswerKind::Failed, status, reason);
                    answer.message = format!("the policy {} could not be applied", step.uses);
                    answer.detail = detail;
                    answer.is_skippable = case.is_skippable();
                    answer
                }
            };
            answer.is_final |= case.is_final();
            Err(Box::new(signed(answer, step)))
        }
    }
}

/// A body that is too long is the fault of whoever sends it.
fn is_failure(event: &Event) -> bool {
    match event {
        Event::Refusal { .. } | Event::Budget => false,
        Event::Error(_)
        | Event::Timeout
        | Event::Unreachable
        | Event::NotLoaded
        | Event::BreakerOpen
        | Event::PodBudget => true,
    }
}

fn signed(answer: PolicyAnswer, step: &Step) -> PolicyAnswer {
    PolicyAnswer {
        step: Arc::clone(&step.label),
        ..answer
    }
}

fn count(step: &Step, exchange: &mut Exchange<'_>, counted: Counted) {
    exchange.state.counted.push((Arc::clone(&step.label), counted));
}

/// On a copy: nothing of the message changes, and what it would have done is counted.
async fn shadow(step: &Step, exchange: &mut Exchange<'_>, outside: &dyn Outside) {
    let mut state = exchange.state.shadow();
    let mut headers: HeaderMap = exchange.headers().clone();
    let request = match exchange.direction() {
        Direction::Request => HeaderMap::new(),
        Direction::Response => exchange.request_headers().clone(),
    };
    let mut status = exchange.status().unwrap_or_default();
    let stage = match exchange.direction() {
        Direction::Request => Stage::Request(&mut headers),
        Direction::Response => Stage::Response {
            request: &request,
            status: &mut status,
            headers: &mut headers,
        },
    };
    let mut copy = Exchange::new(exchange.request, stage, &mut state);
    copy.body = exchange.body.clone();
    copy.params = exchange.params.clone();
    copy.failing = exchange.failing.clone();
    copy.deadline = exchange.deadline;
    copy.is_shadow = true;
    let run: Waiting<'_, Done> = Box::pin(run_step(step, &mut copy, outside));
    let done = run.await;
    exchange.state.held.append(&mut state.held);
    exchange.state.marks.join(state.marks);
    if done.is_err() || !state.counted.is_empty() {
        count(step, exchange, Counted::Shadow);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The threads of the data plane take requests from one another.
    #[test]
    fn runs_can_move_between_threads() {
        fn is_send<T: Send>(_: &T) {}
        fn check(steps: &[Step], exchange: &mut Exchange<'_>, outside: &dyn Outside) {
            is_send(&run_steps(steps, exchange, outside));
        }
        let _ = check;
        fn is_shared<T: Send + Sync>() {}
        is_shared::<crate::Plan>();
    }
}
