//! Logs: JSON lines for CloudWatch, lines for people at a terminal. They are never the answer of a command, which goes to
//! standard output alone.

use std::io::IsTerminal as _;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The log cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The wanted levels cannot be read.
    #[error("DUTYKEY_LOG is not a level (error, warn, info, debug, trace) or a list of target=level: {0}")]
    Filter(String),
    /// Somebody has begun one already.
    #[error("the log had already begun")]
    Begun,
}

/// What a line of the log looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, with `timestamp`, `level`, `message` and the event's own fields side by side: the keys by
    /// which Lambda's log levels and CloudWatch Logs Insights find their way.
    Json,
    /// Text, with colours or without.
    Lines {
        /// Whether a terminal will show them.
        colours: bool,
    },
}

/// How to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// What a line looks like.
    pub format: Format,
    /// What is logged: a level, or a list of target=level.
    pub filter: String,
}

impl Logging {
    /// As the environment of a function says: `DUTYKEY_LOG` (default `info`) and `AWS_LAMBDA_LOG_FORMAT`, which Lambda
    /// sets to `JSON` or `Text` (its developer guide, "Configuring JSON and plain text log formats").
    #[must_use]
    pub fn of_function(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let text = lookup("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("text"));
        let format = if text { Format::Lines { colours: false } } else { Format::Json };
        Self { format, filter: level(lookup, "info") }
    }

    /// As a person at a command line wants it: lines, coloured where standard error is a terminal and `NO_COLOR`
    /// (<https://no-color.org>) is not set; warnings only, unless `DUTYKEY_LOG` says otherwise.
    #[must_use]
    pub fn of_command(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let plain = lookup("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colours = !plain && std::io::stderr().is_terminal();
        Self { format: Format::Lines { colours }, filter: level(lookup, "warn") }
    }

    /// Begins the log of the whole process: on standard output for JSON, where Lambda reads it, else on standard error.
    ///
    /// # Errors
    /// The filter cannot be read, or a log has begun already.
    pub fn begin(&self) -> Result<(), TelemetryError> {
        let begun = match self.format {
            Format::Json => tracing::subscriber::set_global_default(self.subscriber(std::io::stdout)?),
            Format::Lines { .. } => tracing::subscriber::set_global_default(self.subscriber(std::io::stderr)?),
        };
        begun.map_err(|_| TelemetryError::Begun)
    }

    fn subscriber<W>(&self, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError>
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        let filter =
            EnvFilter::builder().parse(&self.filter).map_err(|error| TelemetryError::Filter(error.to_string()))?;
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
        Ok(match self.format {
            Format::Json => {
                Box::new(lines.json().flatten_event(true).with_current_span(true).with_span_list(false).finish())
            }
            Format::Lines { colours } => Box::new(lines.with_ansi(colours).finish()),
        })
    }
}

fn level(lookup: impl Fn(&str) -> Option<String>, default: &str) -> String {
    lookup("DUTYKEY_LOG").filter(|level| !level.trim().is_empty()).unwrap_or_else(|| default.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("the buffer").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(logging: &Logging) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = logging.subscriber(move || writer.clone()).expect("the filter can be read");
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(person = "per_1", lag_ms = 12, "granted\nat last");
            tracing::debug!("not asked for");
        });
        let bytes = buffer.0.lock().expect("the buffer").clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn a_function_logs_json_lines_with_the_fields_side_by_side() {
        let logging = Logging::of_function(|name| (name == "AWS_LAMBDA_LOG_FORMAT").then(|| "JSON".to_owned()));
        let text = logged(&logging);
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).expect("one JSON line");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!((&line["level"], &line["message"]), (&"INFO".into(), &"granted\nat last".into()));
        assert_eq!((&line["person"], &line["lag_ms"]), (&"per_1".into(), &12.into()));
        assert!(line["timestamp"].is_string(), "Lambda finds the time under `timestamp`");
    }

    #[test]
    fn lines_have_colours_only_on_a_terminal() {
        let logging = Logging::of_function(|name| (name == "AWS_LAMBDA_LOG_FORMAT").then(|| "Text".to_owned()));
        assert!(!logged(&logging).contains('\u{1b}'));
        let bright = Logging { format: Format::Lines { colours: true }, ..logging };
        assert!(logged(&bright).contains('\u{1b}'));
        let told_not_to = Logging::of_command(|name| (name == "NO_COLOR").then(|| "1".to_owned()));
        assert_eq!(told_not_to.format, Format::Lines { colours: false });
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_refused_by_its_name() {
        let logging = Logging { format: Format::Json, filter: "a=b=c".into() };
        let error = logging.subscriber(std::io::sink).err().expect("refused");
        assert!(error.to_string().starts_with("DUTYKEY_LOG"), "{error}");
    }
}
