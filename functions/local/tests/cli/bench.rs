//! A directory of its own for each test, and the binary run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A weekly rota of Ann and Bob from Monday 9:00 to Monday 9:00 in Berlin, with one week that Cat takes for Bob.
pub(crate) const ROTA: &str = "BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//Example//Rota//EN\r
BEGIN:VEVENT\r
UID:ann@rota\r
DTSTAMP:20260101T000000Z\r
DTSTART;TZID=Europe/Berlin:20260316T090000\r
DTEND;TZID=Europe/Berlin:20260323T090000\r
RRULE:FREQ=WEEKLY;INTERVAL=2\r
SUMMARY:Ann\r
ATTENDEE:mailto:Ann@example.com\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:bob@rota\r
DTSTAMP:20260101T000000Z\r
DTSTART;TZID=Europe/Berlin:20260323T090000\r
DTEND;TZID=Europe/Berlin:20260330T090000\r
RRULE:FREQ=WEEKLY;INTERVAL=2\r
SUMMARY:Bob\r
ATTENDEE:mailto:bob@example.com\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:bob@rota\r
RECURRENCE-ID;TZID=Europe/Berlin:20260406T090000\r
DTSTAMP:20260101T000000Z\r
DTSTART;TZID=Europe/Berlin:20260407T090000\r
DTEND;TZID=Europe/Berlin:20260413T090000\r
SUMMARY:Cat for Bob\r
ATTENDEE:mailto:cat@example.com\r
END:VEVENT\r
END:VCALENDAR\r
";

/// A configuration of that rota and a simulated app.
pub(crate) const CONFIG: &str = "\
version: 1
verified_domains: [example.com]
directory: directory
sources:
  - { id: rota, platform: icalendar, url: ./rota.ics, rotation: primary }
apps:
  - id: directory
    target: sandbox
    script:
      accounts:
        - { id: acc-ann, address: ann@example.com }
        - { id: acc-bob, address: bob@example.com }
        - { id: acc-cat, address: cat@example.com }
      groups:
        - { id: g-prod, name: prod-oncall }
profiles:
  - id: on-call
    name: On-call
    entitlements:
      - { app: directory, kind: group, name: prod-oncall }
    enrollment: { rotations: ['rota:primary'], lead: 5m, grace: 10m, lease: 4h }
";

/// A directory, which goes with it.
pub(crate) struct Bench(PathBuf);

impl Bench {
    /// An empty directory. The name is the test's, so that no two meet.
    pub(crate) fn empty(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    /// A directory with the rota and the configuration in it.
    pub(crate) fn company(test: &str) -> Self {
        let bench = Self::empty(test);
        bench.write("rota.ics", ROTA);
        bench.write("dutykey.yaml", CONFIG);
        bench
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).expect("the directory can be written");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    /// Runs the binary with these arguments, split at blanks, and these variables.
    pub(crate) fn run_with(&self, arguments: &str, variables: &[(&str, &str)]) -> Answer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dutykey"));
        command.args(arguments.split_whitespace()).current_dir(&self.0).stdin(Stdio::null());
        let output = command.envs(variables.iter().copied()).output().expect("the binary runs");
        Answer::new(arguments, &output)
    }

    pub(crate) fn run(&self, arguments: &str) -> Answer {
        self.run_with(arguments, &[])
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the binary answered.
pub(crate) struct Answer {
    command: String,
    code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    fn new(command: &str, output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("answers are UTF-8");
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        Self { command: command.to_owned(), code: output.status.code(), stdout, stderr }
    }

    /// The answer, where it exited like this.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        let Self { command, stdout, stderr, .. } = &self;
        assert_eq!(self.code, Some(code), "dutykey {command}\n--- stdout\n{stdout}\n--- stderr\n{stderr}");
        self
    }

    /// The answer, where it says all this.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        let all = format!("{}{}", self.stdout, self.stderr);
        for word in words {
            assert!(all.contains(word), "dutykey {} does not say `{word}`:\n{all}", self.command);
        }
        self
    }

    /// Its standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.stdout);
        parsed.unwrap_or_else(|error| panic!("dutykey {}: {error}\n{}\n{}", self.command, self.stdout, self.stderr))
    }
}
