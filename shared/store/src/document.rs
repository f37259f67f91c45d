//! Documents of any size: JSON text in parts, behind a head that names them. Parts are written before the head moves
//! and removed after it has, so that a reader finds either the old document or the new one.

use dutykey_engine::ports::ledger::StoreError;
use dutykey_policy::rota::hex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Store;
use crate::codec::{Item, decode, number, text, text_of, unreadable};
use crate::io::{Query, Sort};
use crate::keys::{self, Key};
use crate::write::Write;

/// The longest part, in bytes: the table's limit for an item is 400 KiB.
const PART_BYTES: usize = 300_000;

/// Where a document is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Document {
    /// Names its parts; never used twice for different texts.
    pub(crate) id: String,
    /// How many parts it has.
    parts: usize,
    /// The SHA-256 of its text.
    pub(crate) hash: String,
}

#[derive(Serialize, Deserialize)]
struct Named {
    document: Document,
}

/// A document that is to be written.
pub(crate) struct Draft {
    text: String,
    /// The SHA-256 of its text.
    pub(crate) hash: String,
}

impl Draft {
    /// The document of a value.
    pub(crate) fn new<T: Serialize>(head: &Key, value: &T) -> Result<Self, StoreError> {
        let text = serde_json::to_string(value).map_err(|error| unreadable(head, error))?;
        let hash = hex(&Sha256::digest(&text));
        Ok(Self { text, hash })
    }
}

/// Cuts a text into parts at character boundaries.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (part, left) = rest.split_at(rest.floor_char_boundary(PART_BYTES));
        parts.push(part);
        rest = left;
    }
    parts
}

impl Store {
    /// Writes a document's parts. Its head is the caller's to move. The table may forget them after `forgotten`, in seconds
    /// since 1970, where they do not stay.
    pub(crate) async fn write_document(
        &self,
        head: &Key,
        id: String,
        draft: &Draft,
        forgotten: Option<i64>,
    ) -> Result<Document, StoreError> {
        let parts = parts(&draft.text);
        let writes = parts.iter().enumerate().map(|(place, part)| {
            let mut item = Item::from([("text".to_owned(), text(*part))]);
            item.extend(forgotten.map(|second| (keys::TTL.to_owned(), number(second))));
            Write::put(keys::document_part(head, &id, place), item)
        });
        self.batch_write(writes.collect()).await?;
        Ok(Document { id, parts: parts.len(), hash: draft.hash.clone() })
    }

    /// Reads a document; `None` where its parts are gone because the head has moved meanwhile.
    pub(crate) async fn read_document<T: DeserializeOwned>(
        &self,
        head: &Key,
        document: &Document,
    ) -> Result<Option<T>, StoreError> {
        let parts = self.query(&Query::items(&head.pk, Sort::Begins(keys::document(&document.id)))).await?;
        let whole: String = parts.iter().filter_map(|part| text_of(part, "text")).collect();
        if parts.len() != document.parts || hex(&Sha256::digest(&whole)) != document.hash {
            return Ok(None);
        }
        serde_json::from_str(&whole).map(Some).map_err(|error| unreadable(head, error))
    }

    /// Removes a document that was written for a head which somebody else has moved meanwhile.
    pub(crate) async fn abandon_document(&self, head: &Key, document: &Document) -> Result<(), StoreError> {
        let named: Option<Named> = self.get(head).await?.map(decode).transpose()?;
        match named {
            Some(named) if named.document.id == document.id => Ok(()),
            _ => self.remove_document(head, document).await,
        }
    }

    /// Removes a document's parts, after the head has moved.
    pub(crate) async fn remove_document(&self, head: &Key, document: &Document) -> Result<(), StoreError> {
        let keys = (0..document.parts).map(|number| keys::document_part(head, &document.id, number));
        self.batch_write(keys.map(Write::delete).collect()).await
    }
}

/// The error where a head names a document that is not there.
pub(crate) fn missing(head: &Key) -> StoreError {
    unreadable(head, "parts of what it names are missing")
}
