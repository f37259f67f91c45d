//! On-call platforms: who is on call, and when.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dutykey_policy::id::RotationId;
use dutykey_policy::installation::Source;
use dutykey_policy::rota::{PlatformUser, Rotation, Shift, Team};
use dutykey_policy::time::Span;

/// How a read of a platform failed. None of these ever means that nobody is on call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// Too many requests; `after` is what the platform asks to wait.
    #[error("the platform asks to slow down{}", .after.map(|a| format!(" for {}s", a.as_secs())).unwrap_or_default())]
    Throttled {
        /// How long.
        after: Option<Duration>,
    },
    /// No answer, or an answer that says to try later.
    #[error("the platform does not answer: {0}")]
    Unavailable(String),
    /// The credentials are refused. It will not pass by itself.
    #[error("the platform refuses the credentials: {0}; replace the token")]
    Unauthorized(String),
    /// The credentials may not read this. It may be a permission fault and never counts as a deletion.
    #[error("the platform denies access to {what}: {detail}; give the token the right to read it")]
    Forbidden {
        /// What was asked for.
        what: String,
        /// What the platform said.
        detail: String,
    },
    /// The platform does not know it. Never, by itself, a reason to take access away.
    #[error("the platform does not know {0}")]
    NotFound(String),
    /// An answer that is not whole or not well-formed: a missing page, broken JSON, an unknown time zone.
    #[error("the platform's answer cannot be used: {0}")]
    Faulty(String),
    /// The configuration asks for something that the platform cannot do.
    #[error("{0}")]
    Misconfigured(String),
}

impl PlatformError {
    /// Whether trying again may help without anybody changing anything.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unavailable(_) | Self::Faulty(_))
    }
}

/// An on-call platform, behind one configured account. Every answer is complete or an error: all pages were read, and
/// every record in them was understood.
#[async_trait]
pub trait Platform: Send + Sync {
    /// Proves the credentials with one cheap call and names the account, for a person to read.
    async fn check(&self) -> Result<String, PlatformError>;

    /// Every user.
    async fn users(&self) -> Result<Vec<PlatformUser>, PlatformError>;

    /// Every team; empty where the platform has none.
    async fn teams(&self) -> Result<Vec<Team>, PlatformError>;

    /// Every rotation that the credentials can see.
    async fn rotations(&self) -> Result<Vec<Rotation>, PlatformError>;

    /// Every shift of the rotation that touches the window, sorted, each with its own ends: a shift is never cut at the
    /// window's edge. An end that the platform does not name is open.
    async fn shifts(&self, rotation: &RotationId, window: Span) -> Result<Vec<Shift>, PlatformError>;

    /// How many requests have been sent to the platform since this was last asked, those that failed and those that were
    /// sent again included. Whoever asks counts them.
    fn take_requests(&self) -> u64;
}

/// The adapters of the configured sources.
#[async_trait]
pub trait Platforms: Send + Sync {
    /// The adapter of a source.
    ///
    /// # Errors
    /// Its credentials cannot be read now.
    async fn platform(&self, source: &Source) -> Result<Arc<dyn Platform>, PlatformError>;
}
