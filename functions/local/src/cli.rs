//! The command line: what can be asked of `dutykey`, and how.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use dutykey_policy::hold::Hold;
use dutykey_policy::id::{PersonId, RotationId};
use jiff::Timestamp;
use reqwest::Url;

/// Keeps access in step with the on-call rota.
#[derive(Debug, Parser)]
#[command(name = "dutykey", version, about, max_term_width = 110)]
pub struct Cli {
    /// What to do; without it, the demonstration.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows a company whose shifts last seconds, and checks every promise at the end.
    Demo(Demo),
    /// Runs with a configuration file until it is stopped.
    Serve(Serve),
    /// Validates a configuration, tests every connection, and names people who cannot be matched.
    Check(ConfigFile),
    /// Shows who will hold what, when and why, and when nobody is on call.
    Forecast(Forecast),
    /// Shows what applying a configuration would change.
    Plan(Plan),
    /// Makes a configuration so.
    Apply(Apply),
    /// Confirms a configuration that another administrator has applied and that gives them more than they had.
    Confirm(Confirm),
    /// Shows who holds what, and why.
    Who(Who),
    /// Says why a person holds a profile, why not, or what is missing.
    Explain(Explain),
    /// Lists, releases or discards changes that the brake holds.
    Brake(Brake),
    /// Has the last view of a rotation stand for longer, whose platform does not answer.
    Prolong(Prolong),
    /// Erases a person: what they did stays, under an ID that nobody can put a name to.
    Erase(Erase),
    /// Writes off a hold that can never be taken back, because what it is access to is gone for good.
    WriteOff(WriteOff),
    /// Exports evidence, and verifies an export.
    Audit(Audit),
    /// Rebuilds a table that was restored from a backup, from the copy of its evidence, and then lets it go on.
    Rebuild(Rebuild),
    /// Writes a commented configuration to start from.
    Init(Init),
    /// Copies the data file while it is in use.
    Backup(Backup),
    /// Prints the JSON schema of the configuration.
    Schema,
}

/// Options of the demonstration.
#[derive(Debug, Args, Default)]
pub struct Demo {
    /// Prints the result as one JSON document.
    #[arg(long)]
    pub json: bool,
    /// Prints the demonstration's configuration and does nothing else.
    #[arg(long)]
    pub show_config: bool,
}

/// Where the table is.
#[derive(Debug, Args, Clone)]
pub struct Data {
    /// The data file of the embedded table.
    #[arg(long, default_value = "dutykey.db", conflicts_with = "table")]
    pub data: PathBuf,
    /// A DynamoDB table in the account that the environment names, instead of a file.
    #[arg(long)]
    pub table: Option<String>,
}

/// A configuration file.
#[derive(Debug, Args, Clone)]
pub struct ConfigFile {
    /// The configuration file.
    #[arg(long, default_value = "dutykey.yaml")]
    pub config: PathBuf,
    /// Prints the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of the server.
#[derive(Debug, Args)]
pub struct Serve {
    /// The configuration file.
    #[arg(long, default_value = "dutykey.yaml")]
    pub config: PathBuf,
    /// The data file.
    #[arg(long, default_value = "dutykey.db")]
    pub data: PathBuf,
    /// The loopback address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Lets sources and apps that have left the file retire: what they hold is ended first.
    #[arg(long)]
    pub retire: bool,
    /// A directory to which evidence is copied as it is written; best one in which nothing can be changed.
    #[arg(long, value_name = "DIR")]
    pub evidence_copy: Option<PathBuf>,
}

/// Options of the forecast.
#[derive(Debug, Args)]
pub struct Forecast {
    /// The configuration file.
    #[arg(long, default_value = "dutykey.yaml")]
    pub config: PathBuf,
    /// Where the forecast begins (RFC 3339); now, where it is not given.
    #[arg(long)]
    pub from: Option<Timestamp>,
    /// How many days it spans, 1 to 90.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=90))]
    pub days: u16,
    /// Prints the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of the plan.
#[derive(Debug, Args)]
pub struct Plan {
    /// The configuration file.
    #[command(flatten)]
    pub file: ConfigFile,
    /// The table that it would change.
    #[command(flatten)]
    pub data: Data,
    /// The API of the installation that it would change, instead of its table; the environment's DUTYKEY_TOKEN is yours.
    #[arg(long, conflicts_with_all = ["data", "table"])]
    pub api: Option<Url>,
}

/// Options of applying.
#[derive(Debug, Args)]
pub struct Apply {
    /// The configuration file.
    #[command(flatten)]
    pub file: ConfigFile,
    /// The table that it changes.
    #[command(flatten)]
    pub data: Data,
    /// The API of the installation that it changes, instead of its table; the environment's DUTYKEY_TOKEN is yours. What
    /// waits there for another administrator is not in force: it exits with 1.
    #[arg(long, conflicts_with_all = ["data", "table", "directly"])]
    pub api: Option<Url>,
    /// Writes the table although its API could be asked: no second administrator looks at it, and the evidence names nobody.
    #[arg(long)]
    pub directly: bool,
    /// Goes on where people lose access and nobody can be asked.
    #[arg(long)]
    pub yes: bool,
    /// Lets sources and apps that have left the file retire.
    #[arg(long)]
    pub retire: bool,
}

/// Options of confirming.
#[derive(Debug, Args)]
pub struct Confirm {
    /// The API of the installation; the environment's DUTYKEY_TOKEN is yours.
    #[arg(long)]
    pub api: Url,
    /// What is confirmed, as `apply` has said it.
    #[arg(long)]
    pub digest: String,
    /// Goes on where nobody can be asked.
    #[arg(long)]
    pub yes: bool,
    /// Prints the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of who.
#[derive(Debug, Args)]
pub struct Who {
    /// The table.
    #[command(flatten)]
    pub data: Data,
    /// At which instant (RFC 3339); now, where it is not given.
    #[arg(long)]
    pub at: Option<Timestamp>,
    /// Prints the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of explain.
#[derive(Debug, Args)]
pub struct Explain {
    /// A person: an address, or Dutykey's ID.
    pub person: String,
    /// A profile's ID.
    pub profile: String,
    /// The table.
    #[command(flatten)]
    pub data: Data,
    /// Prints the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What to do with the brake.
#[derive(Debug, Args)]
pub struct Brake {
    /// What to do.
    #[command(subcommand)]
    pub command: BrakeCommand,
}

/// What to do with the brake.
#[derive(Debug, Subcommand)]
pub enum BrakeCommand {
    /// Lists what it holds.
    List {
        /// The table.
        #[command(flatten)]
        data: Data,
        /// Prints the answer as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Lets exactly this change pass with the next view that still shows it.
    Release {
        /// The digest that the list shows, or its beginning.
        digest: String,
        /// The table.
        #[command(flatten)]
        data: Data,
    },
    /// Keeps what was believed before, for as long as the platform shows exactly this change.
    Discard {
        /// The digest that the list shows, or its beginning.
        digest: String,
        /// The table.
        #[command(flatten)]
        data: Data,
    },
}

/// Options of prolonging.
#[derive(Debug, Args)]
pub struct Prolong {
    /// The rotation, `SOURCE:ID` or `SOURCE:ID@LEVEL`.
    pub rotation: RotationId,
    /// Until when (RFC 3339): later than it stands now, and at most 24 hours ahead.
    #[arg(long)]
    pub until: Timestamp,
    /// Why.
    #[arg(long)]
    pub reason: String,
    /// The table.
    #[command(flatten)]
    pub data: Data,
}

/// Options of erasing.
#[derive(Debug, Args)]
pub struct Erase {
    /// The person, by Dutykey's ID, as `GET /v1/people` shows it.
    pub person: PersonId,
    /// The same ID once more, so that nobody is erased by a slip: it cannot be undone.
    #[arg(long, value_name = "PERSON")]
    pub confirm: String,
    /// The API of the installation; the environment's DUTYKEY_TOKEN is yours.
    #[arg(long)]
    pub api: Url,
}

/// Options of writing off.
#[derive(Debug, Args)]
pub struct WriteOff {
    /// The hold, as `dutykey who --json` and `GET /v1/holds` name it.
    #[arg(value_parser = named_hold)]
    pub hold: String,
    /// Why.
    #[arg(long)]
    pub reason: String,
    /// The API of the installation; the environment's DUTYKEY_TOKEN is yours.
    #[arg(long)]
    pub api: Url,
}

/// The name of a hold. It becomes part of an address, so nothing else may be in it.
fn named_hold(text: &str) -> Result<String, &'static str> {
    let digest = text.split_once('.').map_or("", |(_, digest)| digest);
    let is_digest = !digest.is_empty() && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest && Hold::holder(text).is_some() {
        Ok(text.to_owned())
    } else {
        Err("a hold is named by a person's ID, a dot and a digest, as in `dutykey who --json`")
    }
}

/// What to do with evidence.
#[derive(Debug, Args)]
pub struct Audit {
    /// What to do.
    #[command(subcommand)]
    pub command: AuditCommand,
}

/// What to do with evidence.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Writes the evidence to a file, one record a line.
    Export {
        /// The table.
        #[command(flatten)]
        data: Data,
        /// Only this chain: `person/ID`, `profile/ID`, `rotation/ID` or `system`.
        #[arg(long)]
        chain: Option<String>,
        /// Only from this instant on.
        #[arg(long)]
        from: Option<Timestamp>,
        /// Only until this instant.
        #[arg(long)]
        to: Option<Timestamp>,
        /// The file to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Adds to a copy in a directory what it lacks: what a table held before it was copied as it was written.
    Copy {
        /// The table.
        #[command(flatten)]
        data: Data,
        /// The directory.
        #[arg(long, value_name = "DIR")]
        copy: PathBuf,
    },
    /// Checks an export, offline: order, links and hashes, and with an earlier one that all it held is still there.
    Verify {
        /// The export.
        file: PathBuf,
        /// An earlier export.
        #[arg(long)]
        since: Option<PathBuf>,
        /// The copy of the evidence, fetched before the export was made: names what differs, and what one of them lacks.
        #[arg(long, value_name = "DIR")]
        copy: Option<PathBuf>,
        /// Prints the answer as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Options of rebuilding.
#[derive(Debug, Args)]
pub struct Rebuild {
    /// The table.
    #[command(flatten)]
    pub data: Data,
    /// The copy of the evidence. What the table lacks of it is added; from then on nothing is begun or ended.
    #[arg(long, value_name = "DIR", required_unless_present_any = ["release", "without_copy"])]
    pub copy: Option<PathBuf>,
    /// There is no copy: what the table lacks is never known. As with one, nothing is begun or ended.
    #[arg(long, conflicts_with = "copy")]
    pub without_copy: bool,
    /// Lets a rebuilt table go on: what is due is begun and ended again.
    #[arg(long, conflicts_with_all = ["copy", "without_copy"])]
    pub release: bool,
    /// Does not wait for this rotation to be read and planned: it is gone from its platform. Any number of times.
    #[arg(long, value_name = "ROTATION", requires = "release")]
    pub without: Vec<RotationId>,
    /// Prints the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of init.
#[derive(Debug, Args)]
pub struct Init {
    /// The file to write; it must not exist.
    #[arg(long, default_value = "dutykey.yaml")]
    pub config: PathBuf,
}

/// Options of the backup.
#[derive(Debug, Args)]
pub struct Backup {
    /// The file to write; it must not exist.
    pub file: PathBuf,
    /// The data file.
    #[arg(long, default_value = "dutykey.db")]
    pub data: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{CommandFactory as _, Parser as _};

    /// The lines of the README's shell blocks.
    fn readme_commands() -> Vec<String> {
        let readme = include_str!("../../../README.md");
        let mut parts = readme.split("```sh\n");
        let before = std::iter::once(parts.next().unwrap_or_default()).chain(parts.clone());
        // The test of the server runs the marked blocks as they are.
        let marked = |before: &str| {
            ["asking", "approving", "giving back", "breaking glass"]
                .iter()
                .any(|mark| before.ends_with(&format!("<!-- {mark} -->\n")))
        };
        let blocks = before.zip(parts.clone()).filter(|(before, _)| !marked(before));
        let blocks = blocks.filter_map(|(_, block)| block.split("```").next());
        let lines =
            blocks.flat_map(str::lines).map(|line| line.split('#').next().unwrap_or_default().trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    }

    #[test]
    fn every_command_of_the_readme_is_one() {
        let commands = readme_commands();
        assert!(commands.len() >= 8, "the README's shell blocks were not found: {commands:?}");
        for line in commands {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["dutykey", ..] => assert!(Cli::try_parse_from(&words).is_ok(), "the README says `{line}`"),
                ["cargo", "run" | "test" | "install", ..] | ["infra/trial"] => {}
                _ => panic!("the README says `{line}`, which no test knows"),
            }
        }
    }

    #[test]
    fn a_hold_is_written_off_by_its_name_and_nothing_else_gets_into_the_address() {
        let parsed = |hold: &str| {
            let rest = ["--reason", "closed", "--api", "https://dutykey.example.com"];
            Cli::try_parse_from(["dutykey", "write-off", hold].into_iter().chain(rest)).is_ok()
        };
        let person = "per_01JD0000000000000000000099";
        assert!(parsed(&format!("{person}.0123456789abcdef0123")), "as `GET /v1/holds` names it");
        for rest in ["", ".", "..", ".0123/../x", ".0123?x=1", ".0123#x"] {
            assert!(!parsed(&format!("{person}{rest}")), "`{person}{rest}` names no hold");
        }
        assert!(!parsed("ann.0123456789abcdef0123"), "it is nobody's");
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
