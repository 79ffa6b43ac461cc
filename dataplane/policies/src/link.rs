//! From steps as they are written to a plan that runs.

mod check;
mod compile;
mod definition;
mod describe;
mod fold;
mod overrides;
mod resolve;
mod select;
mod site;
mod uses;

use std::fmt;

use genkan_routing::model::policy::{Direction, PolicyStep};

use crate::class::Touches;
use crate::glob::Glob;
use crate::limiters::Limiters;
use crate::on_error::ErrorHook;
use crate::plan::{Chain, Plan};
use crate::world::{ObjectFacts, World};
use compile::Compiler;
use select::{Piece, Place};

pub use check::{check, check_hook, resolves};
pub use describe::{Described, Description, describe};
pub(crate) use overrides::{LimitKind, NamedLimit};
pub(crate) use resolve::definition;
pub(crate) use site::{Fault, Site};
pub use uses::{uses_in_definition, uses_in_hook, uses_of};

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub reason: ProblemReason,
    /// `spec.policies[2].with.cel`; of a hook `steps[0].with.cel`; empty if it is about the whole.
    pub field: String,
    /// One sentence, with the place.
    pub message: String,
    /// `EXT/ENTRY` whose step it is about; absent if the object or a policy written by hand is.
    pub entry: Option<String>,
}

/// What stands as reason beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemReason {
    Invalid,
    LimitExceeded,
    PolicyNotFound,
    /// This version does not run it.
    Unsupported,
}

/// Steps that an object writes itself, at most.
const MOST_POLICIES: usize = 32;
/// Steps that a request meets, at most.
const MOST_STEPS: usize = 64;

/// Links the steps of an object with the world around it. `limiters` keeps what was counted when an object is linked again.
///
/// # Errors
/// The first thing that is wrong.
pub fn link(object: &ObjectFacts<'_>, world: &World, limiters: &Limiters) -> Result<Plan, Problem> {
    let (pieces, description) = describe::parts(object, world)?;
    let compiler = Compiler::new(object, world, limiters);
    let plan = made(&compiler, &pieces)?;
    Ok(Plan {
        touches: touches(&pieces, world),
        claims_authorization: compiler.claims_authorization(&pieces),
        description,
        ..plan
    })
}

/// What of that is done for an object that cannot be served: everything in front of the access review, and about errors. Its
/// steps may be broken themselves; whether they judge `Authorization` is read as it is written.
///
/// # Errors
/// The first thing that is wrong.
pub fn link_stub(object: &ObjectFacts<'_>, world: &World, limiters: &Limiters) -> Result<Plan, Problem> {
    let mut pieces = select::pieces(object, world)?;
    let compiler = Compiler::new(object, world, limiters);
    let claims_authorization = compiler.claims_authorization(&pieces);
    pieces.retain(|piece| matches!(piece.place, Place::BeforeReview | Place::Preflow | Place::OnError));
    Ok(Plan {
        claims_authorization,
        ..made(&compiler, &pieces)?
    })
}

fn made<'a>(compiler: &'a Compiler<'a>, pieces: &[Piece<'_>]) -> Result<Plan, Problem> {
    let mut plan = Plan::default();
    let mut errors = Vec::new();
    let mut places: [Vec<_>; 5] = Default::default();
    for piece in pieces {
        match piece.place {
            Place::BeforeReview => {
                compiler.refuse_bodies(piece)?;
                places[0].extend(compiler.piece(piece, Direction::Request)?);
            }
            Place::Preflow => places[0].extend(compiler.piece(piece, Direction::Request)?),
            Place::AfterReview | Place::Policies => {
                places[1].extend(compiler.piece(piece, Direction::Request)?);
            }
            Place::PostRequest => {
                compiler.refuse_bodies(piece)?;
                places[2].extend(compiler.piece(piece, Direction::Request)?);
            }
            Place::Response => places[3].extend(compiler.piece(piece, Direction::Response)?),
            Place::PostResponse => places[4].extend(compiler.piece(piece, Direction::Response)?),
            Place::OnError => errors.push(ErrorHook {
                title: piece.from.as_str().into(),
                errors: piece.errors().iter().map(|error| Glob::new(error)).collect(),
                chain: Chain {
                    steps: compiler.piece(piece, Direction::Response)?.into(),
                },
            }),
        }
    }
    let total = compiler.counted();
    if total > MOST_STEPS {
        return Err(Problem::of(
            ProblemReason::LimitExceeded,
            &compiler.object.title(),
            &format!("{total} steps, the limit is {MOST_STEPS}"),
        ));
    }
    plan.tallies = compiler.tallies();
    plan.on_error = errors.into();
    let [before, after, post_request, response, post_response] =
        places.map(|steps| Chain { steps: steps.into() });
    plan.before_review = before;
    plan.after_review = after;
    plan.post_request = post_request;
    plan.response = response;
    plan.post_response = post_response;
    Ok(plan)
}

/// A step of these judges `Authorization`, whether they can be linked or not.
pub fn claims_authorization(object: &ObjectFacts<'_>, world: &World) -> bool {
    let limiters = Limiters::default();
    let compiler = Compiler::new(object, world, &limiters);
    select::pieces(object, world).is_ok_and(|pieces| compiler.claims_authorization(&pieces))
}

/// Which bodies a plan of these would look at.
fn touches(pieces: &[Piece<'_>], world: &World) -> Touches {
    let mut all = Touches::default();
    for piece in pieces {
        let found = piece.touches(world);
        all.request |= found.request;
        all.response |= found.response;
    }
    all
}

/// The class of a plan of these steps alone, as `genkan explain` and the operator ask for it without linking.
pub fn class_of(steps: &[PolicyStep], world: &World) -> crate::class::Class {
    touches_of(steps, world).class()
}

/// How a request would be served by a plan of these steps alone.
pub fn coming_for(
    steps: &[PolicyStep],
    world: &World,
    reading: &crate::class::Reading<'_>,
) -> crate::class::Coming {
    touches_of(steps, world).coming(reading)
}

fn touches_of(steps: &[PolicyStep], world: &World) -> Touches {
    Touches::of(steps, None, world)
}

// === impl Problem ===

impl Problem {
    fn of(reason: ProblemReason, title: &str, text: &str) -> Self {
        Self {
            reason,
            field: String::new(),
            message: format!("{title}: {text}"),
            entry: None,
        }
    }

    /// It is about a step of this.
    fn in_piece(self, piece: &Piece<'_>) -> Self {
        let entry = piece.hook.map(|_| piece.from.clone());
        Self { entry, ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

// === impl ProblemReason ===

impl ProblemReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => genkan_routing::answer::reason::INVALID,
            Self::LimitExceeded => "LimitExceeded",
            Self::PolicyNotFound => "PolicyNotFound",
            Self::Unsupported => genkan_routing::answer::reason::UNSUPPORTED,
        }
    }
}
