//! `rateLimit` and `countLimit`.

use std::sync::Arc;

use genkan_routing::answer::reason;
use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{duration_of, status_of};
use crate::answer::PolicyAnswer;
use crate::exchange::Exchange;
use crate::expr::Expr;
use crate::limiters::{CountLimiter, RateLimiter, Taken};
use crate::link::{Fault, LimitKind, NamedLimit, Site};
use crate::step::{Act, Moment, Stop};

/// So many requests in so much time.
#[derive(Debug)]
pub(crate) struct RateLimit {
    limits: Box<[Limit]>,
    operation: Operation,
    label: Arc<str>,
}

/// So many requests at a time.
#[derive(Debug)]
pub(crate) struct CountLimit {
    limit: Limit,
    label: Arc<str>,
}

#[derive(Debug)]
struct Limit {
    limiter: Limiter,
    key: Option<Expr>,
    weight: Option<Expr>,
    hard: bool,
    status: u16,
    /// Other steps use it as well.
    is_shared: bool,
}

#[derive(Debug)]
enum Limiter {
    Rate(Arc<RateLimiter>),
    Count(Arc<CountLimiter>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RateWith {
    requests: Option<u64>,
    per: Option<String>,
    key: Option<String>,
    weight: Option<String>,
    hard: Option<bool>,
    status: Option<u16>,
    named: Option<String>,
    #[serde(default)]
    operation: Operation,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CountWith {
    count: u64,
    key: Option<String>,
    status: Option<u16>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum Operation {
    #[default]
    Consume,
    Inquire,
    Replenish,
}

/// Of one request.
const HEAVIEST: u64 = 1_000_000_000;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

// === impl RateLimit ===

impl RateLimit {
    pub(crate) fn compile(
        with: RateWith,
        written: &Map<String, Value>,
        site: &Site<'_>,
        (label, field): (&str, &str),
    ) -> Result<Self, Fault> {
        let limits = match &with.named {
            Some(name) => {
                if with.requests.is_some() || with.per.is_some() {
                    return Err(Fault::new(
                        "with.named",
                        "it cannot stand beside requests and per",
                    ));
                }
                let all = site.settings.limits.iter();
                let meant: Vec<_> = all.filter(|(known, _)| name == "*" || *known == name).collect();
                if meant.is_empty() && name != "*" {
                    return Err(Fault::new("with.named", format!("there is no limit {name}")));
                }
                let limits = meant.into_iter().map(|(name, limit)| named(name, limit, site));
                limits.collect::<Result<Vec<_>, _>>()?
            }
            None => vec![Limit::rate(
                &with,
                site,
                &site.limiter_key("rateLimit", &format!("{label}\n{field}"), written),
            )?],
        };
        Ok(Self {
            // A limit of nothing is none.
            limits: limits.into_iter().flatten().collect(),
            operation: with.operation,
            label: label.into(),
        })
    }
}

impl Act for RateLimit {
    fn act(&self, exchange: &mut Exchange<'_>, moment: Moment) -> Result<(), Stop> {
        let mut tightest: Option<Taken> = None;
        // A shadow looks at what others use, and uses nothing up.
        let is_shadow = exchange.is_shadow && self.limits.iter().any(|limit| limit.is_shared);
        let consumes = self.operation == Operation::Consume && !is_shadow;
        let mut asked = Vec::with_capacity(self.limits.len());
        for limit in &self.limits {
            let key = limit.key(exchange, moment)?;
            match &limit.limiter {
                Limiter::Count(_) => limit.hold(&key, &self.label, exchange)?,
                Limiter::Rate(rate) => {
                    let weight = limit.weight(exchange, moment)?;
                    if self.operation == Operation::Replenish {
                        if !is_shadow {
                            rate.give_back(&key, weight, moment.elapsed);
                        }
                        continue;
                    }
                    // With one limit alone, asking and taking are one.
                    let takes = consumes && self.limits.len() == 1;
                    let taken = rate.ask(&key, weight, takes, moment.elapsed);
                    if !taken.is_allowed && limit.hard {
                        return Err(limited(limit.status, taken).into());
                    }
                    if !taken.is_allowed {
                        exchange.state.warned.push(Arc::clone(&self.label));
                    }
                    tightest = Some(tightest.map_or(taken, |other| {
                        if other.remaining <= taken.remaining {
                            other
                        } else {
                            taken
                        }
                    }));
                    asked.push((rate, key, weight));
                }
            }
        }
        if consumes && self.limits.len() > 1 {
            for (rate, key, weight) in asked {
                rate.ask(&key, weight, true, moment.elapsed);
            }
        }
        for (name, value) in tightest.into_iter().flat_map(fields) {
            exchange.state.set_later(name, value);
        }
        Ok(())
    }
}

// === impl CountLimit ===

impl CountLimit {
    pub(crate) fn compile(
        with: CountWith,
        written: &Map<String, Value>,
        site: &Site<'_>,
        (label, field): (&str, &str),
    ) -> Result<Self, Fault> {
        let key = site.limiter_key("countLimit", &format!("{label}\n{field}"), written);
        let limiter = site.limiters.count(&key, || CountLimiter::new(with.count));
        Ok(Self {
            limit: Limit {
                limiter: Limiter::Count(limiter),
                key: expr("with.key", with.key.as_deref(), site)?,
                weight: None,
                hard: true,
                status: status_of("with.status", with.status.unwrap_or(429))?,
                is_shared: false,
            },
            label: label.into(),
        })
    }
}

impl Act for CountLimit {
    fn act(&self, exchange: &mut Exchange<'_>, moment: Moment) -> Result<(), Stop> {
        let key = self.limit.key(exchange, moment)?;
        self.limit.hold(&key, &self.label, exchange)
    }
}

// === impl Limit ===

impl Limit {
    /// `None`: it is no limit.
    fn rate(with: &RateWith, site: &Site<'_>, key: &str) -> Result<Option<Self>, Fault> {
        let Some(requests) = with.requests else {
            return Err(Fault::new("with.requests", "it is missing"));
        };
        let Some(per) = &with.per else {
            return Err(Fault::new("with.per", "it is missing"));
        };
        let per = duration_of("with.per", per)?;
        if requests == 0 {
            return Ok(None);
        }
        if per.is_zero() {
            return Err(Fault::new("with.per", "it has to be longer than nothing"));
        }
        let limiter = site.limiters.rate(key, || RateLimiter::new(requests, per));
        Ok(Some(Self {
            limiter: Limiter::Rate(limiter),
            key: expr("with.key", with.key.as_deref(), site)?,
            weight: expr("with.weight", with.weight.as_deref(), site)?,
            hard: with.hard.unwrap_or(true),
            status: status_of("with.status", with.status.unwrap_or(429))?,
            is_shared: false,
        }))
    }

    fn key(&self, exchange: &Exchange<'_>, moment: Moment) -> Result<String, Stop> {
        let mut key = String::new();
        if let Some(expr) = &self.key {
            expr.write(&mut key, exchange, moment.now)
                .map_err(|error| format!("key: {error}"))?;
        }
        Ok(key)
    }

    fn weight(&self, exchange: &Exchange<'_>, moment: Moment) -> Result<u64, Stop> {
        let Some(expr) = &self.weight else {
            return Ok(1);
        };
        let value = expr.json(exchange, moment.now);
        let value = value.map_err(|error| format!("weight: {error}"))?;
        let value = value.as_u64().filter(|weight| *weight <= HEAVIEST);
        value.ok_or_else(|| Stop::error("the weight is no whole number from 0 to 1,000,000,000"))
    }

    fn hold(&self, key: &str, label: &Arc<str>, exchange: &mut Exchange<'_>) -> Result<(), Stop> {
        let Limiter::Count(count) = &self.limiter else {
            return Ok(());
        };
        if self.is_shared && exchange.is_shadow {
            return match count.has_room(key) {
                true => Ok(()),
                false => Err(too_many(self.status).into()),
            };
        }
        match count.hold(key) {
            Some(held) => exchange.state.held.push(held),
            None if self.hard => return Err(too_many(self.status).into()),
            None => exchange.state.warned.push(Arc::clone(label)),
        }
        Ok(())
    }
}

/// `None`: it is no limit.
fn named(name: &str, limit: &NamedLimit, site: &Site<'_>) -> Result<Option<Limit>, Fault> {
    let written = format!("{limit:?}");
    let label = format!("limits/{name}/{written}");
    let key = site.limiter_key("limit", &label, &Map::new());
    let of_limit = |fault: Fault| Fault {
        message: format!("limit {name}: {}: {}", fault.field, fault.message),
        field: "with.named".to_owned(),
        ..fault
    };
    let made = match limit.kind {
        LimitKind::Rate | LimitKind::Burst => {
            let with = RateWith {
                requests: limit.requests,
                per: limit.per.clone(),
                key: limit.key.clone(),
                weight: limit.weight.clone(),
                hard: limit.hard,
                status: limit.status,
                named: None,
                operation: Operation::Consume,
            };
            let made = Limit::rate(&with, site, &key);
            made.map(|limit| {
                limit.map(|limit| Limit {
                    is_shared: true,
                    ..limit
                })
            })
        }
        LimitKind::Count => {
            let most = limit.count.unwrap_or_default();
            let make = || {
                Ok(Limit {
                    limiter: Limiter::Count(site.limiters.count(&key, || CountLimiter::new(most))),
                    key: expr("key", limit.key.as_deref(), site)?,
                    weight: None,
                    hard: limit.hard.unwrap_or(true),
                    status: status_of("status", limit.status.unwrap_or(429))?,
                    is_shared: true,
                })
            };
            (most > 0).then(make).transpose()
        }
    };
    made.map_err(of_limit)
}

fn expr(field: &str, text: Option<&str>, site: &Site<'_>) -> Result<Option<Expr>, Fault> {
    text.map(|text| site.expr(field, text)).transpose()
}

fn fields(taken: Taken) -> [(HeaderName, HeaderValue); 3] {
    [
        (LIMIT, HeaderValue::from(taken.limit)),
        (REMAINING, HeaderValue::from(taken.remaining)),
        (RESET, HeaderValue::from(taken.reset)),
    ]
}

fn too_many(status: u16) -> PolicyAnswer {
    let text = "too many requests are under way; try again when one of them has ended";
    PolicyAnswer::refused(status, reason::TOO_MANY_AT_ONCE, text)
}

fn limited(status: u16, taken: Taken) -> PolicyAnswer {
    let text = match taken.retry_after {
        Some(seconds) => format!("too many requests; try again in {seconds} s"),
        None => "the request weighs more than the limit allows at all".to_owned(),
    };
    let mut answer = PolicyAnswer::refused(status, reason::RATE_LIMITED, text);
    answer.headers.extend(fields(taken));
    if let Some(seconds) = taken.retry_after {
        answer.headers.push((RETRY_AFTER, HeaderValue::from(seconds)));
    }
    answer
}
