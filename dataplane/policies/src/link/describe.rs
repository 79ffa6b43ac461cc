use genkan_routing::model::policy::Mode;

use super::resolve::resolve;
use super::select::{Piece, Place, pieces};
use super::{Problem, ProblemReason};
use crate::world::{ObjectFacts, World};

/// Everything that happens to a request, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// With those of genkan itself, whose place is `Builtin`.
    pub steps: Vec<Described>,
    /// What is done about errors.
    pub on_error: Vec<Described>,
}

/// One step of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// `PreRequest/AfterBuiltin`, `Policies`, …
    pub place: &'static str,
    /// `EXT/ENTRY`, the object, or `genkan`.
    pub from: String,
    /// `jwt`, `partner-orders@1.0.0`.
    pub uses: String,
    pub mode: Mode,
}

/// The steps of an object, without making them ready to run.
///
/// # Errors
/// The first policy that does not exist, or too many of them.
pub fn describe(object: &ObjectFacts<'_>, world: &World) -> Result<Description, Problem> {
    parts(object, world).map(|(_, description)| description)
}

pub(super) fn parts<'a>(
    object: &ObjectFacts<'a>,
    world: &'a World,
) -> Result<(Vec<Piece<'a>>, Description), Problem> {
    let pieces = pieces(object, world)?;
    let mut description = Description::default();
    // What genkan does itself, each in front of the places behind it.
    let mut ours = [
        (Place::AfterReview, "accessReview"),
        (Place::PostRequest, "directives"),
        (Place::Response, "upstream"),
        (Place::PostResponse, "headerDown"),
    ]
    .into_iter()
    .peekable();
    for piece in &pieces {
        while let Some((_, name)) = ours.next_if(|(place, _)| *place <= piece.place) {
            description.steps.push(Described::of_genkan(name));
        }
        for (_, step) in &piece.steps {
            let Some(resolved) = resolve(&step.uses, world) else {
                let text = format!("there is no policy {}", step.uses);
                let problem = Problem::of(ProblemReason::PolicyNotFound, &piece.from, &text);
                return Err(problem.in_piece(piece));
            };
            let described = Described {
                place: piece.place.title(),
                from: piece.from.clone(),
                uses: resolved.title(),
                mode: stricter(step.mode, piece.facts().mode),
            };
            if piece.place == Place::OnError {
                description.on_error.push(described);
            } else {
                description.steps.push(described);
            }
        }
    }
    let rest = ours.map(|(_, name)| Described::of_genkan(name));
    description.steps.extend(rest);
    Ok((pieces, description))
}

/// What acts less.
pub(super) fn stricter(one: Mode, other: Mode) -> Mode {
    match (one, other) {
        (Mode::Disabled, _) | (_, Mode::Disabled) => Mode::Disabled,
        (Mode::Shadow, _) | (_, Mode::Shadow) => Mode::Shadow,
        (Mode::Enforce, Mode::Enforce) => Mode::Enforce,
    }
}

// === impl Described ===

impl Described {
    /// Absent for a step that acts as usual.
    pub fn mode_word(&self) -> Option<&'static str> {
        match self.mode {
            Mode::Enforce => None,
            Mode::Shadow => Some("Shadow"),
            Mode::Disabled => Some("Disabled"),
        }
    }

    fn of_genkan(uses: &str) -> Self {
        Self {
            place: "Builtin",
            from: "genkan".to_owned(),
            uses: uses.to_owned(),
            mode: Mode::Enforce,
        }
    }
}
