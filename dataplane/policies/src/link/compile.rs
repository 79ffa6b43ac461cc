use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use genkan_routing::model::policy::{Direction, FailurePolicy, Mode, OnError, PolicyDefinition, PolicyStep};

use super::describe::stricter;
use super::fold::folded;
use super::overrides::{CATALOG, Settings};
use super::resolve::{Resolved, resolve};
use super::select::{Piece, Place};
use super::site::{Fault, Site};
use super::{Problem, ProblemReason};
use crate::builtins;
use crate::class;
use crate::condition::Condition;
use crate::limiters::Limiters;
use crate::meters::Tally;
use crate::step::{Action, Case, Step};
use crate::world::{Aliases, EntryFacts, ObjectFacts, World};

/// Makes steps of one object ready to run.
pub(super) struct Compiler<'a> {
    pub(super) object: &'a ObjectFacts<'a>,
    pub(super) world: &'a World,
    limiters: &'a Limiters,
    settings: Settings,
    steps: Cell<usize>,
    /// Extensions that steps are of, by their bits.
    met: RefCell<Vec<(String, Arc<Tally>)>>,
}

/// What is the same for the steps of one list.
#[derive(Clone, Copy)]
pub(super) struct List<'a> {
    pub(super) site: Site<'a>,
    /// In front of the sentence: `a/x`; empty for those of the object.
    pub(super) title: &'a str,
    /// `spec.policies`, `steps`.
    pub(super) field: &'a str,
    /// `EXT/ENTRY`, `ReverseProxy shop/policies[1]`.
    pub(super) label: &'a str,
    pub(super) facts: EntryFacts,
    /// Of the step around it.
    pub(super) on_error: Option<OnError>,
    pub(super) depth: usize,
    /// Definitions that are being linked: `p@1.0.0`.
    pub(super) inside: &'a [String],
    pub(super) origin: Origin,
    /// `EXT/ENTRY` that it is of.
    pub(super) entry: Option<&'a str>,
    /// It is part of a `switch`.
    pub(super) is_branch: bool,
    /// Of what it says for answers nothing would run.
    pub(super) has_no_answers: bool,
    /// Everything in it is about the message at hand, whatever its `on` says.
    pub(super) is_whole: bool,
}

/// Who wrote a list of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Object,
    Hook,
    Definition,
}

static NO_SECRETS: Aliases = Aliases::new();

// === impl Compiler ===

impl<'a> Compiler<'a> {
    pub(super) fn new(object: &'a ObjectFacts<'a>, world: &'a World, limiters: &'a Limiters) -> Self {
        Self {
            object,
            world,
            limiters,
            settings: Settings::of(object, world),
            steps: Cell::new(0),
            met: RefCell::default(),
        }
    }

    /// Where the extensions count that its steps are of.
    pub(super) fn tallies(&self) -> Box<[Arc<Tally>]> {
        let met = self.met.borrow();
        met.iter().map(|(_, tally)| Arc::clone(tally)).collect()
    }

    /// The bit of the extension of `EXT/ENTRY`.
    fn mark(&self, entry: Option<&str>) -> u64 {
        let extension = entry.and_then(|entry| entry.split('/').next());
        let counted = extension.and_then(|extension| self.world.tallies.get_key_value(extension));
        let Some((extension, tally)) = counted else {
            return 0;
        };
        let mut met = self.met.borrow_mut();
        let known = met.iter().position(|(known, _)| known == extension);
        let at = known.unwrap_or_else(|| {
            met.push((extension.clone(), Arc::clone(tally)));
            met.len() - 1
        });
        // More extensions than bits are not counted.
        u32::try_from(at)
            .ok()
            .and_then(|at| 1_u64.checked_shl(at))
            .unwrap_or(0)
    }

    /// Steps that were made ready.
    pub(super) fn counted(&self) -> usize {
        self.steps.get()
    }

    pub(super) fn secrets_of(&self, extension: &str) -> &'a Aliases {
        self.world.secrets.get(extension).unwrap_or(&NO_SECRETS)
    }

    pub(super) fn piece(&'a self, piece: &Piece<'_>, on: Direction) -> Result<Vec<Step>, Problem> {
        let (secrets, secrets_are) = match piece.hook {
            Some(hook) => (self.secrets_of(&hook.extension), "spec.secrets of its extension"),
            None => (self.object.secrets, "spec.policySecrets"),
        };
        let list = List {
            site: Site {
                object: self.object,
                world: self.world,
                limiters: self.limiters,
                settings: &self.settings,
                on,
                secrets,
                secrets_are,
                outer: None,
                params: None,
                extension: piece.hook.map(|hook| hook.extension.as_str()),
                max_body: piece.facts().limits.max_body,
                is_line_made: piece.place == Place::PostRequest,
                is_of_error: piece.place == Place::OnError,
            },
            title: if piece.hook.is_some() { &piece.from } else { "" },
            field: if piece.hook.is_some() {
                "steps"
            } else {
                "spec.policies"
            },
            label: &piece.from,
            facts: piece.facts(),
            on_error: None,
            depth: 0,
            inside: &[],
            origin: match piece.hook {
                Some(_) => Origin::Hook,
                None => Origin::Object,
            },
            entry: piece.hook.map(|_| piece.from.as_str()),
            is_branch: false,
            has_no_answers: piece.hook.is_some() && on == Direction::Request,
            is_whole: piece.hook.is_some() && on == Direction::Response,
        };
        self.steps(&list, piece.steps.iter().copied())
    }

    pub(super) fn steps<'s>(
        &self,
        list: &List<'_>,
        steps: impl Iterator<Item = (usize, &'s PolicyStep)>,
    ) -> Result<Vec<Step>, Problem> {
        let made = steps.map(|(index, step)| self.step(list, index, step).transpose());
        made.flatten().collect()
    }

    /// `None`: it is switched off.
    fn step(&self, list: &List<'_>, index: usize, step: &PolicyStep) -> Result<Option<Step>, Problem> {
        let mode = stricter(step.mode, list.facts.mode);
        if mode == Mode::Disabled {
            return Ok(None);
        }
        let field = format!("{}[{index}]", list.field);
        let label = match (&step.name, list.origin) {
            (_, Origin::Object) if !list.is_branch => format!("{}/policies[{index}]", list.label),
            (Some(name), _) => format!("{}/{name}", list.label),
            (None, _) => format!("{}/{index}", list.label),
        };
        let Some(resolved) = resolve(&step.uses, self.world) else {
            let fault = Fault {
                reason: ProblemReason::PolicyNotFound,
                ..Fault::new("", format!("there is no policy {}", step.uses))
            };
            return Err(problem(list, &field, fault));
        };
        let fail = |fault: Fault| problem(list, &field, fault);
        if list.has_no_answers && step.on == Direction::Response && list.site.on == Direction::Request {
            let text =
                "Response does not fit here, where requests are handled; write the step where answers are";
            return Err(fail(Fault::new("on", text)));
        }
        if let Resolved::Definition(definition) = resolved {
            self.refuse_other_catalogs(definition).map_err(fail)?;
        }
        let when = step.when.as_deref().map(|when| list.site.expr("when", when));
        let when = when.transpose().map_err(fail)?;
        let timeout = step.timeout.as_deref();
        let timeout = timeout.map(|timeout| match builtins::duration_of("timeout", timeout) {
            Ok(Duration::ZERO) => Err(Fault::new(
                "timeout",
                "no step is ready at once; write more than 0s",
            )),
            known => known,
        });
        let deadline = list.facts.limits.deadline_ms.map(Duration::from_millis);
        let with = match list.site.params {
            Some(params) => {
                folded(&step.with, params).map_err(|(path, error)| fail(Fault::new(&path, error)))?
            }
            None => step.with.clone(),
        };
        self.steps.set(self.steps.get() + 1);
        let step = PolicyStep { with, ..step.clone() };
        let action = match resolved {
            Resolved::Builtin("switch") => self.switch(list, &field, &label, &step)?,
            Resolved::Builtin(name) => {
                builtins::compile(name, &step.with, &list.site, (&label, &field)).map_err(fail)?
            }
            Resolved::Definition(definition) => self.definition(list, &field, &label, &step, definition)?,
        };
        let entry = match resolved {
            Resolved::Definition(definition) => definition.entry.as_deref().or(list.entry),
            Resolved::Builtin(_) => list.entry,
        };
        let uses = resolved.title();
        Ok(Some(Step {
            label: label.into(),
            meter: self.world.meters.as_ref().map(|meters| meters.of(&uses)),
            mark: self.mark(entry),
            uses: uses.into(),
            when,
            on: list.site.on,
            mode,
            on_error: step.on_error.or(list.on_error),
            failure_policy: list.facts.failure_policy,
            is_allowed_to_fail_open: self.world.allow_fail_open.contains(&step.uses),
            has_protective: action.has_protective(),
            timeout: timeout.transpose().map_err(fail)?.or(deadline),
            action,
        }))
    }

    /// A policy may be of some catalogs alone.
    fn refuse_other_catalogs(&self, definition: &PolicyDefinition) -> Result<(), Fault> {
        let catalogs = &definition.catalogs;
        let own = self.object.labels.get(CATALOG);
        let is_any = catalogs.is_empty() || self.world.ignores_catalogs;
        if is_any || own.is_some_and(|own| catalogs.contains(own)) {
            return Ok(());
        }
        let (policy, version, of) = (&definition.policy, &definition.version, catalogs.join(", "));
        Err(Fault {
            reason: ProblemReason::PolicyNotFound,
            ..Fault::new(
                "",
                format!("{policy}@{version} is for objects whose label {CATALOG} is one of: {of}"),
            )
        })
    }

    fn switch(
        &self,
        list: &List<'_>,
        field: &str,
        label: &str,
        step: &PolicyStep,
    ) -> Result<Action, Problem> {
        let with: builtins::SwitchWith = list
            .site
            .read(&step.with)
            .map_err(|fault| problem(list, field, fault))?;
        let mut cases = Vec::with_capacity(with.cases.len() + 1);
        for (index, case) in with.cases.iter().enumerate() {
            let place = format!("with.cases[{index}]");
            let when = builtins::condition(&list.site, case, &place);
            let when = when.map_err(|fault| problem(list, field, fault))?;
            let at = format!("cases[{index}]");
            let place = format!("{field}.{place}");
            cases.push(self.case(list, (&place, &at), label, Some(when), &case.steps)?);
        }
        cases.push(self.case(
            list,
            (&format!("{field}.with.otherwise"), "otherwise"),
            label,
            None,
            &with.otherwise,
        )?);
        Ok(Action::Switch(cases.into()))
    }

    fn case(
        &self,
        list: &List<'_>,
        (field, place): (&str, &str),
        label: &str,
        when: Option<Condition>,
        steps: &[PolicyStep],
    ) -> Result<Case, Problem> {
        let field = match when {
            Some(_) => format!("{field}.steps"),
            None => field.to_owned(),
        };
        let is_of_object = list.origin == Origin::Object;
        for (index, step) in steps.iter().enumerate() {
            if is_of_object && !builtins::is_name(&step.uses) {
                let text =
                    "user-defined policies are not allowed inside switch here; write a PolicyDefinition";
                return Err(problem(list, &format!("{field}[{index}]"), Fault::new("", text)));
            }
        }
        let inner = List {
            field: &field,
            label: &format!("{label}/{place}"),
            is_branch: true,
            has_no_answers: true,
            depth: list.depth + 1,
            ..*list
        };
        self.refuse_depth(&inner)?;
        let steps = self.steps(&inner, steps.iter().enumerate())?;
        Ok(Case {
            when,
            steps: steps.into(),
        })
    }

    /// In front of the access review, and where the head is sent already, no body can be looked at.
    pub(super) fn refuse_bodies(&self, piece: &Piece<'_>) -> Result<(), Problem> {
        for (_, step) in &piece.steps {
            let one = Piece {
                place: piece.place,
                from: piece.from.clone(),
                hook: piece.hook,
                steps: vec![(0, step)],
            };
            let touches = one.touches(self.world);
            if !touches.request && !touches.response {
                continue;
            }
            let why = if piece.place == Place::BeforeReview {
                "which is not allowed before the access review"
            } else {
                "which is not allowed when the head is sent"
            };
            let text = format!("{} reads a body, {why}", step.uses);
            return Err(Problem::of(ProblemReason::Invalid, &piece.from, &text).in_piece(piece));
        }
        Ok(())
    }

    /// A step of the request judges `Authorization`.
    pub(super) fn claims_authorization(&self, pieces: &[Piece<'_>]) -> bool {
        let of_requests = pieces.iter().filter(|piece| {
            matches!(
                piece.place,
                Place::BeforeReview | Place::AfterReview | Place::Policies
            )
        });
        let mut steps =
            of_requests.flat_map(|piece| piece.steps.iter().map(|(_, step)| (piece.facts(), *step)));
        steps.any(|(facts, step)| self.claims(step, facts, 0))
    }

    fn claims(&self, step: &PolicyStep, facts: EntryFacts, depth: usize) -> bool {
        let acts = stricter(step.mode, facts.mode) == Mode::Enforce && step.on == Direction::Request;
        if depth > super::definition::DEEPEST || !acts {
            return false;
        }
        match resolve(&step.uses, self.world) {
            Some(Resolved::Definition(definition)) => {
                let facts = self.facts_of(definition, facts);
                let mut steps = definition.steps.iter();
                steps.any(|step| self.claims(step, facts, depth + 1))
            }
            Some(Resolved::Builtin("switch")) => class::inner_steps(step)
                .iter()
                .any(|step| self.claims(step, facts, depth + 1)),
            Some(Resolved::Builtin(name)) => builtins::claims_authorization(name, &step.with),
            None => false,
        }
    }

    pub(super) fn facts_of(&self, definition: &PolicyDefinition, outer: EntryFacts) -> EntryFacts {
        let own = definition
            .entry
            .as_ref()
            .and_then(|entry| self.world.entries.get(entry));
        match own {
            Some(own) => EntryFacts {
                mode: stricter(own.mode, outer.mode),
                ..*own
            },
            None => EntryFacts {
                failure_policy: FailurePolicy::FailClosed,
                ..outer
            },
        }
    }
}

/// With the place in front: `a/x: steps[0].with.cel: …`, `spec.policies[2].with.cel: …`.
pub(super) fn problem(list: &List<'_>, field: &str, fault: Fault) -> Problem {
    let field = match fault.field.as_str() {
        "" => field.to_owned(),
        inner => format!("{field}.{inner}"),
    };
    let message = match list.title {
        "" => format!("{field}: {}", fault.message),
        title => format!("{title}: {field}: {}", fault.message),
    };
    Problem {
        reason: fault.reason,
        field,
        message,
        entry: list.entry.map(str::to_owned),
    }
}
