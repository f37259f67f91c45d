//! Lists, read to their end or not at all.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::http::{Failed, Http};

/// `offset + limit` may not be more (PagerDuty, Pagination): what lies behind cannot be read.
const REACH: usize = 10_000;
/// The largest page of every list that is read here.
pub(super) const LARGEST: usize = 100;

#[derive(Deserialize)]
struct Page {
    limit: usize,
    offset: usize,
    more: bool,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Reads every page of the list that answers keep under `name`. An entry that moved to a later page while they were read
/// counts once.
///
/// # Errors
/// Those of the requests. `Faulty` for a page that is not what was asked for, that is shorter than it says while more
/// follow, or that is followed by more than PagerDuty lets anyone read.
pub(super) async fn every<T: DeserializeOwned>(
    http: &Http,
    path: &[&str],
    name: &str,
    id: fn(&T) -> &str,
) -> Result<Vec<T>, Failed> {
    let faulty = |at: usize, why: &str| {
        let path = path.join("/");
        Err(Failed::faulty(format!("GET /{path}: the page from {at} on {why}; the list was not read to its end")))
    };
    let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
    let (mut offset, mut limit) = (0, LARGEST);
    loop {
        let query = [("limit", limit.to_string()), ("offset", offset.to_string())];
        let page: Page = http.get(path, &query.each_ref().map(|(key, value)| (*key, value.as_str()))).await?.body;
        let Some(entries) = page.rest.get(name).and_then(Value::as_array) else {
            return faulty(offset, &format!("has no `{name}`"));
        };
        if page.offset != offset || !(1..=limit).contains(&page.limit) || entries.len() > page.limit {
            return faulty(offset, "is not the page that was asked for");
        }
        if page.more && entries.len() < page.limit {
            return faulty(offset, &format!("has {} of {} entries while more follow", entries.len(), page.limit));
        }
        for entry in entries {
            match T::deserialize(entry) {
                Ok(entry) if seen.insert(id(&entry).to_owned()) => all.push(entry),
                Ok(_) => {}
                Err(e) => {
                    return faulty(offset, &format!("has an entry without sense ({})", http.clean(&e.to_string())));
                }
            }
        }
        if !page.more {
            return Ok(all);
        }
        // A smaller page than asked for is PagerDuty's own limit, and the next one begins behind it.
        limit = page.limit;
        offset += limit;
        if offset + limit > REACH {
            return faulty(offset, &format!("lies behind the {REACH} entries that PagerDuty lets anyone read"));
        }
    }
}
