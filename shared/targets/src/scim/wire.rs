//! The documents of SCIM (RFC 7643, RFC 7644), as far as they are needed here.

use dutykey_engine::ports::target::TargetError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::http::{Call, Fault};

/// How many entries are asked for on a page.
pub(super) const COUNT: u64 = 100;

/// One of the two collections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Users,
    Groups,
}

impl Endpoint {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Users => "Users",
            Self::Groups => "Groups",
        }
    }
}

/// A resource with an ID.
pub(super) trait Resource: DeserializeOwned {
    const ENDPOINT: Endpoint;
    fn id(&self) -> &str;
}

#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) id: String,
    #[serde(rename = "userName")]
    user_name: Option<String>,
    emails: Option<Vec<Email>>,
    #[serde(default)]
    active: Value,
}

#[derive(Debug, Deserialize)]
struct Email {
    value: Option<String>,
}

impl Resource for User {
    const ENDPOINT: Endpoint = Endpoint::Users;
    fn id(&self) -> &str {
        &self.id
    }
}

impl User {
    /// Whether the user is in use. A server that doesn't say has no other kind; some write the boolean as text; anything
    /// else is not a yes.
    pub(super) fn is_active(&self) -> bool {
        match &self.active {
            Value::Null => true,
            Value::Bool(active) => *active,
            Value::String(active) => active.eq_ignore_ascii_case("true"),
            _ => false,
        }
    }

    /// Whether the user has exactly this address, upper and lower case alike.
    pub(super) fn has(&self, address: &str) -> bool {
        let same = |text: &String| text.trim().to_lowercase() == address.trim().to_lowercase();
        let addresses = self.emails.iter().flatten().filter_map(|email| email.value.as_ref());
        self.user_name.iter().chain(addresses).any(same)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub(super) id: String,
    #[serde(rename = "displayName")]
    pub(super) display_name: Option<String>,
    pub(super) members: Option<Vec<Member>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Member {
    value: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl Resource for Group {
    const ENDPOINT: Endpoint = Endpoint::Groups;
    fn id(&self) -> &str {
        &self.id
    }
}

impl Member {
    /// Whether it is this user, and not a group inside the group.
    pub(super) fn is_user(&self, id: &str) -> bool {
        let group = self.kind.as_ref().is_some_and(|kind| kind.eq_ignore_ascii_case("group"));
        !group && self.value.as_deref() == Some(id)
    }
}

/// One page of a list (RFC 7644 §3.4.2).
#[derive(Debug, Deserialize)]
pub(super) struct List<T> {
    #[serde(rename = "totalResults")]
    total: Option<u64>,
    #[serde(rename = "startIndex")]
    start: Option<u64>,
    #[serde(rename = "itemsPerPage")]
    per_page: Option<u64>,
    #[serde(rename = "nextCursor")]
    cursor: Option<String>,
    #[serde(rename = "Resources")]
    resources: Option<Vec<T>>,
}

/// One page, and where the next begins: at an index, unless said otherwise.
pub(super) struct Paged<T, N = u64> {
    pub(super) resources: Vec<T>,
    pub(super) next: Option<N>,
    /// Whether the page is empty although the server says that there is more.
    pub(super) short: bool,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// At this entry, from 1 (RFC 7644 §3.4.2.4).
    Index(u64),
    /// Where the server's own word for it says (RFC 9865 §2); an empty one asks for the first page.
    Cursor(String),
}

/// The value of a comparison, which is a JSON string (RFC 7644 §3.4.2.2), so that no quote in it ends it.
pub(super) fn literal(text: &str) -> String {
    Value::from(text).to_string()
}

/// A change of one member of a group.
///
/// These three are all that the adapter ever writes, and each concerns one member. A removal of `members` without a
/// filter and without a value takes everybody out (RFC 7644 §3.5.2.2), and a replacement of the list undoes what others did
/// meanwhile; neither can be written with this type. `RemoveListed` is that first path with a value beside
/// it, which only some servers look at: see where it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Add,
    Remove,
    RemoveListed,
}

/// The body of a PATCH; only a [`Change`] makes one.
pub(super) struct Patch(Value);

impl std::fmt::Display for Patch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Change {
    pub(super) fn of(self, account: &str) -> Patch {
        let listed = json!([{ "value": account }]);
        let operation = match self {
            Self::Add => json!({ "op": "add", "path": "members", "value": listed }),
            Self::Remove => json!({ "op": "remove", "path": format!("members[value eq {}]", literal(account)) }),
            Self::RemoveListed => json!({ "op": "remove", "path": "members", "value": listed }),
        };
        Patch(json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation] }))
    }
}

impl Call<'_> {
    /// A page of a list, from the first entry (1) on.
    pub(super) async fn page<T: Resource>(&self, from: u64, more: &[(&str, &str)]) -> Result<Paged<T>, Fault> {
        let (start, count) = (from.to_string(), COUNT.to_string());
        let mut query = vec![("startIndex", start.as_str()), ("count", count.as_str())];
        query.extend_from_slice(more);
        let list: List<T> = self.list(&query).await?;
        let resources = list.resources.unwrap_or_default();
        let len = u64::try_from(resources.len()).unwrap_or(u64::MAX);
        let next = from.saturating_add(len);
        if from > 1 && len > 0 && list.start.is_some_and(|start| start <= 1) {
            let name = T::ENDPOINT.name();
            let wrong = format!(
                "GET {name}: asked for the page from {from} the server gave an earlier one again; without pages only the first can be read"
            );
            return Err(Fault::Failed(TargetError::Permanent(wrong)));
        }
        let more = list.total.is_none_or(|total| total >= next);
        let short = len == 0 && list.total.is_some_and(|total| total >= from);
        Ok(Paged { resources, next: (more && len > 0).then_some(next), short })
    }

    /// A page of a list that may be too long for pages by index, from a cursor on.
    ///
    /// Who knows no cursors ignores an empty one (RFC 7644 §3.4.2) or refuses it: then pages go by index. AWS IAM Identity
    /// Center has nothing else behind its first 100 entries (its SCIM developer guide: ListGroups), and does not say so
    /// in its `ServiceProviderConfig`; so the first page is asked for with an empty one everywhere.
    pub(super) async fn page_at<T: Resource>(
        &self,
        cursor: &str,
        more: &[(&str, &str)],
    ) -> Result<Paged<T, Next>, Fault> {
        let count = COUNT.to_string();
        let mut query = vec![("cursor", cursor), ("count", count.as_str())];
        query.extend_from_slice(more);
        let list: List<T> = match self.list(&query).await {
            Err(Fault::Refused(refusal)) if cursor.is_empty() && refusal.is_unsupported() => {
                let Paged { resources, next, short } = self.page(1, more).await?;
                return Ok(Paged { resources, next: next.map(Next::Index), short });
            }
            list => list?,
        };
        let resources = list.resources.unwrap_or_default();
        let next = resources.len() as u64 + 1;
        // Pages by index tell the total. A page that tells only its own length is the last of those by cursor.
        let indexed =
            cursor.is_empty() && list.total.map_or(list.per_page.is_none(), |total| total >= next) && next > 1;
        let next = match list.cursor.filter(|next| !next.is_empty()) {
            Some(next) if next == cursor => {
                let stuck =
                    format!("GET {}: the server says that the next page is the same one again", T::ENDPOINT.name());
                return Err(Fault::Failed(TargetError::Permanent(stuck)));
            }
            Some(next) => Some(Next::Cursor(next)),
            None => indexed.then_some(Next::Index(next)),
        };
        Ok(Paged { resources, next, short: false })
    }

    /// A list as the server gives it. A document that is no list is not an empty one.
    pub(super) async fn list<T: Resource>(&self, query: &[(&str, &str)]) -> Result<List<T>, Fault> {
        let name = T::ENDPOINT.name();
        let list: List<T> = self.get(&[name], query).await?;
        if list.total.is_none() && list.resources.is_none() {
            let detail = format!("GET {name}: the answer is not a list; check base_url if it stays so");
            return Err(Fault::Failed(TargetError::Transient { after: None, detail }));
        }
        Ok(list)
    }

    /// A resource by its ID; `None` where it does not exist. That is believed only if the collection itself can be read:
    /// behind a wrong base URL everything is 404, and nothing would be proven by it.
    pub(super) async fn by_id<T: Resource>(&self, id: &str, query: &[(&str, &str)]) -> Result<Option<T>, TargetError> {
        let name = T::ENDPOINT.name();
        match self.get::<T>(&[name, id], query).await {
            Ok(found) if found.id() == id => Ok(Some(found)),
            Ok(_) => {
                let detail = format!("GET {name}/{id}: the server answered with another resource");
                Err(TargetError::Transient { after: None, detail })
            }
            Err(Fault::Refused(refusal)) if refusal.status.as_u16() == 404 => {
                self.list::<T>(&[("startIndex", "1"), ("count", "1")]).await?;
                Ok(None)
            }
            Err(fault) => Err(fault.into()),
        }
    }
}

impl<T> List<T> {
    pub(super) fn into_resources(self) -> Vec<T> {
        self.resources.unwrap_or_default()
    }
}
