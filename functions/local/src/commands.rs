//! The commands beside the demonstration and the server, and what they share.

/// A line of the answer. Whoever reads it may stop reading: a closed pipe is no fault.
macro_rules! out {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($line)*);
    }};
}

pub(crate) mod apply;
pub(crate) mod audit;
pub(crate) mod brake;
pub(crate) mod check;
pub(crate) mod erase;
pub(crate) mod files;
pub(crate) mod forecast;
pub(crate) mod plan;
pub(crate) mod prolong;
mod reads;
pub(crate) mod rebuild;
pub(crate) mod remote;
pub(crate) mod retire;
pub(crate) mod write_off;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::secrets::{ReadSecret, Secret, SecretError};
use dutykey_policy::forecast::Shown;
use dutykey_policy::installation::Installation;
use dutykey_policy::time::rfc3339;
use dutykey_runtime::aws::Aws;
use dutykey_runtime::clock::WatchedClock;
use dutykey_runtime::config::{self, ConfigError, ConfigProblem, Document};
use dutykey_runtime::environment::SECRET_TTL;
use dutykey_runtime::secrets::{Fetch, Secrets};
use serde::Serialize;
use tokio::sync::OnceCell;

use crate::adapters::{Adapters, adapters};

/// What commands reach the world through.
pub(crate) struct World {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) secrets: Arc<dyn ReadSecret>,
    pub(crate) adapters: Adapters,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(WatchedClock::default());
        let secrets: Arc<dyn ReadSecret> = Arc::new(Secrets::new(
            |name| std::env::var(name).ok(),
            Some(Arc::new(Manager(OnceCell::new()))),
            clock.clone(),
            SECRET_TTL,
        ));
        let now = clock.now();
        Self { adapters: adapters(secrets.clone(), &clock, now), secrets, clock }
    }

    /// The installation that a configuration file describes, its names looked up in the apps.
    pub(crate) async fn installation(&self, path: &Path) -> anyhow::Result<Installation> {
        let pinned = crate::pin::pin(load(path)?, self.adapters.targets.as_ref()).await;
        pinned.map_err(|problems| faulty(path, &problems))
    }

    /// The same for showing only, with warnings: an app that cannot be asked does not stop a forecast of its rota.
    async fn installation_to_show(&self, path: &Path) -> anyhow::Result<(Installation, Vec<String>)> {
        let pinned = crate::pin::pin_to_show(load(path)?, self.adapters.targets.as_ref()).await;
        pinned.map_err(|problems| faulty(path, &problems))
    }
}

/// Secrets Manager, asked for only where the configuration names a secret there.
struct Manager(OnceCell<Aws>);

#[async_trait]
impl Fetch for Manager {
    async fn fetch(&self, name: &str) -> Result<Secret, SecretError> {
        self.0.get_or_init(Aws::from_environment).await.secrets().fetch(name).await
    }
}

/// Reads a configuration file.
fn load(path: &Path) -> anyhow::Result<Document> {
    config::load(path).map_err(|error| match error {
        ConfigError::Faulty(problems) => faulty(path, &problems),
        error @ ConfigError::Unreadable { .. } => error.into(),
    })
}

fn faulty(path: &Path, problems: &[ConfigProblem]) -> anyhow::Error {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("{} cannot be used:\n{}", path.display(), lines.join("\n"))
}

/// Foreign text as a terminal may show it: at most 200 characters, control characters as escapes.
fn plain(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_debug().collect() } else { vec![c] };
    text.chars().take(200).flat_map(escaped).collect()
}

/// A person as a terminal shows them.
pub(crate) fn called(person: &Shown) -> String {
    let id = || person.id.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    match person.erased {
        Some(at) => format!("{}, erased on {}", id(), rfc3339(at)),
        None => person.email.as_deref().map_or_else(id, plain),
    }
}

/// Prints an answer as JSON.
fn print_json(answer: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(answer)?;
    text.push('\n');
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
