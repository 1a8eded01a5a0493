//! Files of other programs, read with a bound.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use serde::de::DeserializeOwned;

use crate::enrich::counter::{Loss, Losses};

/// Longest description that is read.
const FILE_MAX: u64 = 4 * 1024 * 1024;

/// A JSON file of less than [`FILE_MAX`] bytes; one that is absent is no loss.
pub(super) fn json<T: DeserializeOwned>(path: &Path, losses: &mut Losses) -> Option<T> {
    let mut content = Vec::new();
    let result = File::open(path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut content));
    match result {
        Ok(length) if u64::try_from(length).is_ok_and(|length| length == FILE_MAX) => {
            losses.add(Loss::TooLong);
            None
        }
        Ok(_) => {
            let parsed = serde_json::from_slice(&content).ok();
            if parsed.is_none() {
                losses.add(Loss::RuntimeFileMalformed);
            }
            parsed
        }
        Err(error) => {
            if error.kind() == io::ErrorKind::PermissionDenied {
                losses.add(Loss::RuntimeFileInaccessible);
            }
            None
        }
    }
}
