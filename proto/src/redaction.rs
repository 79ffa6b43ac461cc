//! What messages with secrets do not say, and what they leave behind: nothing.

use std::fmt;

use zeroize::Zeroize;

use crate::v1alpha1::{SecretEntry, SecretValue};

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretValue")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SecretEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretEntry(..)")
    }
}

impl Drop for SecretValue {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

impl Drop for SecretEntry {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}
