//! Commands that write one file or print one text.

use std::fs::File;
use std::io::Write as _;

use anyhow::Context as _;
use dutykey_embedded::Embedded;
use dutykey_runtime::config;

use crate::cli;

/// Writes a commented configuration to start from.
///
/// # Errors
/// The file exists, or cannot be written.
pub(crate) fn init(options: &cli::Init) -> anyhow::Result<bool> {
    let path = options.config.display();
    let mut file = File::create_new(&options.config)
        .with_context(|| format!("{path} cannot be made; an existing file is never overwritten"))?;
    file.write_all(config::template().as_bytes()).and_then(|()| file.sync_all()).with_context(|| path.to_string())?;
    out!("{path} is written. It touches nothing as it is: its profile only observes. Next:");
    out!("  1. put your rota beside it (rota.ics), your mail domains, and your app's address into it");
    out!("  2. export the secrets that it names, for one SCIM_TOKEN");
    out!("  3. dutykey check --config {path}");
    out!("  4. dutykey forecast --config {path}");
    out!("  5. dutykey serve --config {path}");
    Ok(true)
}

/// Copies the data file while it is in use.
///
/// # Errors
/// There is no data file, the copy exists already, or it cannot be written.
pub(crate) fn backup(options: &cli::Backup) -> anyhow::Result<bool> {
    let (data, copy) = (options.data.display(), options.file.display());
    if !options.data.try_exists().with_context(|| data.to_string())? {
        anyhow::bail!("there is no data file {data}; --data names another");
    }
    if options.file.symlink_metadata().is_ok() {
        anyhow::bail!("{copy} exists already; name a file that does not");
    }
    Embedded::open(&options.data)?.backup(&options.file)?;
    File::open(&options.file).and_then(|file| file.sync_all()).with_context(|| copy.to_string())?;
    out!("{copy} is a copy of {data}");
    Ok(true)
}

/// Prints the JSON schema of the configuration.
///
/// # Errors
/// It cannot be written as JSON.
pub(crate) fn schema() -> anyhow::Result<bool> {
    super::print_json(&config::schema())?;
    Ok(true)
}
