//! What is wrong with a configuration file, and where.

use std::fmt;

use serde::Serialize;

/// One fault of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ConfigProblem {
    /// The line, counted from 1.
    pub line: u64,
    /// The key, from the top: `profiles[0].enrollment.lease`. Empty for the file as a whole.
    pub key: String,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "line {}: {}", self.line, self.message)
        } else {
            write!(f, "line {}: {}: {}", self.line, self.key, self.message)
        }
    }
}

/// At most this many problems are listed; nobody reads more, and a hostile file must not fill the memory.
const MAX_LISTED: usize = 200;

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<ConfigProblem>,
    unlisted: usize,
}

impl Problems {
    /// Notes a problem.
    pub(super) fn add(&mut self, line: u64, key: impl fmt::Display, message: impl fmt::Display) {
        if self.found.len() < MAX_LISTED {
            let (key, message) = (bounded(&key.to_string()), message.to_string());
            self.found.push(ConfigProblem { line, key, message });
        } else {
            self.unlisted += 1;
        }
    }

    /// The problems by line, or nothing where there were none.
    pub(super) fn into_result(mut self) -> Result<(), Vec<ConfigProblem>> {
        self.found.sort();
        self.found.dedup();
        if self.unlisted > 0 {
            let line = self.found.last().map_or(1, |last| last.line);
            let message = format!("and {} more problems, which are not listed", self.unlisted);
            self.found.push(ConfigProblem { line, key: String::new(), message });
        }
        if self.found.is_empty() { Ok(()) } else { Err(self.found) }
    }
}

/// A text of the file as it may stand in a message: at most 500 characters, control characters as escapes.
pub(super) fn bounded(text: &str) -> String {
    text.chars().take(500).flat_map(escape).collect()
}

fn escape(c: char) -> Vec<char> {
    if c.is_control() { c.escape_debug().collect() } else { vec![c] }
}
