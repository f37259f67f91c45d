//! The product's real binaries as processes: a clean environment, captured output, and a death that leaves no time for
//! anything.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// How much of each stream is kept; what follows is dropped, and the process goes on.
const MOST: usize = 16 << 20;

/// Where a binary of the workspace is: beside the test's own executable.
///
/// # Errors
/// It has not been built. The text is the command that builds it.
pub fn binary(name: &str) -> Result<PathBuf, String> {
    let test =
        std::env::current_exe().map_err(|error| format!("the test does not know its own executable: {error}"))?;
    beside(&test, name)
}

/// `target/PROFILE/deps/TEST`, `target/PROFILE/examples/TEST` or `target/PROFILE/TEST` has its neighbours in
/// `target/PROFILE`.
fn beside(test: &Path, name: &str) -> Result<PathBuf, String> {
    let folder = test.parent().unwrap_or(test);
    let inside = ["deps", "examples"].iter().any(|name| folder.ends_with(name));
    let folder = if inside { folder.parent().unwrap_or(folder) } else { folder };
    let path = folder.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    if path.is_file() {
        return Ok(path);
    }
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => String::new(),
        Some(profile) => format!(" --profile {profile}"),
    };
    Err(format!("{} is not built; run `cargo build --workspace{profile}` and test again", path.display()))
}

/// A process could not be started, or did not do in time what the test waits for.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It does not start.
    #[error("{program} does not start: {error}")]
    Start {
        /// The executable.
        program: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It did not happen in time.
    #[error("the process did not {what} within {within:?}; it wrote\n{output}")]
    Late {
        /// What was waited for.
        what: String,
        /// For how long.
        within: Duration,
        /// All that it wrote so far.
        output: String,
    },
    /// It ended instead.
    #[error("the process ended ({status}) and did not {what}; it wrote\n{output}")]
    Ended {
        /// What was waited for.
        what: String,
        /// How it ended.
        status: String,
        /// All that it wrote.
        output: String,
    },
    /// A signal could not be sent.
    #[error("the signal {signal} could not be sent: {error}")]
    Signal {
        /// Its name.
        signal: String,
        /// Why.
        error: String,
    },
}

/// A running process. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    handle: Handle,
    id: u32,
    stdout: Arc<Stream>,
    stderr: Arc<Stream>,
}

/// What a harness needs of a process that the test owns: to kill it, and to see it end.
#[derive(Debug, Clone)]
pub struct Handle {
    kill: Arc<Notify>,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl Handle {
    /// SIGKILL: the process does not notice. It has no effect on one that has ended.
    pub fn kill(&self) {
        self.kill.notify_one();
    }

    /// How the process ended. Waits for it.
    pub async fn ended(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        let ended = exit.wait_for(Option::is_some).await.map(|status| *status);
        ended.ok().flatten().unwrap_or_default()
    }
}

/// What a process wrote to one stream.
#[derive(Debug, Default)]
struct Stream {
    text: Mutex<String>,
    grown: Notify,
}

impl Stream {
    fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn fill(self: Arc<Self>, from: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(from);
        let mut line = Vec::new();
        while matches!(lines.read_until(b'\n', &mut line).await, Ok(1..)) {
            {
                let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
                if text.len() < MOST {
                    text.push_str(&String::from_utf8_lossy(&line));
                }
            }
            self.grown.notify_waiters();
            line.clear();
        }
    }

    /// The first whole line that the test picks.
    async fn line<T>(&self, pick: impl Fn(&str) -> Option<T>) -> T {
        loop {
            let grown = self.grown.notified();
            tokio::pin!(grown);
            grown.as_mut().enable();
            if let Some(found) =
                self.text().split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).find_map(&pick)
            {
                return found;
            }
            grown.await;
        }
    }
}

impl Process {
    /// Starts a program with these variables and no others; its working directory is the test's.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start<V>(program: &Path, arguments: &[&str], variables: V) -> Result<Self, ProcessError>
    where
        V: IntoIterator<Item = (String, String)>,
    {
        let failed = |error| ProcessError::Start { program: program.to_owned(), error };
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let id = child.id().unwrap_or_default();
        let (stdout, stderr) = (Arc::<Stream>::default(), Arc::<Stream>::default());
        let reading = [
            child.stdout.take().map(|from| tokio::spawn(stdout.clone().fill(from))),
            child.stderr.take().map(|from| tokio::spawn(stderr.clone().fill(from))),
        ];
        let kill = Arc::new(Notify::new());
        let killed = kill.clone();
        let (exited, exit) = watch::channel(None);
        tokio::spawn(async move {
            let status = tokio::select! {
                status = child.wait() => status,
                () = killed.notified() => {
                    let _ = child.start_kill();
                    child.wait().await
                }
            };
            // All that it wrote is there before anybody learns that it ended. A grandchild may hold the pipes for longer.
            for reading in reading.into_iter().flatten() {
                let _ = timeout(Duration::from_secs(1), reading).await;
            }
            exited.send_replace(Some(status.unwrap_or_default()));
        });
        Ok(Self { handle: Handle { kill, exit }, id, stdout, stderr })
    }

    /// The process ID.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// For a harness that has to see the process end.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// All that it wrote to stdout so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// All that it wrote to stderr so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Both streams, for a message.
    #[must_use]
    pub fn output(&self) -> String {
        let mut text = String::new();
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let _ = write!(text, "--- {name}\n{}", stream.text());
        }
        text
    }

    /// The first line of stdout that the test picks, for instance `|line| line.strip_prefix("listening on ").map(str::to_owned)`.
    ///
    /// # Errors
    /// There was none in time, or before the process ended.
    pub async fn line<T>(&self, within: Duration, pick: impl Fn(&str) -> Option<T>) -> Result<T, ProcessError> {
        let what = "write the line that the test waits for";
        tokio::select! {
            biased;
            line = self.stdout.line(pick) => Ok(line),
            status = self.handle.ended() => Err(self.has_ended(what, status)),
            () = tokio::time::sleep(within) => Err(self.late(what, within)),
        }
    }

    /// How it ended. Waits for it.
    ///
    /// # Errors
    /// It is still running after that time.
    pub async fn wait(&self, within: Duration) -> Result<ExitStatus, ProcessError> {
        timeout(within, self.handle.ended()).await.map_err(|_| self.late("end", within))
    }

    /// SIGKILL, and waits until the process is gone: it runs not one instruction more.
    pub async fn kill(&self) {
        self.handle.kill();
        self.handle.ended().await;
    }

    /// Sends a signal by its name (`TERM`, `HUP`).
    ///
    /// # Errors
    /// The process is gone, or there is no such signal.
    pub async fn signal(&self, signal: &str) -> Result<(), ProcessError> {
        let failed = |error: String| ProcessError::Signal { signal: signal.to_owned(), error };
        let id = self.id.to_string();
        let sent = Command::new("sh").args(["-c", r#"kill -s "$1" "$2""#, "sh", signal, &id]).output().await;
        let sent = sent.map_err(|error| failed(error.to_string()))?;
        if sent.status.success() { Ok(()) } else { Err(failed(String::from_utf8_lossy(&sent.stderr).into_owned())) }
    }

    fn late(&self, what: &str, within: Duration) -> ProcessError {
        ProcessError::Late { what: what.to_owned(), within, output: self.output() }
    }

    fn has_ended(&self, what: &str, status: ExitStatus) -> ProcessError {
        ProcessError::Ended { what: what.to_owned(), status: status.to_string(), output: self.output() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.handle.kill();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str, variables: &[(&str, &str)]) -> Process {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Process::start(Path::new("/bin/sh"), &["-c", script], variables).unwrap()
    }

    #[tokio::test]
    async fn a_process_sees_only_the_variables_it_was_given() {
        let process = shell("echo home=$HOME one=$ONE; echo oops >&2; exit 3", &[("ONE", "1")]);
        let status = process.wait(SOON).await.unwrap();
        assert_eq!((process.stdout().as_str(), process.stderr().as_str()), ("home= one=1\n", "oops\n"));
        assert_eq!(status.code(), Some(3));
    }

    #[tokio::test]
    async fn a_line_is_found_while_the_process_runs_and_its_death_says_what_it_wrote() {
        let process = shell("echo starting; echo listening on x; echo broken >&2; read forever <&-; exit 1", &[]);
        let found = process.line(SOON, |line| line.strip_prefix("listening on ").map(str::to_owned)).await.unwrap();
        assert_eq!(found, "x");
        let error = process.line(SOON, |line| (line == "ready").then_some(())).await.unwrap_err().to_string();
        assert!(error.contains("ended") && error.contains("broken"), "{error}");
    }

    #[tokio::test]
    async fn kill_is_sigkill_and_the_process_is_gone_afterwards() {
        let process =
            shell("trap 'echo saved' TERM; echo up; while :; do sleep 0.01; done", &[("PATH", "/usr/bin:/bin")]);
        process.line(SOON, |line| (line == "up").then_some(())).await.unwrap();
        process.signal("TERM").await.unwrap();
        process.line(SOON, |line| (line == "saved").then_some(())).await.unwrap();
        process.kill().await;
        assert_eq!(process.wait(SOON).await.unwrap().signal(), Some(9));
        assert!(process.signal("TERM").await.is_err(), "process {} still takes signals", process.id());
    }

    #[tokio::test]
    async fn a_process_does_not_outlive_its_test() {
        let process = shell("while :; do sleep 0.01; done", &[("PATH", "/usr/bin:/bin")]);
        let handle = process.handle();
        drop(process);
        let status = timeout(SOON, handle.ended()).await.expect("the process is killed");
        assert_eq!(status.signal(), Some(9));
    }

    #[test]
    fn a_missing_binary_is_an_error_with_the_command_to_run() {
        let error = beside(Path::new("/t/debug/deps/all-1f0c"), "handoff").unwrap_err();
        assert_eq!(error, "/t/debug/handoff is not built; run `cargo build --workspace` and test again");
        let error = beside(Path::new("/t/release/deps/all-1f0c"), "handoff").unwrap_err();
        assert!(error.contains("`cargo build --workspace --profile release`"), "{error}");
    }
}
