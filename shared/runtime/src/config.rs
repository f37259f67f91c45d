//! The configuration file: one YAML document, proven as a whole before anything is done with it.
//!
//! Reading it needs the text and the directory it lies in, and nothing else: no environment, no secret, no network.
//! Every fault is found in one run and names its line and its key.
//!
//! ```text
//! text ─ node ─► tree with lines ─ read ─► what is written (raw) ─ check ─► what is meant (Document) ─ pin ─► Installation
//! ```

mod check;
mod document;
mod node;
mod problem;
mod raw;
mod read;
mod schema;
#[cfg(test)]
mod tests;
mod words;

use std::io::Read as _;
use std::path::Path;

pub use document::{Document, NamedEntitlement};
pub use problem::ConfigProblem;
pub use schema::{configuration_schema, profile_schema, schema};
pub use words::{said, words};

use dutykey_policy::id::ProfileId;
use dutykey_policy::installation::Installation;
use dutykey_policy::profile::Profile;

use node::{Entry, Node, Value};
use problem::Problems;
use raw::{RawDocument, RawProfile};
use read::{At, Read as _, Trail};

/// The longest configuration file, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// A configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It could not be read from the disk.
    #[error("the configuration file {path} could not be read: {source}")]
    Unreadable {
        /// Its path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It says something that cannot be.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Faulty(Vec<ConfigProblem>),
}

/// Reads the configuration file at the path. Paths in it are relative to its directory.
///
/// # Errors
/// It cannot be read, or everything that is wrong with it.
pub fn load(path: &Path) -> Result<Document, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.display().to_string(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    // What is stored must mean the same wherever it is read.
    let path = std::path::absolute(path).map_err(unreadable)?;
    parse(&bytes, path.parent().unwrap_or(Path::new("/"))).map_err(ConfigError::Faulty)
}

/// Reads a configuration document. `base` is the directory to which its paths are relative.
///
/// # Errors
/// Everything that is wrong with it, by line.
pub fn parse(bytes: &[u8], base: &Path) -> Result<Document, Vec<ConfigProblem>> {
    let whole = |line, message: &str| vec![ConfigProblem { line, key: String::new(), message: message.to_owned() }];
    if bytes.len() > MAX_BYTES {
        return Err(whole(1, "the file is longer than 1 MiB, which is the most that can be read"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count();
        whole(before as u64 + 1, "the file is not UTF-8 text")
    })?;
    if text.lines().all(|line| line.trim_start().is_empty() || line.trim_start().starts_with('#')) {
        return Err(whole(1, "the file is empty; `dutykey init` writes one to begin with"));
    }
    let root = node::parse(text).map_err(|problem| vec![problem])?;
    let mut problems = Problems::default();
    let document = RawDocument::read(&root, &Trail::Root, &mut problems)
        .map(|raw| check::document(&raw, &root, base, &mut problems));
    problems.into_result()?;
    document.ok_or_else(|| whole(1, "the file is not a configuration"))
}

/// Reads one profile that is said beside the file, in the file's words and by its checks, for an installation that is in
/// force. Its entitlements are given by ID; its version is 0: whoever stores it numbers it.
///
/// # Errors
/// Everything that is wrong with it, by key.
pub fn profile(
    said: serde_json::Value,
    id: &ProfileId,
    installation: &Installation,
) -> Result<Profile, Vec<ConfigProblem>> {
    let whole = |message: &str| vec![ConfigProblem { line: 1, key: String::new(), message: message.to_owned() }];
    let mut root = Node::from(said);
    if let Value::Map(entries) = &mut root.value {
        if entries.iter().any(|entry| entry.key == "id") {
            return Err(whole("the ID is said in the address; leave `id` out"));
        }
        entries.push(Entry { line: 1, key: "id".to_owned(), node: serde_json::Value::from(id.as_str()).into() });
    }
    let mut problems = Problems::default();
    let at = At::<RawProfile>::read(&root, &Trail::Root, &mut problems);
    let profile = at.and_then(|at| check::profile(&at, installation, &mut problems));
    let profile = profile.map(|draft| draft.by_ids(&mut problems));
    problems.into_result()?;
    profile.ok_or_else(|| whole("this is not a profile"))
}

/// Reads a whole configuration that is said elsewhere than in the file, in the file's words and by its checks. Its
/// entitlements are given by ID; its profiles have version 0: whoever stores them numbers them.
///
/// # Errors
/// Everything that is wrong with it, by key.
pub fn installation(said: serde_json::Value) -> Result<Installation, Vec<ConfigProblem>> {
    let root = Node::from(said);
    let mut problems = Problems::default();
    let document = RawDocument::read(&root, &Trail::Root, &mut problems)
        .map(|raw| check::document(&raw, &root, Path::new("/"), &mut problems));
    let installation = document.map(|document| document.by_ids(&mut problems));
    problems.into_result()?;
    let whole = ConfigProblem { line: 1, key: String::new(), message: "this is not a configuration".to_owned() };
    installation.ok_or_else(|| vec![whole])
}

/// A commented file to begin with. It is sound as it is and touches nothing, for its profile only observes.
#[must_use]
pub fn template() -> &'static str {
    include_str!("config/template.yaml")
}
