//! Configuration files: an installation, or problems by line.

use std::path::Path;

use dutykey_policy::installation::Installation;
use dutykey_runtime::config::{ConfigProblem, parse};

use crate::{LONGEST, assert_fit_to_show, blown_up, busy, lot};

/// What a file brings, where it is sound; else what is wrong with it, which has been looked at.
fn read(bytes: &[u8]) -> Option<Installation> {
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
    let problems = |found: Vec<ConfigProblem>| {
        assert!((1..=201).contains(&found.len()), "{} problems", found.len());
        for problem in found {
            assert!((1..=lines).contains(&problem.line), "of {lines} lines: {problem}");
            assert_fit_to_show(&problem.to_string(), &[]);
        }
    };
    let document = parse(bytes, Path::new("/srv/dutykey")).map_err(problems).ok()?;
    document.pin(|named| Ok(named.key.clone())).map_err(problems).ok()
}

/// Takes one input.
pub(crate) fn take(data: &[u8]) {
    let begun = busy();
    if let Some(installation) = read(data) {
        let stored = serde_json::to_string(&installation).expect("it can be stored");
        let loaded: Installation = serde_json::from_str(&stored).expect("what is stored can be read");
        assert_eq!(loaded, installation, "what is stored is what was meant");
        for profile in &installation.profiles {
            let stored = serde_json::to_string(profile).expect("it can be stored");
            assert_eq!(&serde_json::from_str::<dutykey_policy::profile::Profile>(&stored).unwrap(), profile);
        }
    }
    let lot = lot(data);
    if lot.is_multiple_of(64)
        && let Ok(text) = std::str::from_utf8(data)
    {
        read(blown_up(text, "id: ", lot / 64, 256 * 1024).as_bytes());
    }
    let took = busy().saturating_sub(begun);
    assert!(took < LONGEST, "it took {took:?}");
}
