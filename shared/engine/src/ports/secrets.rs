//! Secrets: read when they are needed, never stored, never shown.

use async_trait::async_trait;
use dutykey_policy::installation::SecretRef;

/// A secret's text. It does not appear in `Debug` and has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret could not be read. The message names where it should be, never what it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is none at the place that the configuration names.
    #[error("there is no secret at {0}; put it there or correct the configuration")]
    Missing(String),
    /// It could not be read now.
    #[error("the secret at {0} could not be read: {1}")]
    Unavailable(String, String),
}

/// The power to read secrets.
#[async_trait]
pub trait ReadSecret: Send + Sync {
    /// The secret at the place.
    async fn read(&self, at: &SecretRef) -> Result<Secret, SecretError>;
}
