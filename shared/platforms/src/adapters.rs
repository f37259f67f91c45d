//! The adapters of the configured sources, made when they are first needed and again when what they were made from has
//! changed or their credentials have grown old.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dutykey_engine::ports::clock::{Clock, Listener};
use dutykey_engine::ports::platform::{Platform, PlatformError, Platforms};
use dutykey_engine::ports::secrets::{ReadSecret, SecretError};
use dutykey_policy::id::SourceId;
use dutykey_policy::installation::{CalendarLocation, PlatformSettings, Source};
use dutykey_policy::time::later;
use jiff::Timestamp;

use crate::icalendar::{ICalendar, Location, Settings};
use crate::pagerduty::PagerDuty;
use crate::sandbox::SandboxWorld;

/// Makes adapters and keeps them.
pub struct Adapters {
    secrets: Arc<dyn ReadSecret>,
    clock: Arc<dyn Clock>,
    sandbox: SandboxWorld,
    /// How long an adapter is kept: as long as a secret is.
    keep: Duration,
    made: Mutex<BTreeMap<SourceId, Made>>,
}

struct Made {
    from: Source,
    until: Timestamp,
    platform: Arc<dyn Platform>,
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

    async fn make(&self, source: &Source) -> Result<Arc<dyn Platform>, PlatformError> {
        Ok(match &source.settings {
            PlatformSettings::Pagerduty { base_url, token, .. } => {
                let token = self.secrets.read(token).await.map_err(no_secret)?;
                Arc::new(
                    PagerDuty::new(source.id.clone(), base_url, token)?
                        .heard_by(Listener::new(self.clock.clone(), &source.id)),
                )
            }
            PlatformSettings::Icalendar { location, rotation, identify_by, time_zone } => {
                let location = match location {
                    CalendarLocation::Plain(place) => Location::parse(place),
                    CalendarLocation::Hidden(place) => {
                        Location::Feed(self.secrets.read(place).await.map_err(no_secret)?)
                    }
                };
                let settings = Settings { identify_by: *identify_by, time_zone: time_zone.clone() };
                let calendar = ICalendar::new(source.id.clone(), rotation.clone(), location, settings)?;
                Arc::new(calendar.heard_by(Listener::new(self.clock.clone(), &source.id)))
            }
            PlatformSettings::Sandbox { script } => {
                let platform = self.sandbox.platform(&source.id, script);
                Arc::new(platform.map_err(|error| PlatformError::Misconfigured(error.to_string()))?)
            }
        })
    }
}

fn no_secret(error: SecretError) -> PlatformError {
    match error {
        SecretError::Missing(_) => PlatformError::Misconfigured(error.to_string()),
        SecretError::Unavailable(..) => PlatformError::Unavailable(error.to_string()),
    }
}

#[async_trait]
impl Platforms for Adapters {
    async fn platform(&self, source: &Source) -> Result<Arc<dyn Platform>, PlatformError> {
        let now = self.clock.now();
        {
            let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(made) = made.get(&source.id).filter(|made| made.from == *source && now < made.until) {
                return Ok(made.platform.clone());
            }
        }
        let platform = self.make(source).await?;
        let made = Made { from: source.clone(), until: later(now, self.keep), platform: platform.clone() };
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(source.id.clone(), made);
        Ok(platform)
    }
}
