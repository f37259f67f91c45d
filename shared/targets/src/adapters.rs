//! The adapters of the configured apps, made when they are first needed and again when what they were made from has
//! changed or their credentials have grown old.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dutykey_engine::ports::clock::{Clock, Listener};
use dutykey_engine::ports::secrets::{ReadSecret, SecretError};
use dutykey_engine::ports::target::{Target, TargetError, Targets};
use dutykey_policy::id::AppId;
use dutykey_policy::installation::{App, TargetSettings};
use dutykey_policy::time::later;
use jiff::Timestamp;

use crate::sandbox::SandboxWorld;
use crate::scim::{PROPAGATION, Scim};

/// Makes adapters and keeps them.
pub struct Adapters {
    secrets: Arc<dyn ReadSecret>,
    clock: Arc<dyn Clock>,
    sandbox: SandboxWorld,
    /// How long an adapter is kept: as long as a secret is.
    keep: Duration,
    made: Mutex<BTreeMap<AppId, Made>>,
}

struct Made {
    from: App,
    until: Timestamp,
    target: Arc<dyn Target>,
}

impl std::fmt::Debug for Adapters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Adapters").finish_non_exhaustive()
    }
}

impl Adapters {
    /// Adapters with these secrets, each kept for as long as a secret is.
    #[must_use]
    pub fn new(secrets: Arc<dyn ReadSecret>, clock: Arc<dyn Clock>, sandbox: SandboxWorld, keep: Duration) -> Self {
        Self { secrets, clock, sandbox, keep, made: Mutex::default() }
    }

    async fn make(&self, app: &App) -> Result<Arc<dyn Target>, TargetError> {
        Ok(match &app.settings {
            TargetSettings::Scim { base_url, token, propagation } => {
                let token = self.secrets.read(token).await.map_err(no_secret)?;
                let scim = Scim::new(app.id.clone(), base_url, token);
                let scim = scim.map_err(|error| TargetError::Permanent(error.to_string()))?;
                let scim = scim.with_propagation(propagation.unwrap_or(PROPAGATION));
                Arc::new(scim.heard_by(Listener::new(self.clock.clone(), &app.id)))
            }
            TargetSettings::Sandbox { script } => {
                let target = self.sandbox.target(&app.id, script);
                Arc::new(target.map_err(|error| TargetError::Permanent(error.to_string()))?)
            }
        })
    }
}

fn no_secret(error: SecretError) -> TargetError {
    match error {
        SecretError::Missing(_) => TargetError::Permanent(error.to_string()),
        SecretError::Unavailable(..) => TargetError::Transient { after: None, detail: error.to_string() },
    }
}

#[async_trait]
impl Targets for Adapters {
    async fn target(&self, app: &App) -> Result<Arc<dyn Target>, TargetError> {
        let now = self.clock.now();
        {
            let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(made) = made.get(&app.id).filter(|made| made.from.settings == app.settings && now < made.until)
            {
                return Ok(made.target.clone());
            }
        }
        let target = self.make(app).await?;
        let made = Made { from: app.clone(), until: later(now, self.keep), target: target.clone() };
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(app.id.clone(), made);
        Ok(target)
    }
}
