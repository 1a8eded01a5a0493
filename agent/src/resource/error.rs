//! Why a resource could not be read.

use std::{io, path::PathBuf};

/// Why a resource, or a part of one, could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is there, but reading it failed.
    #[error("can't read {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file is longer than anything the kernel writes there.
    #[error("{path} is longer than {limit} bytes", path = path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// What would have been read.
        limit: u64,
    },
    /// A driver was asked and keeps silent.
    #[error("{from} does not answer")]
    NoAnswer {
        /// Who was asked.
        from: &'static str,
    },
    /// The file says nothing that can be used.
    #[error("{path} has no {expected}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
    },
}
