//! The text as a tree of components (RFC 5545 §3.1, §3.4): unfolded, each line with its number, each line accounted for.

use ::icalendar::parser;

use super::fault::{CalendarFault, Problem, excerpt};

/// The largest text that is read, in bytes.
pub(super) const MAX_BYTES: usize = 5 * 1024 * 1024;
/// The most events in one text.
const MAX_EVENTS: usize = 10_000;
/// No calendar nests deeper: VCALENDAR, VEVENT, VALARM and what may come.
const MAX_DEPTH: usize = 8;

/// A content line.
#[derive(Debug)]
pub(super) struct Property {
    /// Its number in the text, from 1.
    pub(super) line: usize,
    /// In upper case.
    pub(super) name: String,
    /// Unescaped where RFC 5545 says that it is text.
    pub(super) value: String,
    params: Vec<(String, String)>,
}

impl Property {
    /// The value of a parameter; names are compared without case.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The fault that this value cannot be read.
    pub(super) fn unreadable(&self, why: &'static str) -> CalendarFault {
        Problem::Value { property: excerpt(&self.name), value: excerpt(&self.value), why }.at(self.line)
    }
}

/// What stands between a BEGIN and its END.
#[derive(Debug)]
pub(super) struct Component {
    /// In upper case.
    pub(super) name: String,
    /// Where it begins.
    pub(super) line: usize,
    properties: Vec<Property>,
    children: Vec<Component>,
}

impl Component {
    /// Every property of the name.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Property> {
        self.properties.iter().filter(move |property| property.name == name)
    }

    /// The property of the name, which may be there once only.
    pub(super) fn one(&self, name: &'static str) -> Result<Option<&Property>, CalendarFault> {
        let mut all = self.all(name);
        match (all.next(), all.next()) {
            (_, Some(second)) => Err(Problem::Repeated(name).at(second.line)),
            (first, None) => Ok(first),
        }
    }

    /// The property of the name, which has to be there.
    pub(super) fn needed(&self, name: &'static str) -> Result<&Property, CalendarFault> {
        self.one(name)?.ok_or_else(|| Problem::Missing(name).at(self.line))
    }

    /// Every component directly inside, of the name.
    pub(super) fn inside<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Component> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// The text of a calendar; `None` where it is not UTF-8. A line may be folded inside a character (RFC 5545 §3.1), so
/// bytes that are no text as they stand are unfolded first.
pub(super) fn decode(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).or_else(|error| String::from_utf8(unfold_bytes(error.as_bytes()))).ok()
}

/// Reads a text that holds exactly one VCALENDAR and returns it.
pub(super) fn read(text: &str) -> Result<Component, CalendarFault> {
    if text.len() > MAX_BYTES {
        return Err(Problem::TooMany { what: "bytes", limit: MAX_BYTES }.into());
    }
    let text = text.trim_start_matches('\u{feff}');
    let mut open: Vec<Component> = Vec::new();
    let mut calendar: Option<Component> = None;
    let mut events = 0_usize;
    for (line, content) in unfold(text) {
        let keyword = |word: &str| {
            let (head, name) = content.split_once(':')?;
            head.trim().eq_ignore_ascii_case(word).then(|| name.trim().to_ascii_uppercase())
        };
        let misplaced = || Problem::Misplaced(excerpt(&content)).at(line);
        if let Some(name) = keyword("BEGIN") {
            if open.is_empty() && (name != "VCALENDAR" || calendar.is_some()) || open.len() >= MAX_DEPTH {
                return Err(misplaced());
            }
            events += usize::from(name == "VEVENT");
            if events > MAX_EVENTS {
                return Err(Problem::TooMany { what: "events", limit: MAX_EVENTS }.at(line));
            }
            open.push(Component { name, line, properties: Vec::new(), children: Vec::new() });
        } else if let Some(name) = keyword("END") {
            let closed = open.pop().filter(|component| component.name == name).ok_or_else(misplaced)?;
            match open.last_mut() {
                Some(parent) => parent.children.push(closed),
                None => calendar = Some(closed),
            }
        } else if !open.is_empty() {
            let property = property(line, &content);
            let property = property.ok_or_else(|| named(Problem::Line(excerpt(&content)).at(line), &open))?;
            if let Some(component) = open.last_mut() {
                component.properties.push(property);
            }
        } else if calendar.is_some() {
            return Err(misplaced());
        } else {
            return Err(Problem::NotACalendar(excerpt(&content)).at(line));
        }
    }
    if let Some(component) = open.last() {
        return Err(named(Problem::CutOff(excerpt(&component.name)).at(component.line), &open));
    }
    calendar.ok_or_else(|| Problem::NotACalendar(String::new()).into())
}

/// The fault with the UID of the innermost open component that has said one.
fn named(fault: CalendarFault, open: &[Component]) -> CalendarFault {
    match open.iter().rev().find_map(|component| component.all("UID").next()) {
        Some(uid) => fault.of(&uid.value),
        None => fault,
    }
}

/// One line for each logical line, with the number of its first physical line. Empty lines are left out.
fn unfold(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some((_, last))) => last.push_str(rest),
            _ if line.trim().is_empty() => {}
            _ => lines.push((index + 1, line.to_owned())),
        }
    }
    lines
}

/// The same without folds. The line breaks of a fold move behind its line, so that the next one keeps its number.
fn unfold_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut unfolded = Vec::with_capacity(bytes.len());
    let mut breaks = 0;
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let [b' ' | b'\t', rest @ ..] = line {
            unfolded.extend_from_slice(rest);
        } else if !line.is_empty() {
            unfolded.resize(unfolded.len() + breaks, b'\n');
            unfolded.extend_from_slice(line);
            breaks = 0;
        }
        breaks += 1;
    }
    unfolded
}

/// A content line; `None` where it is none. The parser takes a malformed line for a name without a value and drops the
/// rest, so a line without a value has to end in its colon.
fn property(line: usize, content: &str) -> Option<Property> {
    let parsed = parser::Property::try_from(content).ok()?;
    let name = parsed.name.as_str().to_ascii_uppercase();
    let value = parsed.val.as_str().to_owned();
    if name.is_empty() || value.is_empty() && !content.ends_with(':') {
        return None;
    }
    let param = |param: &parser::Parameter<'_>| {
        (param.key.as_str().to_owned(), param.val.as_ref().map_or_else(String::new, |value| value.as_str().to_owned()))
    };
    Some(Property { line, name, value, params: parsed.params.iter().map(param).collect() })
}
