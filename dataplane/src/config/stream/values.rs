use genkan_proto::MAX_SNAPSHOT;
use genkan_proto::codec::{self, DecodeError};
use genkan_proto::v1alpha1::SecretValues;

use crate::tables::Value;

/// Values of secrets that came before the snapshot that names them.
#[derive(Debug, Default)]
pub struct Values {
    nonce: u64,
    values: Vec<Value>,
    size: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum ValuesError {
    #[error("the secrets of one snapshot are larger than {MAX_SNAPSHOT} bytes")]
    TooLarge,
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// What each counts beside its bytes.
const LEAST: usize = 256;

// === impl Values ===

impl Values {
    /// # Errors
    /// When one of them is none, or they are too large together.
    pub fn add(&mut self, message: SecretValues) -> Result<(), ValuesError> {
        if message.nonce != self.nonce {
            *self = Self {
                nonce: message.nonce,
                ..Self::default()
            };
        }
        for value in &message.values {
            self.size += value.value.len() + LEAST;
            if self.size > MAX_SNAPSHOT {
                return Err(ValuesError::TooLarge);
            }
            self.values.push(codec::value_from_wire(value)?);
        }
        Ok(())
    }

    /// Those of this snapshot.
    pub fn take(&mut self, nonce: u64) -> Vec<Value> {
        let taken = std::mem::take(self);
        match taken.nonce == nonce {
            true => taken.values,
            false => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use genkan_proto::v1alpha1::SecretValue;
    use genkan_routing::model::Secret;

    use super::*;

    fn mk_values(nonce: u64, name: &str, size: usize) -> SecretValues {
        let secret = Secret {
            kind: "Opaque".into(),
            data: [("k".to_owned(), vec![0; size].into())].into(),
        };
        let value = SecretValue {
            key: format!("Secret/n/{name}"),
            keyed_hash: vec![1; 32],
            value: codec::encode_secret(&secret).to_vec(),
        };
        SecretValues {
            nonce,
            values: vec![value],
        }
    }

    #[test]
    fn values_belong_to_one_snapshot() {
        let mut values = Values::default();
        values.add(mk_values(1, "a", 1)).unwrap();
        values.add(mk_values(2, "b", 1)).unwrap();
        values.add(mk_values(2, "c", 1)).unwrap();
        let names: Vec<String> = values.take(2).into_iter().map(|(key, ..)| key.name).collect();
        assert_eq!(names, ["b", "c"]);
        values.add(mk_values(3, "d", 1)).unwrap();
        assert!(values.take(4).is_empty() && values.take(3).is_empty());
    }

    #[test]
    fn what_is_no_value_or_too_much_is_refused() {
        let mut values = Values::default();
        let mut wrong = mk_values(1, "a", 1);
        wrong.values[0].key = "a".into();
        assert!(matches!(values.add(wrong), Err(ValuesError::Decode(_))));
        let size = MAX_SNAPSHOT / 4;
        for name in ["a", "b", "c"] {
            values.add(mk_values(1, name, size)).unwrap();
        }
        assert!(matches!(
            values.add(mk_values(1, "d", size)),
            Err(ValuesError::TooLarge)
        ));
    }
}
