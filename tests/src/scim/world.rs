//! What the fake SCIM server holds, and how it answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::filter::{self, Equals};
use super::{Reply, Request, TOKEN};

/// As which kind of server it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// As RFC 7644 says. A removal of `members` without a filter removes everybody, whatever else it says.
    Rfc,
    /// As AWS IAM Identity Center does: members are listed as empty, told by the filter `id eq … and members eq …` only
    /// and removed by a list of values only. Its lists go by cursor where a request has one, and are otherwise cut after
    /// the first page (its SCIM developer guide: GetGroup, ListGroups, PatchGroup). Whether such a list says how much is
    /// missing is not documented; here it does not.
    Aws,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What they sign in with.
    pub user_name: String,
    /// Their addresses, of type `work`.
    pub emails: Vec<String>,
    /// Whether they are in use; a soft-deleted user is not.
    pub active: bool,
}

/// What a member of a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A user.
    User,
    /// A group inside the group.
    Group,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its direct members by ID.
    pub members: BTreeMap<String, Kind>,
}

/// How often a user came into a group and went out of it by requests; what changed nothing is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effect {
    /// Times added.
    pub adds: u32,
    /// Times removed.
    pub removes: u32,
}

/// All that the server knows, and how it behaves. A test may change any of it at any time; what it changes itself is
/// not counted as an effect.
#[derive(Debug, Clone)]
pub struct World {
    /// The users by ID.
    pub users: BTreeMap<String, User>,
    /// The groups by ID.
    pub groups: BTreeMap<String, Group>,
    /// The token that it takes.
    pub token: String,
    /// As which kind of server it behaves.
    pub dialect: Dialect,
    /// What `/ServiceProviderConfig` says of PATCH.
    pub patch_supported: bool,
    /// Whether it answers every filter with everything.
    pub ignore_filters: bool,
    /// Whether it evaluates only the first comparison of a filter.
    pub first_comparison_only: bool,
    /// Paths of filters that it refuses with `invalidFilter`, in lower case.
    pub refused_filters: Vec<String>,
    /// Whether it refuses `members[…]` in a PATCH although it lists members.
    pub refuse_selections: bool,
    /// Whether removing somebody who is no member is refused with `noTarget`.
    pub no_target: bool,
    /// Whether a group without members is shown without the attribute, as RFC 7643 §2.5 allows.
    pub omit_empty_members: bool,
    /// The most entries on a page.
    pub page_limit: usize,
    /// Whether it answers each page with the first.
    pub ignore_start_index: bool,
    /// Whether its lists go by cursor where a request has one (RFC 9865), as they always do with AWS.
    pub cursors: bool,
    /// Whether it refuses parameters that it does not know.
    pub strict_parameters: bool,
    /// What it says of the number of results, where that is not the truth.
    pub total_results: Option<u64>,
    /// What its answers say of the time, where that is not the truth (a `Date` as RFC 9110 §5.6.7 has it).
    pub date: Option<String>,
    pub(super) effects: BTreeMap<(String, String), Effect>,
}

impl World {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            token: TOKEN.to_owned(),
            dialect,
            patch_supported: true,
            ignore_filters: false,
            first_comparison_only: false,
            refused_filters: Vec::new(),
            refuse_selections: false,
            no_target: false,
            omit_empty_members: true,
            page_limit: 100,
            ignore_start_index: false,
            cursors: false,
            strict_parameters: false,
            total_results: None,
            date: None,
            effects: BTreeMap::new(),
        }
    }

    /// Adds an active user whose user name and only address this is.
    pub fn add_user(&mut self, id: &str, address: &str) {
        let user = User { user_name: address.to_owned(), emails: vec![address.to_owned()], active: true };
        self.users.insert(id.to_owned(), user);
    }

    /// Adds a group with these users in it.
    pub fn add_group(&mut self, id: &str, name: &str, members: &[&str]) {
        let members = members.iter().map(|id| ((*id).to_owned(), Kind::User)).collect();
        self.groups.insert(id.to_owned(), Group { name: name.to_owned(), members });
    }

    /// Puts a user into a group by another's hand.
    pub fn join(&mut self, group: &str, user: &str) {
        if let Some(group) = self.groups.get_mut(group) {
            group.members.insert(user.to_owned(), Kind::User);
        }
    }

    /// Takes a user out of a group by another's hand.
    pub fn leave(&mut self, group: &str, user: &str) {
        if let Some(group) = self.groups.get_mut(group) {
            group.members.remove(user);
        }
    }

    /// Whether somebody is a direct member of a group.
    #[must_use]
    pub fn is_member(&self, group: &str, user: &str) -> bool {
        self.groups.get(group).is_some_and(|group| group.members.contains_key(user))
    }

    pub(super) fn answer(&mut self, request: &Request) -> Reply {
        if request.bearer.as_ref() != Some(&self.token) {
            return Reply::error(401, "", "Authorization failure. The authorization header is invalid or missing.");
        }
        match (request.method.as_str(), request.endpoint.as_str(), &request.id) {
            ("GET", "ServiceProviderConfig", None) => Reply::json(
                200,
                &json!({
                    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
                    "patch": { "supported": self.patch_supported },
                    "filter": { "supported": true, "maxResults": self.page_limit },
                }),
            ),
            ("GET", "Users", None) => self.list(request, self.users.keys().cloned().collect()),
            ("GET", "Groups", None) => self.list(request, self.groups.keys().cloned().collect()),
            ("GET", "Users", Some(id)) if self.users.contains_key(id) => Reply::json(200, &self.user(id)),
            ("GET", "Groups", Some(id)) if self.groups.contains_key(id) => {
                Reply::json(200, &self.group(id, request.query("excludedAttributes") != Some("members")))
            }
            ("PATCH", "Groups", Some(id)) => self.patch(id, request.body.as_ref().unwrap_or(&Value::Null)),
            ("GET", "Users" | "Groups", Some(id)) => Reply::error(404, "", &format!("Resource {id} not found")),
            ("GET", ..) => Reply::error(404, "", "No such endpoint"),
            _ => Reply::error(405, "", "Not allowed"),
        }
    }

    fn user(&self, id: &str) -> Value {
        let user = self.users.get(id);
        let emails: Vec<_> = user.iter().flat_map(|user| &user.emails).collect();
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": id,
            "userName": user.map(|user| &user.user_name),
            "emails": emails.iter().map(|value| json!({ "value": value, "type": "work" })).collect::<Vec<_>>(),
            "active": user.map(|user| user.active),
        })
    }

    fn group(&self, id: &str, with_members: bool) -> Value {
        let group = self.groups.get(id);
        let mut shown = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "id": id,
            "displayName": group.map(|group| &group.name),
        });
        let members: Vec<_> = match self.dialect {
            Dialect::Aws => Vec::new(),
            Dialect::Rfc => group.iter().flat_map(|group| &group.members).map(member).collect(),
        };
        let omitted = members.is_empty() && self.omit_empty_members && self.dialect == Dialect::Rfc;
        if with_members && !omitted {
            add(&mut shown, "members", Value::Array(members));
        }
        shown
    }

    fn list(&self, request: &Request, ids: Vec<String>) -> Reply {
        let users = request.endpoint == "Users";
        let filters = match request.query("filter").map(filter::parse) {
            None => Vec::new(),
            Some(Some(filters)) => filters,
            Some(None) => return invalid_filter(),
        };
        if filters.iter().any(|filter| !self.knows(filter, users)) {
            return invalid_filter();
        }
        let unknown = |f: &Equals| f.path == "members" && !self.users.contains_key(&f.value);
        if self.dialect == Dialect::Aws && filters.iter().any(unknown) {
            return Reply::error(404, "", "MEMBER not found");
        }
        let considered = match (self.ignore_filters, self.first_comparison_only) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => filters.len(),
        };
        let found: Vec<_> = ids
            .iter()
            .filter(|id| filters.iter().take(considered).all(|filter| self.matches(id, filter, users)))
            .collect();
        let aws = self.dialect == Dialect::Aws;
        let cursor = match request.query("cursor") {
            Some(_) if self.strict_parameters => return Reply::error(400, "invalidSyntax", "what is `cursor`?"),
            Some("") if self.cursors || aws => Some(1),
            Some(cursor) if self.cursors || aws => match cursor.strip_prefix("+/from:").map(str::parse::<usize>) {
                Some(Ok(from)) => Some(from),
                _ => return Reply::error(400, "invalidCursor", "the cursor is not one of ours"),
            },
            _ => None,
        };
        let number = |name: &str| request.query(name).and_then(|text| text.parse::<usize>().ok());
        let start = if self.ignore_start_index || aws { 1 } else { number("startIndex").unwrap_or(1).max(1) };
        let start = cursor.unwrap_or(start);
        let count = number("count").unwrap_or(self.page_limit).min(self.page_limit);
        let with_members = request.query("excludedAttributes") != Some("members");
        let page: Vec<_> = found
            .iter()
            .skip(start - 1)
            .take(count)
            .map(|id| if users { self.user(id) } else { self.group(id, with_members) })
            .collect();
        let mut answer = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "itemsPerPage": page.len(),
            "Resources": page,
        });
        let (next, total) = (start + page.len(), if aws { page.len() } else { found.len() });
        if cursor.is_some() && next <= found.len() {
            add(&mut answer, "nextCursor", Value::from(format!("+/from:{next}")));
        }
        if cursor.is_none() {
            add(&mut answer, "totalResults", Value::from(self.total_results.unwrap_or(total as u64)));
            add(&mut answer, "startIndex", Value::from(start));
        }
        Reply::json(200, &answer)
    }

    fn knows(&self, filter: &Equals, users: bool) -> bool {
        let known: &[&str] = match (users, self.dialect) {
            (true, Dialect::Rfc) => &["id", "username", "emails.value", r#"emails[type eq "work"].value"#],
            (true, Dialect::Aws) => &["id", "username"],
            (false, Dialect::Rfc) => &["id", "displayname", "members", "members.value"],
            (false, Dialect::Aws) => &["id", "displayname", "members"],
        };
        known.contains(&filter.path.as_str()) && !self.refused_filters.contains(&filter.path)
    }

    fn matches(&self, id: &str, filter: &Equals, users: bool) -> bool {
        let same = |text: &String| text.eq_ignore_ascii_case(&filter.value);
        match (users, filter.path.as_str()) {
            (_, "id") => id == filter.value,
            (true, "username") => self.users.get(id).is_some_and(|user| same(&user.user_name)),
            (true, _) => self.users.get(id).is_some_and(|user| user.emails.iter().any(same)),
            (false, "displayname") => self.groups.get(id).is_some_and(|group| same(&group.name)),
            (false, _) => self.is_member(id, &filter.value),
        }
    }

    fn patch(&mut self, id: &str, body: &Value) -> Reply {
        let Some(group) = self.groups.get(id) else {
            return Reply::error(404, "", &format!("Resource {id} not found"));
        };
        let mut members = group.members.clone();
        let operations = body.get("Operations").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if operations.is_empty() {
            return Reply::error(400, "invalidSyntax", "a PATCH needs Operations");
        }
        for operation in operations {
            if let Err(refused) = self.operate(&mut members, operation) {
                return refused;
            }
        }
        self.count(id, &members);
        if let Some(group) = self.groups.get_mut(id) {
            group.members = members;
        }
        match self.dialect {
            Dialect::Rfc => Reply::json(200, &self.group(id, true)),
            Dialect::Aws => Reply::status(204),
        }
    }

    fn operate(&self, members: &mut BTreeMap<String, Kind>, operation: &Value) -> Result<(), Reply> {
        let text = |name: &str| operation.get(name).and_then(Value::as_str);
        let values = || -> Vec<String> {
            let listed = operation.get("value").and_then(Value::as_array).into_iter().flatten();
            listed.filter_map(|one| one.get("value")?.as_str().map(str::to_owned)).collect()
        };
        match (text("op"), text("path"), self.dialect) {
            (Some("add"), Some("members"), dialect) => {
                for id in values() {
                    let kind = match (self.users.contains_key(&id), self.groups.contains_key(&id), dialect) {
                        (true, ..) => Kind::User,
                        (_, true, _) => Kind::Group,
                        (.., Dialect::Rfc) => return Err(Reply::error(400, "invalidValue", "no such member")),
                        (.., Dialect::Aws) => return Err(Reply::error(404, "", "MEMBER not found")),
                    };
                    members.insert(id, kind);
                }
            }
            (Some("remove"), None, _) => return Err(Reply::error(400, "noTarget", "remove needs a path")),
            (Some("remove"), Some("members"), Dialect::Rfc) => members.clear(),
            (Some("remove"), Some("members"), Dialect::Aws) if !values().is_empty() => {
                members.retain(|id, _| !values().contains(id));
            }
            (Some("remove"), Some(path), Dialect::Rfc) if !self.refuse_selections => match filter::selected(path) {
                Some((attribute, id)) if attribute == "members" => {
                    if members.remove(&id).is_none() && self.no_target {
                        return Err(Reply::error(400, "noTarget", "the filter selects nothing"));
                    }
                }
                _ => return Err(Reply::error(400, "invalidPath", "no such path")),
            },
            _ => return Err(Reply::error(400, "", "unparsable, syntactically incorrect, or violates schema")),
        }
        Ok(())
    }

    fn count(&mut self, id: &str, after: &BTreeMap<String, Kind>) {
        let before = self.groups.get(id).map(|group| group.members.clone()).unwrap_or_default();
        for user in after.keys().filter(|user| !before.contains_key(*user)) {
            self.effects.entry((id.to_owned(), user.clone())).or_default().adds += 1;
        }
        for user in before.keys().filter(|user| !after.contains_key(*user)) {
            self.effects.entry((id.to_owned(), user.clone())).or_default().removes += 1;
        }
    }
}

/// Adds a field to a document.
pub(super) fn add(document: &mut Value, name: &str, value: Value) {
    if let Some(fields) = document.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

fn member((id, kind): (&String, &Kind)) -> Value {
    json!({ "value": id, "type": match kind { Kind::User => "User", Kind::Group => "Group" } })
}

fn invalid_filter() -> Reply {
    Reply::error(400, "invalidFilter", "The specified filter syntax was invalid")
}
