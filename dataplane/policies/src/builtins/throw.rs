use serde::Deserialize;

use super::status_of;
use crate::answer::PolicyAnswer;
use crate::exchange::Exchange;
use crate::link::{Fault, Site};
use crate::step::{Act, Moment, Stop};
use crate::template::Template;

/// An error with a reason that its author chose.
#[derive(Debug)]
pub(crate) struct Throw {
    error: String,
    status: u16,
    message: Template,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct With {
    error: String,
    #[serde(default = "failed")]
    status: u16,
    #[serde(default)]
    message: String,
    /// Of DataPower; nothing that HTTP/2 could carry, and not written.
    #[serde(default, rename = "statusText")]
    _status_text: String,
}

fn failed() -> u16 {
    500
}

const LONGEST: usize = 64;

// === impl Throw ===

impl Throw {
    pub(crate) fn compile(with: With, site: &Site<'_>) -> Result<Self, Fault> {
        let error = site.fixed("with.error", &with.error)?;
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if error.is_empty() || error.len() > LONGEST || !error.bytes().all(is_word) {
            let text = format!("{error:?} is no word of 1 to {LONGEST} letters, digits, ., - and _");
            return Err(Fault::new("with.error", text));
        }
        let status = status_of("with.status", with.status)?;
        if status < 400 {
            return Err(Fault::new(
                "with.status",
                format!("{status} is no status of an error, 400 to 599"),
            ));
        }
        Ok(Self {
            error: error.to_owned(),
            status,
            message: site.template("with.message", &with.message)?,
        })
    }
}

impl Act for Throw {
    fn act(&self, exchange: &mut Exchange<'_>, moment: Moment) -> Result<(), Stop> {
        let message = self.message.render(exchange, moment.now)?;
        Err(PolicyAnswer::refused(self.status, self.error.clone(), message).into())
    }
}
