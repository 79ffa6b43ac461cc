//! What a tool is asked to find out whether it works, made from the templates of its class, and how its answer is judged.
//! Pure: whoever asks is somebody else.

mod judge;
mod plan;
mod template;
pub mod token;
mod url;

pub use judge::{Answer, Verdict, check_rule};
pub use plan::{Expected, Plan, TokenWanted};
pub use template::{Data, render};
pub use url::{join, origin};

/// Bytes of the text of a template.
pub const LONGEST_TEMPLATE: usize = 8 << 10;
/// Bytes of what one becomes.
pub const LONGEST_RENDERED: usize = 64 << 10;
/// Bytes of the text of a rule.
pub const LONGEST_RULE: usize = 4 << 10;
/// Bytes of an answer that are looked at.
pub const LARGEST_ANSWER: usize = 1 << 20;
/// Redirects that are followed.
pub const MOST_REDIRECTS: usize = 10;
