//! The embedded DynamoDB: a database in this process, reached through the ordinary AWS SDK client.
//!
//! One store implementation serves both worlds; here its requests never leave the process. The database is `dynoxide`,
//! which keeps tables in one SQLite file or in memory. Three things of Amazon's own it does not have, and tests that need
//! them put them between the client and [`Embedded::connector`]: stale reads, `TransactionConflict` and throttling.
#![warn(missing_docs)]

mod connector;
mod operations;

use std::fs::File;
use std::path::{Path, PathBuf};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Region, StalledStreamProtectionConfig};
use aws_smithy_runtime_api::client::auth::AuthSchemeId;
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use dynoxide::Database;
use tokio::net::TcpListener;

use crate::connector::{InProcess, Work};

/// What went wrong with the database as a whole. A single request fails as it does on AWS.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The file cannot be used.
    #[error("the database {path} cannot be used: {problem}")]
    Unusable {
        /// The file; `memory` for none.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// Another `serve` has the file.
    #[error("{0} is served by another process already; stop that one first, or name another file with --data")]
    Served(String),
}

/// A database in this process. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Embedded {
    database: Database,
    work: Work,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("work", &self.work).finish_non_exhaustive()
    }
}

impl Embedded {
    /// Opens the file, or makes it. Several processes may have it open at once; see [`sole_server`] for what may not.
    ///
    /// Requests run on the runtime's blocking threads, because another process may hold the file for up to 5 seconds.
    ///
    /// # Errors
    /// A path that cannot be opened, or a file that is no database of this kind.
    pub fn open(path: &Path) -> Result<Self, EmbeddedError> {
        let text = path.to_str().ok_or_else(|| unusable(path, "its name is not valid UTF-8"))?;
        let database = Database::new(text).map_err(|error| unusable(path, error))?;
        Ok(Self { database, work: Work::BlockingThread })
    }

    /// A database that is gone with its last clone. Requests run where they are awaited, so that a test under paused time
    /// repeats itself exactly.
    ///
    /// # Errors
    /// SQLite could not be started.
    pub fn memory() -> Result<Self, EmbeddedError> {
        let database = Database::memory().map_err(|error| unusable(Path::new("memory"), error))?;
        Ok(Self { database, work: Work::Inline })
    }

    /// An ordinary client whose requests are answered here. It retries nothing and has no time-outs.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::from_conf(self.config().build())
    }

    /// The configuration of [`Embedded::client`], for a test that puts something between the client and the database.
    #[must_use]
    pub fn config(&self) -> Builder {
        let connector = self.connector();
        aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("local"))
            // Nobody would look at a signature.
            .allow_no_auth()
            .auth_scheme_preference([AuthSchemeId::new("noAuth")])
            .endpoint_url("http://embedded.invalid")
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(http_client_fn(move |_, _| connector.clone()))
    }

    /// What answers the requests.
    #[must_use]
    pub fn connector(&self) -> SharedHttpConnector {
        SharedHttpConnector::new(InProcess::new(self.database.clone(), self.work))
    }

    /// Writes a copy as one file, which must not exist yet. Others go on working meanwhile. Blocks.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn backup(&self, path: &Path) -> Result<(), EmbeddedError> {
        let text = path.to_str().ok_or_else(|| unusable(path, "its name is not valid UTF-8"))?;
        self.database.vacuum_into(text).map_err(|error| unusable(path, error))
    }

    /// Removes what is past its time to live, as DynamoDB does by itself; answers how many items that was. Blocks.
    ///
    /// # Errors
    /// The database cannot be used.
    pub fn sweep(&self) -> Result<usize, EmbeddedError> {
        self.database.sweep_ttl().map_err(|error| unusable(Path::new("the database"), error))
    }

    /// Answers requests over HTTP too, for tests that start real processes, until the future is dropped.
    ///
    /// # Errors
    /// The listener failed.
    pub async fn serve_on(&self, listener: TcpListener) -> Result<(), EmbeddedError> {
        dynoxide::server::serve_with_shutdown(listener, self.database.clone(), std::future::pending())
            .await
            .map_err(|error| unusable(Path::new("the listener"), error))
    }
}

/// The right to serve a file. It is given back when this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct SoleServer {
    _lock: File,
}

/// Takes the right to serve a file, by a lock on `FILE.lock` beside it. Only `serve` asks for it; other commands work
/// beside a running `serve`.
///
/// # Errors
/// Another process has it, or the lock file cannot be made.
pub fn sole_server(path: &Path) -> Result<SoleServer, EmbeddedError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let open = File::options().create(true).truncate(false).write(true).open(&name);
    let lock = open.map_err(|error| unusable(&name, error))?;
    match lock.try_lock() {
        Ok(()) => Ok(SoleServer { _lock: lock }),
        Err(std::fs::TryLockError::WouldBlock) => Err(EmbeddedError::Served(path.display().to_string())),
        Err(std::fs::TryLockError::Error(error)) => Err(unusable(&name, error)),
    }
}

fn unusable(path: &Path, problem: impl std::fmt::Display) -> EmbeddedError {
    EmbeddedError::Unusable { path: path.display().to_string(), problem: problem.to_string() }
}
