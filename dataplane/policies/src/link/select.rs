use std::cmp::Reverse;

use genkan_routing::model::policy::{Direction, HookPlace, Mode, PolicyStep, Position, Select};

use super::definition::DEEPEST;
use super::resolve;
use super::{MOST_POLICIES, Problem, ProblemReason};
use crate::class::Touches;
use crate::glob::Glob;
use crate::world::{EntryFacts, NamedHook, ObjectFacts, World};

/// Where in the life of a request steps stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    BeforeReview,
    Preflow,
    AfterReview,
    Policies,
    PostRequest,
    Response,
    PostResponse,
    OnError,
}

/// Steps of one origin at one place.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) place: Place,
    /// `EXT/ENTRY`, or the object.
    pub(super) from: String,
    pub(super) hook: Option<&'a NamedHook>,
    /// With their positions in the list that they are part of.
    pub(super) steps: Vec<(usize, &'a PolicyStep)>,
}

/// Everything that concerns an object, in the order in which it runs.
pub(super) fn pieces<'a>(object: &ObjectFacts<'a>, world: &'a World) -> Result<Vec<Piece<'a>>, Problem> {
    if object.policies.len() > MOST_POLICIES {
        let text = format!("{} policies, the limit is {MOST_POLICIES}", object.policies.len());
        return Err(Problem::of(ProblemReason::Invalid, &object.title(), &text));
    }
    let mut hooks: Vec<&NamedHook> = world
        .hooks
        .iter()
        .filter(|hook| hook.facts.mode != Mode::Disabled && selects(&hook.hook.select, object))
        .collect();
    hooks.sort_by_key(|hook| (Reverse(hook.hook.priority), &hook.extension, &hook.entry));
    let mut all: Vec<Piece<'a>> = hooks.into_iter().map(Piece::of_hook).collect();
    all.extend(inline(object, world));
    // Stable: hooks keep their order.
    all.sort_by_key(|piece| piece.place);
    Ok(all)
}

/// The steps that the object writes itself.
fn inline<'a>(object: &ObjectFacts<'a>, world: &'a World) -> impl Iterator<Item = Piece<'a>> {
    let policies = object.policies.iter().enumerate();
    let (mut preflow, mut request, mut response) = (Vec::new(), Vec::new(), Vec::new());
    for (index, step) in policies {
        match step.on {
            Direction::Request if step.uses == "cors" => preflow.push((index, step)),
            Direction::Request => {
                request.push((index, step));
                if has_answers(step, world, 0) {
                    response.push((index, step));
                }
            }
            Direction::Response => response.push((index, step)),
        }
    }
    let title = object.title();
    let lists = [
        (Place::Preflow, preflow),
        (Place::Policies, request),
        (Place::Response, response),
    ];
    let lists = lists.into_iter().filter(|(_, steps)| !steps.is_empty());
    lists.map(move |(place, steps)| Piece {
        place,
        from: title.clone(),
        hook: None,
        steps,
    })
}

/// Steps for answers are in the definition that it uses, or in one inside of that.
fn has_answers(step: &PolicyStep, world: &World, depth: usize) -> bool {
    let Some(definition) = resolve::definition(&step.uses, world).filter(|_| depth <= DEEPEST) else {
        return false;
    };
    let caught = definition.catch.iter().flat_map(|catch| &catch.steps);
    let mut all = definition.steps.iter().chain(caught).chain(&definition.finally);
    all.any(|step| step.on == Direction::Response || has_answers(step, world, depth + 1))
}

/// By kind, name and labels; a label that is absent is matched by nothing.
pub(super) fn selects(select: &Select, object: &ObjectFacts<'_>) -> bool {
    let name = object.selected_name();
    let is_kind = select.kinds.is_empty() || select.kinds.iter().any(|kind| kind == object.kind);
    let is_name = select.names.is_empty() || select.names.iter().any(|glob| Glob::new(glob).matches(&name));
    let has_labels = select.labels.iter().all(|(label, glob)| {
        let value = object.labels.get(label);
        value.is_some_and(|value| Glob::new(glob).matches(value))
    });
    is_kind && is_name && has_labels
}

// === impl Piece ===

impl<'a> Piece<'a> {
    fn of_hook(named: &'a NamedHook) -> Self {
        let place = match (named.hook.at, named.hook.position) {
            (HookPlace::PreRequest, Position::BeforeBuiltin) => Place::BeforeReview,
            (HookPlace::PreRequest, Position::AfterBuiltin) => Place::AfterReview,
            (HookPlace::PostRequest, _) => Place::PostRequest,
            (HookPlace::PostResponse, _) => Place::PostResponse,
            (HookPlace::OnError, _) => Place::OnError,
        };
        Self {
            place,
            from: named.title(),
            hook: Some(named),
            steps: named.hook.steps.iter().enumerate().collect(),
        }
    }

    pub(super) fn facts(&self) -> EntryFacts {
        self.hook.map(|hook| hook.facts).unwrap_or_default()
    }

    pub(super) fn errors(&self) -> &'a [String] {
        self.hook.map_or(&[], |hook| &hook.hook.errors)
    }

    /// `OnError` looks at no body.
    pub(super) fn touches(&self, world: &World) -> Touches {
        let on = match self.place {
            Place::BeforeReview
            | Place::Preflow
            | Place::AfterReview
            | Place::Policies
            | Place::PostRequest => Direction::Request,
            Place::Response | Place::PostResponse => Direction::Response,
            Place::OnError => return Touches::default(),
        };
        let steps: Vec<_> = self.steps.iter().map(|(_, step)| (*step).clone()).collect();
        Touches::of(&steps, Some(on), world)
    }
}

// === impl Place ===

impl Place {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::BeforeReview => "PreRequest/BeforeBuiltin",
            Self::Preflow => "Preflow",
            Self::AfterReview => "PreRequest/AfterBuiltin",
            Self::Policies => "Policies",
            Self::PostRequest => "PostRequest",
            Self::Response => "Policies/Response",
            Self::PostResponse => "PostResponse",
            Self::OnError => "OnError",
        }
    }
}
