//! What is read with every look or every read of a rotation and never changes once a head has named it: the configuration's
//! document, profiles' versions, and whom sources list. It is read once and kept; the head itself is read each time, so that
//! what is kept is never out of date.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dutykey_policy::id::{ProfileId, SourceId};
use dutykey_policy::installation::Installation;
use dutykey_policy::profile::Profile;

use crate::directory::Found;

/// The last document, the last version of each profile and the last list of each source that were read.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Values>);

#[derive(Debug, Default)]
struct Values {
    installation: Option<(String, Installation)>,
    profiles: BTreeMap<ProfileId, (u64, Profile)>,
    directories: BTreeMap<SourceId, (String, Found)>,
}

impl Kept {
    /// The installation of the document with this ID.
    pub(crate) fn installation(&self, document: &str) -> Option<Installation> {
        let values = self.values();
        values.installation.as_ref().filter(|(id, _)| id == document).map(|(_, installation)| installation.clone())
    }

    /// Keeps the installation in the place of an earlier document's.
    pub(crate) fn keep_installation(&self, document: &str, installation: &Installation) {
        self.values().installation = Some((document.to_owned(), installation.clone()));
    }

    /// This version of the profile.
    pub(crate) fn profile(&self, id: &ProfileId, version: u64) -> Option<Profile> {
        self.values().profiles.get(id).filter(|(kept, _)| *kept == version).map(|(_, profile)| profile.clone())
    }

    /// Keeps a profile's version in the place of an older one.
    pub(crate) fn keep_profile(&self, version: u64, profile: &Profile) {
        let mut values = self.values();
        let newer = values.profiles.get(&profile.id).is_none_or(|(kept, _)| *kept < version);
        if newer {
            values.profiles.insert(profile.id.clone(), (version, profile.clone()));
        }
    }

    /// Whom the document with this ID lists of the source.
    pub(crate) fn directory(&self, source: &SourceId, document: &str) -> Option<Found> {
        self.values().directories.get(source).filter(|(id, _)| id == document).map(|(_, found)| found.clone())
    }

    /// Keeps whom a document lists in the place of what an earlier one did.
    pub(crate) fn keep_directory(&self, source: &SourceId, document: &str, found: &Found) {
        self.values().directories.insert(source.clone(), (document.to_owned(), found.clone()));
    }

    /// A map is whole whoever panicked while holding it.
    fn values(&self) -> MutexGuard<'_, Values> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
