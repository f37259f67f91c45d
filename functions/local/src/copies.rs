//! The copy of the evidence as files: `serve` adds to it, and `aws s3 sync` brings one from a bucket. A file is written
//! once, under a name that was free, so that the directory may be one in which nothing can be changed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use dutykey_engine::ports::clock::Clock;
use dutykey_policy::evidence::copies::{self, Copies};
use dutykey_policy::evidence::{Chain, ChainHead, Fault};
use dutykey_store::stream::Added;
use dutykey_store::{MAX_PAGE, Store};
use serde::Deserialize;

use crate::agree;

/// How often `serve` adds what is new: with each tick.
const EVERY: Duration = Duration::from_secs(60);
/// How many items of evidence are read at once; each has at most some 200 kB.
const ITEMS: usize = 25;
/// How many files are cut off, one after the other, before somebody must look.
const TRIES: u32 = 99;
/// The ending of the files.
const ENDING: &str = "jsonl";

/// Who adds to a copy.
pub(crate) struct Keeper {
    store: Store,
    directory: PathBuf,
    /// How far each chain is copied.
    copied: BTreeMap<Chain, u64>,
}

impl Keeper {
    /// A keeper of the copy in this directory, which is made where there is none.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub(crate) fn of(store: &Store, directory: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("the copy of the evidence {}", directory.display()))?;
        Ok(Self { store: store.clone(), directory: directory.to_owned(), copied: BTreeMap::new() })
    }

    /// Adds now and with each tick, for ever. What cannot be added is logged, and added when it can be.
    pub(crate) async fn keep(mut self, clock: &dyn Clock) {
        loop {
            if let Err(error) = self.add().await {
                tracing::error!("evidence could not be copied, and is tried again: {error:#}");
            }
            agree::pause(clock, EVERY).await;
        }
    }

    /// Looks at every chain from its beginning, and adds whatever the copy lacks; answers how many records.
    ///
    /// # Errors
    /// As of [`Self::add`].
    pub(crate) async fn fill(&mut self) -> anyhow::Result<u64> {
        self.every(true).await
    }

    /// Adds what the table has and the copy has not yet; answers how many records.
    ///
    /// # Errors
    /// The table cannot be used, a file cannot be written, or a chain ends before its copy does: the table was restored or
    /// changed. What could be added was added, also of the other chains.
    pub(crate) async fn add(&mut self) -> anyhow::Result<u64> {
        self.every(false).await
    }

    async fn every(&mut self, whole: bool) -> anyhow::Result<u64> {
        let (mut added, mut cursor, mut failed) = (0, None, None);
        loop {
            let page = self.store.list_chain_heads(cursor.as_ref(), MAX_PAGE).await?;
            for (chain, head) in page.items {
                match self.add_to(&chain, &head, whole).await {
                    Ok(more) => added += more,
                    // One chain holds up no other.
                    Err(error) => failed = failed.or(Some(error.context(format!("the chain {chain}")))),
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                return failed.map_or(Ok(added), Err);
            }
        }
    }

    /// The first file of the copy whose last record the table does not have: the table was restored, or changed.
    ///
    /// # Errors
    /// The table or the directory cannot be read.
    pub(crate) async fn missed(&self) -> anyhow::Result<Option<PathBuf>> {
        let (mut table, mut cursor) = (BTreeMap::new(), None);
        loop {
            let page = self.store.list_chain_heads(cursor.as_ref(), MAX_PAGE).await?;
            let folder = |chain: &Chain| self.directory.join(copies::folder(chain));
            table.extend(page.items.into_iter().map(|(chain, head)| (folder(&chain), head.seq)));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let has = |path: &Path| path.parent().and_then(|folder| table.get(folder)).copied().unwrap_or(0);
        Ok(files(&self.directory)?.into_iter().find(|path| number(path) > has(path)))
    }

    async fn add_to(&mut self, chain: &Chain, head: &ChainHead, whole: bool) -> anyhow::Result<u64> {
        let mut copied = match self.copied.get(chain) {
            Some(seq) => *seq,
            None => {
                let Copied { surely, last } = copied(&self.directory.join(copies::folder(chain)))?;
                anyhow::ensure!(
                    last <= head.seq,
                    "the table ends at record {} and its copy at {last}: the table was restored or changed",
                    head.seq
                );
                if whole { 0 } else { surely }
            }
        };
        let mut added = 0;
        while copied < head.seq {
            let items = self.store.evidence_items(chain, copied + 1, ITEMS).await?;
            for item in &items {
                let (path, text) = (self.directory.join(copies::place(chain, item.last())), text(item));
                let shown = path.display().to_string();
                // To be sure that a file is on the disk takes a while, in which others have their turn.
                let write = tokio::task::spawn_blocking(move || write(&path, text.as_bytes()));
                if write.await?.with_context(|| shown)? {
                    added += item.lines.len() as u64;
                }
                copied = item.last();
                self.copied.insert(chain.clone(), copied);
            }
            anyhow::ensure!(!items.is_empty(), "the table lacks record {} of the chain {chain}", copied + 1);
        }
        self.copied.insert(chain.clone(), copied);
        Ok(added)
    }
}

/// How far a chain is copied.
#[derive(Default)]
struct Copied {
    /// As far as is sure: the last file may have been cut off when its writer was, and is looked at again.
    surely: u64,
    /// The last record that is said to be there.
    last: u64,
}

fn text(item: &Added) -> String {
    item.lines.iter().flat_map(|line| [line.line.as_str(), "\n"]).collect()
}

/// How far the chain of this folder is copied.
fn copied(folder: &Path) -> anyhow::Result<Copied> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Copied::default()),
        entries => entries.with_context(|| folder.display().to_string())?,
    };
    let mut copied = Copied::default();
    for entry in entries {
        let number = number(&entry.with_context(|| folder.display().to_string())?.path());
        if number > copied.last {
            copied = Copied { surely: copied.last, last: number };
        } else if number < copied.last {
            copied.surely = copied.surely.max(number);
        }
    }
    Ok(copied)
}

/// The number of a file's last record; 0 where its name says none.
fn number(file: &Path) -> u64 {
    let name = file.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.split('.').next()?.parse().ok()).unwrap_or(0)
}

/// Writes a file; `false` where it is there already. One that was cut off, for the disk was full or its writer died, stays as
/// it is, and the whole one lies beside it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let beside = (1..=TRIES).map(|n| path.with_extension(format!("again{n}.{ENDING}")));
    for path in std::iter::once(path.to_owned()).chain(beside) {
        match File::create_new(&path) {
            Ok(mut file) => return file.write_all(bytes).and_then(|()| file.sync_all()).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let there = std::fs::read(&path)?;
                if there == bytes {
                    return Ok(false);
                }
                if !bytes.starts_with(&there) {
                    break;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("something else is there, and nothing is written over"))
}

/// Reads a copy: what is whole, and the first fault of each chain that is not. A last line that was cut off is no record:
/// whatever it was is missing, unless it lies in a file beside.
///
/// # Errors
/// The directory or a file cannot be read. What is wrong with the copy itself is an answer.
pub(crate) fn read(directory: &Path) -> anyhow::Result<(Copies, Vec<Fault>)> {
    let (mut copies, mut faults, mut broken) = (Copies::default(), Vec::new(), None);
    for path in files(directory)? {
        // What follows a fault in a chain tells nothing, and of the others all.
        if path.parent().map(Path::to_owned) == broken {
            continue;
        }
        let content = content(&path)?;
        if let Err(fault) = whole_lines(&content).try_for_each(|line| copies.line(line)) {
            let problem = format!("{} ({})", fault.problem, path.display());
            faults.push(Fault { problem, ..fault });
            broken = path.parent().map(Path::to_owned);
        }
    }
    Ok((copies, faults))
}

/// The records of one chain of a copy up to this one, in their order and in the items in which they were copied. What follows
/// may be at fault.
///
/// # Errors
/// The directory or a file cannot be read.
pub(crate) fn items(directory: &Path, chain: &Chain, last: u64) -> anyhow::Result<Vec<Vec<String>>> {
    let (mut items, mut next) = (BTreeMap::<u64, Vec<String>>::new(), 1);
    for path in files(&directory.join(copies::folder(chain)))? {
        let item = items.entry(number(&path)).or_default();
        for line in whole_lines(&content(&path)?) {
            let Place { seq } = serde_json::from_str(line).with_context(|| path.display().to_string())?;
            // What is held twice is the same.
            if seq == next && seq <= last {
                item.push(line.to_owned());
                next += 1;
            }
        }
    }
    items.retain(|_, lines| !lines.is_empty());
    Ok(items.into_values().collect())
}

#[derive(Deserialize)]
struct Place {
    seq: u64,
}

fn content(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The lines that have an end.
fn whole_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'))
}

/// The files of a copy, those of a chain beside each other and in their order.
fn files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let unreadable = |path: &Path| format!("the copy of the evidence {}", path.display());
    let (mut found, mut waiting) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| unreadable(&folder))? {
            let entry = entry.with_context(|| unreadable(&folder))?;
            let path = entry.path();
            if entry.file_type().with_context(|| unreadable(&path))?.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|ending| ending == ENDING) {
                found.push(path);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use dutykey_embedded::Embedded;
    use dutykey_engine::ports::rules::WriteRules as _;
    use dutykey_policy::installation::Installation;
    use jiff::Timestamp;

    use super::*;

    /// A directory, which goes with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("dutykey-copies-{test}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            Self(path)
        }

        fn file(&self, number: u64) -> PathBuf {
            self.0.join(copies::place(&Chain::System, number))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// A table whose configuration has changed so many times.
    async fn table(changes: u64) -> Store {
        let store = Store::new(Embedded::memory().unwrap().client(), "dutykey");
        store.create_table("table-1").await.unwrap();
        change(&store, 0, changes).await;
        store
    }

    async fn change(store: &Store, from: u64, changes: u64) {
        for version in from..from + changes {
            let domain = format!("example-{version}.com");
            let installation: Installation = serde_json::from_value(serde_json::json!({
                "verified_domains": [domain], "apps": [], "profiles": [], "sources": [],
            }))
            .unwrap();
            store.configure(version, &installation, Timestamp::UNIX_EPOCH).await.unwrap();
        }
    }

    #[tokio::test]
    async fn r18_each_record_is_added_once_and_no_file_is_ever_changed() {
        let (place, store) = (Folder::new("once"), table(2).await);
        let mut keeper = Keeper::of(&store, &place.0).unwrap();
        assert_eq!((keeper.add().await.unwrap(), keeper.add().await.unwrap()), (2, 0));
        let first = std::fs::read(place.file(1)).unwrap();
        change(&store, 2, 1).await;
        assert_eq!(keeper.add().await.unwrap(), 1, "only what is new");
        assert_eq!(std::fs::read(place.file(1)).unwrap(), first);
        assert_eq!(read(&place.0).unwrap().0.records(), 3);
    }

    #[tokio::test]
    async fn r18_a_file_that_was_cut_off_stays_and_the_whole_one_lies_beside_it() {
        let (place, store) = (Folder::new("cut"), table(2).await);
        Keeper::of(&store, &place.0).unwrap().add().await.unwrap();
        let whole = std::fs::read(place.file(2)).unwrap();
        std::fs::write(place.file(2), &whole[..40]).unwrap();
        assert_eq!(read(&place.0).unwrap().0.records(), 1, "what was cut off is missing");
        Keeper::of(&store, &place.0).unwrap().add().await.unwrap();
        assert_eq!(std::fs::read(place.file(2)).unwrap(), &whole[..40]);
        assert_eq!(read(&place.0).unwrap().0.records(), 2);
    }

    #[tokio::test]
    async fn r18_a_table_behind_its_copy_is_told_of_and_a_gap_in_the_copy_is_filled() {
        let (place, store) = (Folder::new("behind"), table(3).await);
        Keeper::of(&store, &place.0).unwrap().add().await.unwrap();
        std::fs::remove_file(place.file(1)).unwrap();
        assert_eq!(Keeper::of(&store, &place.0).unwrap().fill().await.unwrap(), 1, "what the copy lacks");
        let error = Keeper::of(&table(2).await, &place.0).unwrap().add().await.unwrap_err();
        assert!(format!("{error:#}").contains("ends at record 2 and its copy at 3"), "{error:#}");
    }

    #[tokio::test]
    async fn r18_what_stands_where_other_evidence_belongs_is_not_written_over() {
        let (place, store) = (Folder::new("other"), table(1).await);
        std::fs::create_dir_all(place.0.join("system")).unwrap();
        std::fs::write(place.file(1), "{}\n").unwrap();
        assert!(Keeper::of(&store, &place.0).unwrap().add().await.is_err());
        assert_eq!(std::fs::read_to_string(place.file(1)).unwrap(), "{}\n");
        assert_eq!(read(&place.0).unwrap().1.len(), 1, "and is no copy");
    }
}
