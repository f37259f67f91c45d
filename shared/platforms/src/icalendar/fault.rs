//! What can be wrong with a calendar. One fault makes the whole view unusable; none of them means that nobody is on call.

/// What is wrong with a calendar, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", place(*.line, uid.as_deref()))]
pub struct CalendarFault {
    /// The line of the text, from 1, where one can be named.
    pub line: Option<usize>,
    /// The UID of the event, shortened, where the fault lies in one.
    pub uid: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a calendar. Foreign text in it is shortened and escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// HTML, JSON, or anything else that is not RFC 5545.
    #[error("this is not a calendar, it begins with `{0}`; look at what the address or the file gives")]
    NotACalendar(String),
    /// The text ends before the component does.
    #[error("the text ends inside {0}: it was cut off")]
    CutOff(String),
    /// Neither a property nor the begin or end of a component.
    #[error("`{0}` is not a line of a calendar")]
    Line(String),
    /// Components that are not closed in the order in which they were opened.
    #[error("`{0}` stands in the wrong place")]
    Misplaced(String),
    /// Not a single event. Silence is not an empty rota.
    #[error("there is no event in it; an empty calendar is not taken for an empty rota")]
    Empty,
    /// There are events, and none of them names anybody.
    #[error("none of its events names anybody; look at `identify_by`")]
    NobodyNamed,
    /// Past a limit.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// A property that has to be there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A property that may be there once only.
    #[error("{0} is there more than once")]
    Repeated(&'static str),
    /// A property whose value cannot be read.
    #[error("{property} `{value}` cannot be read: {why}")]
    Value {
        /// The property.
        property: String,
        /// Its value.
        value: String,
        /// What it should be.
        why: &'static str,
    },
    /// A time zone that is neither in the tz database nor a name of Windows nor in the file itself.
    #[error("the time zone `{0}` is not known and the file does not define it")]
    UnknownZone(String),
    /// A date or floating time, and nothing says where it is meant.
    #[error("a date or time without a zone, and no zone for the calendar; set `time_zone`")]
    NoZone,
    /// The file's own definition of a zone is not understood.
    #[error("the file's own time zone `{zone}` is not understood: {why}")]
    OwnZone {
        /// The zone.
        zone: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A recurrence rule that is malformed, or that RFC 5545 leaves undefined.
    #[error("the rule `{rule}` is not understood: {why}")]
    Rule {
        /// The rule.
        rule: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something that calendars may hold and that is not read.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// Two versions of one event, and nothing says which is the newer.
    #[error("it is there twice with the same SEQUENCE and different contents")]
    Clash,
    /// A date beyond what can be computed.
    #[error("a time outside the years 1 to 9999, or after 2099 in a zone of the file's own")]
    OutOfRange,
    /// The configuration's `time_zone`.
    #[error("`time_zone: {0}` is not a time zone; use a name of the tz database such as Europe/Berlin")]
    Setting(String),
}

impl Problem {
    /// The fault, at a line.
    pub(super) fn at(self, line: usize) -> CalendarFault {
        CalendarFault { line: Some(line), uid: None, problem: self }
    }
}

impl From<Problem> for CalendarFault {
    fn from(problem: Problem) -> Self {
        Self { line: None, uid: None, problem }
    }
}

impl CalendarFault {
    /// The fault, in the event.
    pub(super) fn of(mut self, uid: &str) -> Self {
        self.uid = self.uid.or_else(|| Some(excerpt(uid)));
        self
    }

    /// The fault, at the line where none is named yet.
    pub(super) fn near(mut self, line: usize) -> Self {
        self.line = self.line.or(Some(line));
        self
    }
}

fn place(line: Option<usize>, uid: Option<&str>) -> String {
    match (line, uid) {
        (Some(line), Some(uid)) => format!("line {line}, UID {uid}: "),
        (Some(line), None) => format!("line {line}: "),
        (None, Some(uid)) => format!("UID {uid}: "),
        (None, None) => String::new(),
    }
}

/// Foreign text for a message: control characters as escapes, and then at most 80 characters.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().flat_map(char::escape_debug).take(80).collect()
}
