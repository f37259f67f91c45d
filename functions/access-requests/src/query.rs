//! Parameters: few, short, and each known.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::extract::Query;
use axum::http::Uri;
use dutykey_policy::time::to_millis;
use dutykey_store::{Cursor, MAX_PAGE};
use jiff::Timestamp;

use crate::Problem;

/// The longest query, in characters as they come: a cursor is the longest part of any.
pub(crate) const LONGEST: usize = 4_096;
/// How many things are on a page that does not say.
const PAGE: usize = 50;

/// The parameters of a request.
pub(crate) struct Parameters(BTreeMap<String, String>);

/// Foreign text for a message.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

impl Parameters {
    /// Those of the address, of which only these are known.
    pub(crate) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        if uri.query().is_some_and(|query| query.len() > LONGEST) {
            return Err(Problem::QueryTooLong);
        }
        let wrong = |what: String| Problem::Parameter(what);
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| wrong("the query cannot be read".to_owned()))?
            .0;
        let mut parameters = BTreeMap::new();
        for (name, value) in pairs {
            if !known.contains(&name.as_str()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(wrong(format!("there is no parameter `{}`; there are: {known}", excerpt(&name))));
            }
            if parameters.insert(name.clone(), value).is_some() {
                return Err(wrong(format!("`{name}` is there twice")));
            }
        }
        Ok(Self(parameters))
    }

    /// The text of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter as a value.
    pub(crate) fn value<T: FromStr>(&self, name: &str, what: &str) -> Result<Option<T>, Problem> {
        let read = |text: &str| {
            text.parse().map_err(|_| Problem::Parameter(format!("`{name}` is `{}`, not {what}", excerpt(text))))
        };
        self.text(name).map(read).transpose()
    }

    /// A parameter as an instant.
    pub(crate) fn instant(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let at = self.value::<Timestamp>(name, "an instant of RFC 3339 like 2026-11-23T08:00:00Z")?;
        Ok(at.map(to_millis))
    }

    /// How many things are wanted on the page.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        let limit = self.value("limit", "a whole number")?.unwrap_or(PAGE);
        if (1..=MAX_PAGE).contains(&limit) {
            return Ok(limit);
        }
        Err(Problem::Parameter(format!("`limit` is {limit}, not 1 to {MAX_PAGE}")))
    }

    /// Where the page begins.
    pub(crate) fn cursor(&self) -> Result<Option<Cursor>, Problem> {
        let Some(text) = self.text("cursor") else { return Ok(None) };
        let hexadecimal = !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
        if hexadecimal { Ok(Some(Cursor::new(text))) } else { Err(Problem::Cursor) }
    }
}
