//! Users and teams of a source as last read. Where they have not changed, only the time of the read is written.

use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::rota::Directory;
use dutykey_policy::id::SourceId;
use dutykey_policy::identity::Departed;
use dutykey_policy::rota::{PlatformUser, Team};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::codec::{decode, text};
use crate::document::{Document, Draft, missing};
use crate::keys;
use crate::write::{Condition, Write};

/// How often a directory that is being replaced is read again.
const ATTEMPTS: usize = 3;

#[derive(Serialize, Deserialize)]
struct Head {
    read_at: Option<Timestamp>,
    document: Document,
}

#[derive(Serialize)]
struct Written<'a> {
    users: &'a [PlatformUser],
    teams: &'a [Team],
    departed: &'a [Departed],
}

/// Whom a source lists.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Found {
    users: Vec<PlatformUser>,
    teams: Vec<Team>,
    #[serde(default)]
    departed: Vec<Departed>,
}

impl Store {
    pub(crate) async fn read_directory(&self, source: &SourceId) -> Result<Directory, StoreError> {
        let key = keys::directory(source);
        for _ in 0..ATTEMPTS {
            let Some(item) = self.get(&key).await? else { return Ok(Directory::default()) };
            let Head { read_at, document } = decode(item)?;
            let found = match self.kept.directory(source, &document.id) {
                Some(found) => Some(found),
                None => {
                    let read: Option<Found> = self.read_document(&key, &document).await?;
                    read.inspect(|read| self.kept.keep_directory(source, &document.id, read))
                }
            };
            if let Some(Found { users, teams, departed }) = found {
                return Ok(Directory { read_at, users, teams, departed });
            }
        }
        Err(missing(&key))
    }

    pub(crate) async fn write_directory(&self, source: &SourceId, directory: &Directory) -> Result<(), StoreError> {
        let key = keys::directory(source);
        let Directory { users, teams, departed, .. } = directory;
        let draft = Draft::new(&key, &Written { users, teams, departed })?;
        let before: Option<Head> = self.get(&key).await?.map(decode).transpose()?;
        let unchanged = before.as_ref().filter(|head| head.document.hash == draft.hash);
        let document = match unchanged {
            Some(head) => head.document.clone(),
            None => {
                // The time of the read makes the parts' keys new, so that no late clean-up of older parts meets them.
                let read_at = directory.read_at.map(keys::instant).unwrap_or_default();
                self.write_document(&key, format!("{read_at}#{}", draft.hash), &draft, None).await?
            }
        };
        let same = match &before {
            Some(head) => Condition::is("document.id", text(&head.document.id)),
            None => Condition::new(),
        };
        let head = Head { read_at: directory.read_at, document };
        let moved = self.write(Write::save(key.clone(), &head)?.when(same)).await;
        if let Err(refused) = moved {
            self.abandon_document(&key, &head.document).await?;
            return Err(refused.changed(format!("the directory of {source}")));
        }
        match before.filter(|before| before.document.id != head.document.id) {
            Some(before) => self.remove_document(&key, &before.document).await,
            None => Ok(()),
        }
    }
}
