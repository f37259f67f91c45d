//! What is recorded of a request.

use serde_json::{Value, json};

use super::{Ask, Decision, How, Request, Stage, Verdict};
use crate::evidence::Draft;
use crate::time::{format_duration, rfc3339};

/// What has become of a request, as evidence; none where nothing has. Texts are in it as their digests only.
#[must_use]
pub fn of_request(before: Option<&Request>, after: &Request, actor: &str) -> Vec<Draft> {
    let draft = |act: &str, before: Value, now: Value, why: Value| Draft {
        act: format!("request.{act}"),
        actor: actor.to_owned(),
        subject: json!({
            "person": after.person, "request": after.id, "profile": after.profile, "version": after.version,
            "rotation": after.rotation,
        }),
        before,
        after: now,
        why,
    };
    let mut drafts = Vec::new();
    let asks = before.map_or(0, |before| before.asks().count());
    for asked in after.asks().skip(asks) {
        let act = if before.is_none() { "asked" } else { "longer" };
        drafts.push(draft(act, Value::Null, of_ask(asked), json!({ "justification": asked.justification })));
    }
    let decided = |request: &Request| request.asks().map(|ask| ask.decisions.len()).sum();
    for decision in after.asks().flat_map(|ask| &ask.decisions).skip(before.map_or(0, decided)) {
        drafts.push(draft("decided", Value::Null, of_decision(decision), json!({ "comment": decision.comment })));
    }
    let access =
        |request: &Request| request.access().map(|access| json!([rfc3339(access.from), rfc3339(access.until)]));
    let (was, is) = (before.and_then(access), access(after));
    match (&after.stage, before.map(|before| &before.stage)) {
        (_, stage) if stage == Some(&after.stage) => {}
        (Stage::Over { how, .. }, _) => drafts.push(draft(ended(*how), json!(was), json!(is), Value::Null)),
        (Stage::Approved { .. }, _) if was != is => {
            let longer = after.access().map(|access| access.until) > before.and_then(Request::access).map(|a| a.until);
            drafts.push(draft(if longer { "approved" } else { "cut" }, json!(was), json!(is), Value::Null));
        }
        _ => {}
    }
    drafts
}

fn of_ask(ask: &Ask) -> Value {
    json!({ "wanted": format_duration(ask.wanted), "expires": rfc3339(ask.expires), "incident": ask.incident })
}

fn of_decision(decision: &Decision) -> Value {
    let verdict = match decision.verdict {
        Verdict::Approve => "approve",
        Verdict::Deny => "deny",
    };
    json!({ "by": decision.by, "groups": decision.groups, "verdict": verdict, "at": rfc3339(decision.at) })
}

fn ended(how: How) -> &'static str {
    match how {
        How::Denied => "denied",
        How::Cancelled => "cancelled",
        How::Expired => "expired",
        How::Ended => "ended",
        How::GivenBack => "given_back",
    }
}
