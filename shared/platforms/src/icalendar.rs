//! Calendars as rotas: an `.ics` file or feed (RFC 5545) is one rotation, in which each event is a shift of the people it
//! names.
//!
//! [`shifts`] and [`users`] are pure; the adapter only reads bytes. What calendar programs agree on is followed, what RFC
//! 5545 leaves undefined is a fault, and one fault makes the whole view useless ([`CalendarFault`] says where and what):
//! nothing is guessed, and nothing is left out in silence. How instants come about:
//!
//! - A recurring event is expanded on the wall clock of its DTSTART and then looked up in the zone, so that its starts and
//!   ends stay at their time of day. With DTEND each instance ends at DTEND's wall-clock time in its zone (a DTEND in UTC
//!   counts in DTSTART's zone), so a weekly rota has neither gap nor overlap at a DST change. With DURATION days are days
//!   of the calendar and hours are exact (RFC 5545 §3.3.6).
//! - A start that the clock skips moves on by what is skipped; of a time that comes twice the first is meant.
//! - Zones are those of the tz database, else Windows' names, else the file's own VTIMEZONE.
//! - One series for each UID; the highest SEQUENCE of each (UID, RECURRENCE-ID) wins, and two versions with the same one
//!   that differ are a fault; cancelled means none. A changed instance without its series stands by itself.
//! - A rule that does not name its own DTSTART, or whose UNTIL is a date where DTSTART is a time, is a fault: RFC 5545 leaves
//!   it undefined, and calendar programs differ.
//! - TRANSP and PARTSTAT are not read: whom the rota names is on call.

mod calendar;
mod document;
mod event;
mod fault;
mod feed;
mod rule;
mod value;
mod vtimezone;
mod windows;
mod zone;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use dutykey_engine::ports::clock::Listener;
use dutykey_engine::ports::platform::{Platform, PlatformError};
use dutykey_policy::id::{RotationId, SourceId};
use dutykey_policy::rota::{PlatformUser, Rotation, Shift, Team};
use dutykey_policy::time::Span;

use calendar::Calendar;
pub use calendar::{Settings, shifts, users};
pub use fault::{CalendarFault, Problem};
use feed::Feed;
pub use feed::Location;

/// A calendar as an on-call platform with one rotation.
#[derive(Debug)]
pub struct ICalendar {
    rotation: Rotation,
    feed: Feed,
    settings: Settings,
    requests: AtomicU64,
}

impl ICalendar {
    /// A calendar at a location; `rotation` is the part of its ID that follows the source.
    ///
    /// # Errors
    /// [`PlatformError::Misconfigured`] where the zone is unknown or the address is neither `https` nor `webcal`.
    pub fn new(
        source: SourceId,
        rotation: String,
        location: Location,
        settings: Settings,
    ) -> Result<Self, PlatformError> {
        if let Some(name) = &settings.time_zone
            && zone::Zone::known(name).is_none()
        {
            return Err(CalendarFault::from(Problem::Setting(fault::excerpt(name))).into());
        }
        let time_zone = settings.time_zone.clone();
        let id = RotationId { source, key: rotation.clone(), level: None };
        Ok(Self {
            rotation: Rotation { id, name: rotation, time_zone },
            feed: Feed::new(location)?,
            settings,
            requests: AtomicU64::new(0),
        })
    }

    /// The same, whose answers say to the listener what time it is there.
    #[must_use]
    pub fn heard_by(self, listener: Listener) -> Self {
        Self { feed: self.feed.heard_by(listener), ..self }
    }

    /// Reads the calendar and asks it something, off the threads that wait for I/O: a large one takes a while.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Calendar) -> Result<T, CalendarFault> + Send + 'static,
    ) -> Result<T, PlatformError> {
        if self.feed.is_remote() {
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
        let text = self.feed.read().await?;
        let settings = self.settings.clone();
        let answer = tokio::task::spawn_blocking(move || question(&Calendar::read(&text, &settings)?)).await;
        Ok(answer.map_err(|_| PlatformError::Unavailable("the reading of the calendar was stopped".to_owned()))??)
    }
}

impl From<CalendarFault> for PlatformError {
    fn from(fault: CalendarFault) -> Self {
        match fault.problem {
            Problem::Setting(_) => Self::Misconfigured(fault.to_string()),
            _ => Self::Faulty(fault.to_string()),
        }
    }
}

#[async_trait]
impl Platform for ICalendar {
    fn take_requests(&self) -> u64 {
        self.requests.swap(0, Ordering::Relaxed)
    }

    async fn check(&self) -> Result<String, PlatformError> {
        self.ask(|calendar| {
            let name = calendar.name.as_deref().unwrap_or("without a name");
            Ok(format!("calendar {name}, users: {}", calendar.users().len()))
        })
        .await
    }

    async fn users(&self) -> Result<Vec<PlatformUser>, PlatformError> {
        self.ask(|calendar| Ok(calendar.users())).await
    }

    async fn teams(&self) -> Result<Vec<Team>, PlatformError> {
        Ok(Vec::new())
    }

    async fn rotations(&self) -> Result<Vec<Rotation>, PlatformError> {
        Ok(vec![self.rotation.clone()])
    }

    async fn shifts(&self, rotation: &RotationId, window: Span) -> Result<Vec<Shift>, PlatformError> {
        if *rotation != self.rotation.id {
            return Err(PlatformError::NotFound(format!("{rotation}; this calendar is {}", self.rotation.id)));
        }
        self.ask(move |calendar| calendar.shifts(window)).await
    }
}
