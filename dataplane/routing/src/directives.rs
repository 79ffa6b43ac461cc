//! The directives of a ReverseProxy: compiled once, then applied to each request in their fixed order.

mod clean;
mod glob;
mod go_syntax;
mod pattern;
mod placeholder;
mod prefix;
mod regexp;
mod replace;
mod rewrite;
mod spec;
pub(crate) mod strip;
mod work;

use crate::answer::reason;
use std::borrow::Cow;
use std::collections::BTreeMap;

use thiserror::Error;

use crate::headers::HeaderRules;
use crate::path::{Refusal, canonicalize};
pub use clean::clean_path;
use regexp::RegexpRule;
use replace::ReplaceRule;
use rewrite::RewriteRule;
pub use spec::{BodyRule, DirectiveSpec, Problem, RewriteLinks};
use work::{MOST_STEPS, Spent, Work};

/// Directives ready for use.
#[derive(Debug, Clone, Default)]
pub struct Directives {
    pub header_up: HeaderRules,
    pub header_down: HeaderRules,
    pub auth_proxy: bool,
    pub wrap_transport: bool,
    pub reject_forwarding_redirects: bool,
    /// `wrapTransport` counts as [`RewriteLinks::Markup`].
    pub links: RewriteLinks,
    /// Links of style sheets are moved, too.
    pub moves_styles: bool,
    pub rewrite_body: Box<[BodyRule]>,
    /// What the rules below take off every path, as far as that can be known; only where links are moved.
    known_prefix: Option<Box<str>>,
    method: Option<Box<str>>,
    strip_path_prefix: Box<str>,
    strip_path_suffix: Box<str>,
    rewrite: Rules<RewriteRule>,
    replace: Rules<ReplaceRule>,
    path_regexp: Rules<RegexpRule>,
}

/// With their positions in the list that was written; those that do nothing are left out.
type Rules<T> = Box<[(usize, T)]>;

/// The part of a request that directives read.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    pub method: &'a str,
    /// Canonical, without the part that names a cluster.
    pub path: &'a str,
    pub query: Option<&'a [u8]>,
    /// What the client sent as `Host`.
    pub host: &'a str,
}

/// What the backend is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing<'a> {
    pub method: Cow<'a, str>,
    /// Canonical. May be empty or lack the first slash; [`Outgoing::target`] puts it in.
    pub path: Cow<'a, str>,
    pub query: Option<Cow<'a, [u8]>>,
    /// What stripPathPrefix took off, in canonical form.
    pub stripped_prefix: Option<&'a str>,
}

/// Why a request cannot be sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RewriteError {
    #[error("the path that the directives make cannot be sent: {0}")]
    Path(#[from] Refusal),
    #[error("the directives make a path or query of more than {MAX_RESULT} bytes")]
    TooLong,
    #[error(
        "the rewriting of this path takes more than {MOST_STEPS} steps, which ended at directives.{list}[{index}]; \
         shorten the path, or write fewer or simpler rules"
    )]
    TooCostly { list: &'static str, index: usize },
}

/// Why a rule stops the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Halt {
    TooLong,
    Spent,
}

/// Of the expressions of one object together: states, each counted once more for every group of its expression.
pub const MOST_STATES: u64 = 32_768;

/// Rules can multiply what a client sends; nothing longer than this is built.
const MAX_RESULT: usize = 64 * 1024;

/// A request on its way through the rules.
#[derive(Debug)]
pub(crate) struct RewriteState<'a> {
    method: &'a str,
    host: &'a str,
    path: Cow<'a, str>,
    query: Option<Cow<'a, [u8]>>,
    work: Work,
}

// === impl RewriteError ===

impl RewriteError {
    /// The code of the answer.
    pub fn code(&self) -> u16 {
        match self {
            Self::Path(_) => 400,
            Self::TooLong => 414,
            Self::TooCostly { .. } => 503,
        }
    }

    /// The reason of the answer.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Path(_) | Self::TooLong => reason::PATH_REFUSED,
            Self::TooCostly { .. } => reason::REWRITE_TOO_COSTLY,
        }
    }
}

// === impl Directives ===

impl Directives {
    /// Checks and compiles. All problems are reported, not only the first.
    pub fn compile(spec: &DirectiveSpec) -> Result<Self, Vec<Problem>> {
        let mut problems = spec.check_limits();
        spec.check_method(&mut problems);
        spec.check_answers(&mut problems);
        let header_up = compile_headers(&spec.header_up, "headerUp", &mut problems);
        let header_down = compile_headers(&spec.header_down, "headerDown", &mut problems);
        let rewrite = compile_rules(&spec.rewrite, "rewrite", RewriteRule::parse, &mut problems);
        let replace = compile_rules(&spec.replace, "replace", ReplaceRule::parse, &mut problems);
        let path_regexp = compile_rules(&spec.path_regexp, "pathRegexp", RegexpRule::parse, &mut problems);
        check_size(&path_regexp, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        let links = match (spec.rewrite_links, spec.wrap_transport) {
            (RewriteLinks::Off, true) => RewriteLinks::Markup,
            (links, _) => links,
        };
        let directives = Self {
            header_up,
            header_down,
            links,
            moves_styles: !spec.rewrite_links.is_off(),
            rewrite_body: spec.rewrite_body.clone().into(),
            known_prefix: None,
            auth_proxy: spec.auth_proxy,
            wrap_transport: spec.wrap_transport,
            reject_forwarding_redirects: spec.reject_forwarding_redirects,
            method: spec
                .method
                .as_deref()
                .filter(|method| !method.is_empty())
                .map(Into::into),
            strip_path_prefix: text(&spec.strip_path_prefix),
            strip_path_suffix: text(&spec.strip_path_suffix),
            rewrite,
            replace,
            path_regexp,
        };
        Ok(Self {
            known_prefix: prefix::known(spec, &directives),
            ..directives
        })
    }

    /// Answers are not what the backend sent.
    pub fn rewrites_answers(&self) -> bool {
        !self.links.is_off() || !self.rewrite_body.is_empty()
    }

    /// What is taken off every path: by stripPathPrefix, or, where links are moved, by rules of which that can be known.
    /// Decoded, without a slash at the end.
    pub fn prefix(&self) -> Option<&str> {
        let stripped = self.strips();
        let stripped = stripped.strip_suffix('/').unwrap_or(stripped);
        match stripped {
            "" => self.known_prefix.as_deref(),
            stripped => Some(stripped),
        }
    }

    /// What stripPathPrefix takes off.
    pub fn strips(&self) -> &str {
        &self.strip_path_prefix
    }

    /// What the backend is asked for. Borrows whatever does not change.
    pub fn rewrite_request<'a>(&'a self, input: Input<'a>) -> Result<Outgoing<'a>, RewriteError> {
        let method = self.method.as_deref().unwrap_or(input.method);
        let (stripped_prefix, path) = strip::prefix(input.path, &self.strip_path_prefix);
        let path = strip::suffix(path, &self.strip_path_suffix);
        let mut state = RewriteState {
            method,
            host: input.host,
            path: Cow::Borrowed(path),
            query: input.query.map(Cow::Borrowed),
            work: Work::default(),
        };
        apply("rewrite", &self.rewrite, |rule| rule.apply(&mut state))?;
        apply("replace", &self.replace, |rule| rule.apply(&mut state))?;
        apply("pathRegexp", &self.path_regexp, |rule| rule.apply(&mut state))?;
        // A canonical path comes back as it is; this looks for what a path may not hold.
        canonicalize(state.path.as_bytes())?;
        Ok(Outgoing {
            method: Cow::Borrowed(method),
            path: state.path,
            query: state.query,
            stripped_prefix: stripped_prefix.or_else(|| self.known_in(input.path)),
        })
    }
}

impl Directives {
    /// As it stands in this path.
    fn known_in<'a>(&self, path: &'a str) -> Option<&'a str> {
        let (taken, rest) = strip::prefix(path, self.known_prefix.as_deref()?);
        taken.filter(|_| rest.is_empty() || rest.starts_with('/'))
    }

    /// The expressions of `pathRegexp`, each once, with its size.
    pub fn expressions(&self) -> BTreeMap<&str, u64> {
        expressions(&self.path_regexp)
    }
}

fn expressions(rules: &Rules<RegexpRule>) -> BTreeMap<&str, u64> {
    let all = rules.iter().map(|(_, rule)| rule.expression());
    all.map(|expression| (expression.written(), expression.size()))
        .collect()
}

fn check_size(rules: &Rules<RegexpRule>, problems: &mut Vec<Problem>) {
    let size = expressions(rules)
        .values()
        .fold(0, |sum: u64, size| sum.saturating_add(*size));
    if size > MOST_STATES {
        let reason = format!(
            "is too large: its expressions compile to up to {size} states (each counted once more for every group); at \
             most {MOST_STATES} are allowed for one object, so repeat less, or write (?:...) for groups that no \
             replacement names"
        );
        problems.push(Problem::of("pathRegexp", reason));
    }
}

fn apply<T>(
    list: &'static str,
    rules: &[(usize, T)],
    mut apply: impl FnMut(&T) -> Result<(), Halt>,
) -> Result<(), RewriteError> {
    for (index, rule) in rules {
        apply(rule).map_err(|halt| match halt {
            Halt::TooLong => RewriteError::TooLong,
            Halt::Spent => RewriteError::TooCostly { list, index: *index },
        })?;
    }
    Ok(())
}

impl From<Spent> for Halt {
    fn from(_: Spent) -> Self {
        Self::Spent
    }
}

// === impl Outgoing ===

impl Outgoing<'_> {
    /// The request target behind the base path of the endpoint.
    pub fn target(&self, base_path: &str) -> Vec<u8> {
        let query = self.query.as_deref();
        let mut target =
            Vec::with_capacity(base_path.len() + self.path.len() + query.map_or(0, <[u8]>::len) + 2);
        target.extend_from_slice(base_path.as_bytes());
        if !self.path.starts_with('/') {
            target.push(b'/');
        }
        target.extend_from_slice(self.path.as_bytes());
        if let Some(query) = query {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        target
    }
}

/// Does a rewrite rule with this pattern apply to this canonical path?
pub fn rewrite_pattern_matches(pattern: &str, path: &str) -> bool {
    let pattern = pattern::Pattern::parse(pattern.as_bytes());
    pattern.is_some_and(|pattern| pattern.matches(path, &Work::default()) == Ok(true))
}

fn compile_headers(items: &[String], list: &str, problems: &mut Vec<Problem>) -> HeaderRules {
    HeaderRules::compile(items).unwrap_or_else(|errors| {
        problems.extend(
            errors
                .into_iter()
                .map(|(index, reason)| Problem::at(list, index, reason)),
        );
        HeaderRules::default()
    })
}

fn compile_rules<T>(
    items: &[String],
    list: &str,
    parse: impl Fn(&str) -> Result<Option<T>, String>,
    problems: &mut Vec<Problem>,
) -> Rules<T> {
    let mut rules = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match parse(item) {
            Ok(rule) => rules.extend(rule.map(|rule| (index, rule))),
            Err(reason) => problems.push(Problem::at(list, index, reason)),
        }
    }
    rules.into()
}
