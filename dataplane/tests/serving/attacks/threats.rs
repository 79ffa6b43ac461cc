//! What cannot be said in one request. A row is on the page only while the tests that it names are there.

use super::{Row, Section};
pub fn section() -> Section {
    Section::new("Beyond one request", "x", Vec::<Row>::new())
}
