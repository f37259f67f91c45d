//! The adapters of one process.

use std::sync::Arc;
use std::time::Duration;

use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::platform::Platforms;
use dutykey_engine::ports::secrets::ReadSecret;
use dutykey_engine::ports::target::Targets;
use dutykey_runtime::secrets::Secrets;
use dutykey_targets::sandbox::SandboxWorld;
use jiff::Timestamp;

/// How long an adapter keeps the secret that it was made with.
const KEEP: Duration = Duration::from_secs(300);

/// The adapters of one process.
pub(crate) struct Adapters {
    pub(crate) platforms: Arc<dyn Platforms>,
    pub(crate) targets: Arc<dyn Targets>,
    /// The simulated targets, for a verdict on what really happened there.
    pub(crate) sandbox: SandboxWorld,
}

/// Adapters with these secrets. Sandboxes begin at `epoch`.
pub(crate) fn adapters(secrets: Arc<dyn ReadSecret>, clock: &Arc<dyn Clock>, epoch: Timestamp) -> Adapters {
    let sandbox = SandboxWorld::new(epoch, clock.clone());
    let platforms = dutykey_platforms::sandbox::SandboxWorld::new(epoch, clock.clone());
    Adapters {
        platforms: Arc::new(dutykey_platforms::adapters::Adapters::new(
            secrets.clone(),
            clock.clone(),
            platforms,
            KEEP,
        )),
        targets: Arc::new(dutykey_targets::adapters::Adapters::new(secrets, clock.clone(), sandbox.clone(), KEEP)),
        sandbox,
    }
}

/// Secrets from environment variables, for a process without Secrets Manager.
pub(crate) fn environment_secrets(clock: &Arc<dyn Clock>) -> Secrets {
    Secrets::new(|name| std::env::var(name).ok(), None, clock.clone(), KEEP)
}
