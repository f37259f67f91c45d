//! Evidence goes out as a file, and is verified from one without asking the system that wrote it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Read};
use std::path::Path;

use anyhow::Context as _;
use dutykey_engine::ports::clock::Clock as _;
use dutykey_policy::evidence::copies::Comparison;
use dutykey_policy::evidence::{Chain, Fault, Verified, Verifier};
use dutykey_runtime::clock::SystemClock;
use dutykey_store::{Exported, Range};
use serde::{Deserialize, Serialize};

use super::{plain, print_json};
use crate::cli::{AuditCommand, Data};
use crate::copies::{self, Keeper};

/// The longest line that is read, in bytes: the closing line of an export with 100,000 chains has room in it.
const MAX_LINE: u64 = 32 * 1024 * 1024;

/// Exports or verifies.
///
/// # Errors
/// A file or the table cannot be used. A fault in the evidence is an answer, not an error.
pub(crate) async fn run(command: &AuditCommand) -> anyhow::Result<bool> {
    match command {
        AuditCommand::Export { data, chain, from, to, out } => {
            let only = chain.as_deref().map(parse_chain).transpose()?;
            let exported = export(data, only.as_ref(), Range { from: *from, to: *to }, out).await?;
            let Exported { chains, records } = exported;
            out!("{}: {records} records in {chains} chains", out.display());
            Ok(true)
        }
        AuditCommand::Copy { data, copy } => {
            let added = Keeper::of(&crate::data::open(data).await?, copy)?.fill().await?;
            out!("{}: {added} records added", copy.display());
            Ok(true)
        }
        AuditCommand::Verify { file, since, copy, json } => {
            let answer = verify(file, since.as_deref(), copy.as_deref())?;
            if *json {
                print_json(&answer)?;
            } else {
                answer.print(file);
            }
            Ok(answer.ok)
        }
    }
}

/// A chain by its name.
fn parse_chain(name: &str) -> anyhow::Result<Chain> {
    let wrong = || format!("`{}` is not a chain: person/ID, profile/ID, rotation/ID or system", plain(name));
    Ok(match name.split_once('/') {
        None if name == "system" => Chain::System,
        Some(("person", id)) => Chain::Person(id.parse().with_context(wrong)?),
        Some(("profile", id)) => Chain::Profile(id.parse().with_context(wrong)?),
        Some(("rotation", id)) => Chain::Rotation(id.parse().with_context(wrong)?),
        _ => anyhow::bail!(wrong()),
    })
}

async fn export(data: &Data, only: Option<&Chain>, range: Range, out: &Path) -> anyhow::Result<Exported> {
    let path = out.display();
    let store = crate::data::open(data).await?;
    let file = File::create_new(out)
        .with_context(|| format!("{path} cannot be made; an existing file is never overwritten"))?;
    let mut writer = BufWriter::new(file);
    let written = match store.export(only, range, &mut writer).await {
        Ok(Exported { chains: 0, .. }) if only.is_some() && range == Range::default() => {
            Err(anyhow::anyhow!("there is no evidence in this chain"))
        }
        Ok(exported) => {
            let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error);
            file.and_then(|file| file.sync_all()).map(|()| exported).with_context(|| path.to_string())
        }
        Err(error) => Err(error.into()),
    };
    if written.is_err() {
        // Half an export must not be taken for one.
        std::fs::remove_file(out).with_context(|| format!("{path} is not whole; remove it"))?;
    }
    written
}

/// Whether an export is whole.
#[derive(Debug, Serialize)]
struct Answer {
    ok: bool,
    chains: usize,
    records: u64,
    fault: Option<Fault>,
    /// How many records were too young to be missed in the copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_their_way: Option<u64>,
    /// Whether the export is of a part of the time only: then what it lacks was not looked for.
    #[serde(skip)]
    partial: bool,
}

impl Answer {
    fn broken(progress: &Progress, fault: Fault) -> Self {
        let (chains, records) = (progress.chains.len(), progress.records);
        Self { ok: false, chains, records, fault: Some(fault), on_their_way: None, partial: false }
    }

    fn print(&self, file: &Path) {
        let Self { chains, records, fault, on_their_way, partial, .. } = self;
        let path = file.display();
        match fault {
            None => {
                out!("{path}: {records} records in {chains} chains, every link whole");
                match on_their_way {
                    None => {}
                    Some(0) if *partial => out!("the copy has them all; what the export leaves out was not compared"),
                    Some(0) => out!("the copy has them all, and no other"),
                    Some(young) => out!("the copy has them, but for {young} that were written within 15 minutes"),
                }
            }
            Some(Fault { chain, seq, problem }) => {
                let place = format!("chain {}, record {seq}", plain(chain));
                let place = if chain.is_empty() { "the file itself" } else { &place };
                out!("{path}: BROKEN at {place}: {}", plain(problem));
                out!("{records} records of the export are whole");
            }
        }
    }
}

fn verify(file: &Path, since: Option<&Path>, copy: Option<&Path>) -> anyhow::Result<Answer> {
    let verifier = match since {
        None => Verifier::default(),
        Some(earlier) => match read(earlier, Verifier::default(), None)? {
            (Ok(verified), _) => Verifier::since(verified),
            (Err(fault), _) => {
                let problem = format!("the earlier export {} is broken: {}", earlier.display(), fault.problem);
                return Ok(Answer::broken(&Progress::default(), Fault { problem, ..fault }));
            }
        },
    };
    let mut comparison = match copy.map(copies::read).transpose()? {
        None => None,
        Some((copies, faults)) => match faults.into_iter().next() {
            None => Some(Comparison::with(copies)),
            Some(fault) => return Ok(Answer::broken(&Progress::default(), fault)),
        },
    };
    let (verified, progress) = read(file, verifier, comparison.as_mut())?;
    let partial = comparison.as_ref().is_some_and(Comparison::is_partial);
    let now = SystemClock.now();
    let finish = |comparison: Comparison| comparison.finish(now);
    let compared = verified.and_then(|verified| Ok((verified, comparison.map(finish).transpose()?)));
    Ok(match compared {
        Ok((Verified { heads, records }, on_their_way)) => {
            Answer { ok: true, chains: heads.len(), records, fault: None, on_their_way, partial }
        }
        Err(fault) => Answer::broken(&progress, fault),
    })
}

/// How far a check has come.
#[derive(Default)]
struct Progress {
    lines: u64,
    records: u64,
    chains: BTreeSet<String>,
    last: Option<Place>,
    closed: bool,
}

#[derive(Deserialize)]
struct Place {
    chain: String,
    seq: u64,
}

impl Progress {
    /// A line that is no record names its place as far as its text still does; else it stands where the record after the
    /// last whole one should.
    fn placed(&self, fault: Fault, line: &[u8]) -> Fault {
        if !fault.chain.is_empty() || line.is_empty() {
            return fault;
        }
        let follows = self.last.as_ref().filter(|_| !self.closed);
        let follows = follows.map(|last| Place { chain: last.chain.clone(), seq: last.seq + 1 });
        let place = legible(&String::from_utf8_lossy(line)).or(follows);
        let Place { chain, seq } = place.unwrap_or(Place { chain: String::new(), seq: 0 });
        Fault { chain, seq, problem: format!("{}: line {} of the file", fault.problem, self.lines) }
    }
}

/// The place that a broken record's text still names.
fn legible(line: &str) -> Option<Place> {
    let (_, rest) = line.split_once("\"chain\":\"")?;
    let (chain, rest) = rest.split_once('"')?;
    let (_, rest) = rest.split_once("\"seq\":")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(Place { chain: chain.to_owned(), seq: digits.parse().ok()? })
}

/// Checks a file line by line, and compares what is whole; one line at a time is in memory.
fn read(
    path: &Path,
    mut verifier: Verifier,
    mut comparison: Option<&mut Comparison>,
) -> anyhow::Result<(Result<Verified, Fault>, Progress)> {
    let unreadable = || format!("the export {}", path.display());
    let mut reader = BufReader::new(File::open(path).with_context(unreadable)?);
    let mut progress = Progress::default();
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = Read::by_ref(&mut reader).take(MAX_LINE).read_until(b'\n', &mut bytes).with_context(unreadable)?;
        if read == 0 {
            return Ok((verifier.finish(), progress));
        }
        progress.lines += 1;
        let line = match bytes.strip_suffix(b"\n") {
            Some(line) => std::str::from_utf8(line).map_err(|_| "a line is not UTF-8 text"),
            None if read as u64 == MAX_LINE => Err("a line is longer than 32 MiB"),
            None => Err("the last line has no end: the file was cut off"),
        };
        let checked = line.map_err(nameless).and_then(|line| verifier.line(line).map(|()| line));
        match checked {
            Err(fault) => return Ok((Err(progress.placed(fault, &bytes)), progress)),
            Ok(line) => match recorded(line, comparison.as_deref_mut()) {
                Ok(place) => {
                    progress.records += 1;
                    progress.chains.insert(place.chain.clone());
                    progress.last = Some(place);
                }
                Err(_) => progress.closed = true,
            },
        }
    }
}

/// The place of a line that verifies, where it is a record.
fn recorded(line: &str, comparison: Option<&mut Comparison>) -> serde_json::Result<Place> {
    if let Some(comparison) = comparison {
        comparison.line(line);
    }
    serde_json::from_str(line)
}

fn nameless(problem: &str) -> Fault {
    Fault { chain: String::new(), seq: 0, problem: problem.to_owned() }
}
