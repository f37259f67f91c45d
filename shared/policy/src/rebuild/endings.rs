//! What was given back, cancelled or cut, and must not come to life again in a table that knows nothing of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{Illegible, Record};
use crate::enrollment::{Enrollment, Origin, Period};
use crate::request::{Access, How, Request, Stage};
use crate::rota::End;

/// What the records say of something that was asked for, or taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Until when its access lasts; `None` where it gives none.
    pub until: Option<Timestamp>,
    /// How the request ended; `None` where it goes on, and for what was taken.
    pub how: Option<How>,
    /// When that was recorded.
    pub at: Timestamp,
}

/// The last that the records after this one say of when a request, or an emergency, ends. Time that was added in them is
/// said as well, and gives nothing back: an ending only ever cuts.
///
/// # Errors
/// A record of a request or an emergency cannot be read.
pub fn endings<'a>(
    after: u64,
    lines: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<Origin, Ending>, Illegible> {
    let mut endings = BTreeMap::new();
    for (seq, line) in (1..).zip(lines).filter(|(seq, _)| *seq > after) {
        let illegible = |error: serde_json::Error| Illegible { seq, problem: error.to_string() };
        let Record { at, act, subject, after, .. } = serde_json::from_str(line).map_err(illegible)?;
        let said = |name: &str| subject.get(name).and_then(Value::as_str).map(str::to_owned);
        let (origin, how) = match act.as_str() {
            "break_glass.given_back" | "break_glass.cut" => (said("emergency").map(Origin::BreakGlass), None),
            "request.approved" | "request.cut" => (said("request").map(Origin::Request), None),
            other => match other.strip_prefix("request.").and_then(over) {
                Some(how) => (said("request").map(Origin::Request), Some(how)),
                None => continue,
            },
        };
        let Some(origin) = origin else { continue };
        // Its beginning and its end, or the ends of all that was cut.
        let until = after.as_array().and_then(|times| times.last()).filter(|until| !until.is_null()).cloned();
        let until: Option<Timestamp> = until.map(serde_json::from_value).transpose().map_err(illegible)?;
        endings.insert(origin, Ending { until, how, at });
    }
    Ok(endings)
}

/// How a request is over, by the word in the evidence.
fn over(act: &str) -> Option<How> {
    serde_json::from_value(Value::from(act)).ok()
}

impl Ending {
    fn cut(&self, access: Access) -> Access {
        let until = self.until.unwrap_or(access.from).max(access.from);
        if until < access.until { Access { until, until_known: self.at, ..access } } else { access }
    }

    /// The request as this leaves it; `None` where it says nothing new.
    #[must_use]
    pub fn of_request(&self, request: &Request) -> Option<Request> {
        let (stage, past) = match (&request.stage, self.how) {
            (Stage::Over { .. }, _) | (Stage::Asked(_), None) => return None,
            (Stage::Asked(_) | Stage::Approved { .. }, Some(how)) => {
                let access = request.access().map(|access| self.cut(access));
                (Stage::Over { how, at: self.at, access }, request.asks().cloned().collect())
            }
            (Stage::Approved { access, longer }, None) => {
                (Stage::Approved { access: self.cut(*access), longer: longer.clone() }, request.past.clone())
            }
        };
        let next = Request { stage, past, ..request.clone() };
        (next != *request).then_some(next)
    }

    /// The enrollment as this leaves it; `None` where it says nothing new.
    #[must_use]
    pub fn of_enrollment(&self, enrollment: &Enrollment) -> Option<Enrollment> {
        let end = self.until.unwrap_or(Timestamp::MIN);
        let cut = |period: &Period| {
            let shorter = end < period.until.or_max();
            if shorter { Period { until: End::At(end), until_known: self.at, ..*period } } else { *period }
        };
        let periods: Vec<Period> = enrollment.periods.iter().filter(|period| period.from < end).map(cut).collect();
        (periods != enrollment.periods).then(|| Enrollment { periods, ..enrollment.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emergency::Emergency;
    use crate::evidence::{Chain, ChainHead, Draft, append};
    use crate::request::{Ask, of_request};
    use crate::testing::{id, minute, person};

    fn access(until: i64) -> Access {
        Access { from: minute(0), until: minute(until), until_known: minute(0) }
    }

    fn request(stage: Stage) -> Request {
        let (asked, profile, rotation) = (id("req_01JD0000000000000000000000"), id("on-call"), id("rota:primary"));
        Request { id: asked, person: person(1), profile, version: 1, rotation, stage, past: Vec::new() }
    }

    fn said_after(seq: u64, drafts: &[Draft]) -> BTreeMap<Origin, Ending> {
        let records = append(&Chain::Person(person(1)), &ChainHead::default(), minute(100), drafts).unwrap();
        endings(seq, records.iter().map(|record| record.line.as_str())).unwrap()
    }

    fn said(drafts: &[Draft]) -> BTreeMap<Origin, Ending> {
        said_after(0, drafts)
    }

    #[test]
    fn r18_what_was_given_back_or_cut_since_the_backup_does_not_come_to_life_again() {
        let approved = request(Stage::Approved { access: access(120), longer: None });
        let ended = |how| request(Stage::Over { how, at: minute(60), access: Some(access(60)) });
        let cut = request(Stage::Approved { access: access(90), longer: None });
        let longer = request(Stage::Approved { access: access(240), longer: None });
        let after = |now: &Request| said(&of_request(Some(&approved), now, "test")).into_values().next().unwrap();
        let periods = |now: &Request| now.enrollment().periods.into_iter().map(|it| it.until).collect::<Vec<_>>();
        for (how, now) in [How::GivenBack, How::Ended].map(|how| (how, ended(how))) {
            let ending = after(&now);
            assert_eq!((ending.until, ending.how), (Some(minute(60)), Some(how)), "the word is that of the record");
            let left = ending.of_request(&approved).unwrap();
            assert!(left.is_over() && left.access().map(|access| access.until) == Some(minute(60)), "{left:?}");
            let clipped = ending.of_enrollment(&approved.enrollment()).unwrap();
            let Period { until, until_known, .. } = clipped.periods[0];
            assert_eq!((until, until_known), (End::At(minute(60)), minute(100)), "known since it was recorded");
        }
        let left = after(&cut).of_request(&approved).unwrap();
        assert_eq!((left.is_over(), periods(&left)), (false, vec![End::At(minute(90))]));
        assert_eq!(left.access().map(|access| access.until_known), Some(minute(100)), "known since it was recorded");
        assert_eq!(after(&longer).of_request(&approved), None, "time that was added is not in the table any more");
        assert_eq!(after(&longer).of_enrollment(&approved.enrollment()), None);
    }

    #[test]
    fn r18_a_request_that_was_decided_since_the_backup_waits_no_more_and_its_ask_stays_known() {
        let (at, expires, wanted) = (minute(0), minute(60), std::time::Duration::from_secs(3_600));
        let ask = Ask { at, expires, wanted, justification: None, incident: None, decisions: Vec::new() };
        let asked = request(Stage::Asked(ask.clone()));
        let stage = Stage::Over { how: How::Denied, at: minute(30), access: None };
        let denied = Request { stage, past: vec![ask.clone()], ..asked.clone() };
        let record = of_request(Some(&asked), &denied, "test");
        let left = said(&record)[&asked.enrollment().origin].of_request(&asked).unwrap();
        assert_eq!(left.stage, Stage::Over { how: How::Denied, at: minute(100), access: None });
        assert_eq!(left.past, [ask]);
        assert_eq!(said_after(1, &record), BTreeMap::new(), "the backup has what was recorded before it");
    }

    #[test]
    fn r18_an_end_that_the_table_knows_is_no_news_and_one_at_the_beginning_leaves_nothing() {
        let approved = request(Stage::Approved { access: access(120), longer: None });
        let until = |until| Ending { until: Some(minute(until)), how: None, at: minute(100) };
        assert_eq!(until(120).of_request(&approved), None);
        assert_eq!(until(120).of_enrollment(&approved.enrollment()), None);
        let left = until(0).of_enrollment(&approved.enrollment()).unwrap();
        assert!(left.periods.is_empty(), "P1: {left:?}");
    }

    #[test]
    fn r18_an_emergency_that_was_given_back_since_the_backup_is_over() {
        let taken = Emergency {
            id: id("emg_01JD0000000000000000000000"),
            person: person(1),
            profile: id("on-call"),
            version: 1,
            access: access(120),
            justification: "digest".to_owned(),
            incident: None,
            review: None,
        };
        let back = taken.given_back(minute(60)).unwrap();
        let said = said(&[taken.record(None, "test"), back.record(Some(&taken), "test")]);
        let clipped = said[&taken.enrollment().origin].of_enrollment(&taken.enrollment()).unwrap();
        assert_eq!(clipped.periods[0].until, End::At(minute(60)));
        assert_eq!(said[&taken.enrollment().origin].of_enrollment(&clipped), None, "and a second run changes nothing");
    }
}
