//! TLS libraries: what passes through them in clear text.
//!
//! The programs are loaded with the others and attached later, to each file that has such a library
//! (`tls/`): the tables here say to which functions.

use super::{Family, Hook, with_types};
use crate::kernel::{
    attach::{Attach, Via},
    feature::Kernel,
};

/// A function of a C library that is watched. It takes the session as its first argument.
#[derive(Debug)]
pub struct Target {
    /// Its symbol.
    pub symbol: &'static str,
    /// Program that runs at its entry.
    pub program: &'static str,
    /// Whether [`RETURN`] runs when it returns.
    pub returns: bool,
    /// How many of its arguments are read in registers.
    pub arguments: usize,
}

/// Program that runs when a function of a C library returns.
pub const RETURN: &str = "tls_return";

const fn target(symbol: &'static str, program: &'static str, arguments: usize) -> Target {
    Target {
        symbol,
        program,
        returns: true,
        arguments,
    }
}

/// OpenSSL 1.1 and 3.x and `BoringSSL`: `SSL_read(3)` and its like.
pub const OPENSSL: &[Target] = &[
    target("SSL_read", "tls_read", 3),
    target("SSL_write", "tls_write", 3),
    target("SSL_read_ex", "tls_read_ex", 4),
    target("SSL_write_ex", "tls_write_ex", 4),
    target("SSL_write_ex2", "tls_write_ex2", 5),
    target("SSL_sendfile", "tls_sendfile", 5),
    target("SSL_do_handshake", "tls_handshake", 1),
    Target {
        symbol: "SSL_free",
        program: "tls_free",
        returns: false,
        arguments: 1,
    },
];

/// `GnuTLS`: `gnutls_record_recv` and its like.
pub const GNUTLS: &[Target] = &[
    target("gnutls_record_recv", "tls_read", 3),
    target("gnutls_record_send", "tls_write", 3),
    target("gnutls_handshake", "tls_handshake", 1),
    Target {
        symbol: "gnutls_deinit",
        program: "tls_free",
        returns: false,
        arguments: 1,
    },
];

/// A function of a Go program that is watched. Go moves stacks, so a uretprobe would put its return
/// address where the runtime finds it: the end of a function is a breakpoint at each of its returns.
#[derive(Debug)]
pub struct GoTarget {
    /// Its name in the symbol table and in the runtime's own.
    pub symbol: &'static str,
    /// Program that runs at its entry.
    pub program: &'static str,
    /// Program that runs at each of its returns.
    pub at_return: Option<&'static str>,
}

const GO_RETURN: &str = "go_tls_return";
const GO_HANDSHAKE_RETURN: &str = "go_tls_handshake_return";

/// Go's `crypto/tls`, which every Go program with TLS has in it. Since 1.17 arguments are in
/// registers (`abi-internal.md`).
pub const GO: &[GoTarget] = &[
    GoTarget {
        symbol: "crypto/tls.(*Conn).Read",
        program: "go_tls_read",
        at_return: Some(GO_RETURN),
    },
    GoTarget {
        symbol: "crypto/tls.(*Conn).Write",
        program: "go_tls_write",
        at_return: Some(GO_RETURN),
    },
    // Its public names are inlined.
    GoTarget {
        symbol: "crypto/tls.(*Conn).handshakeContext",
        program: "go_tls_handshake",
        at_return: Some(GO_HANDSHAKE_RETURN),
    },
    GoTarget {
        symbol: "crypto/tls.(*Conn).Close",
        program: "go_tls_close",
        at_return: None,
    },
];

const C_PROGRAMS: &[&str] = &[
    "tls_read",
    "tls_write",
    "tls_read_ex",
    "tls_write_ex",
    "tls_write_ex2",
    "tls_sendfile",
    "tls_handshake",
    "tls_free",
    RETURN,
    "tls_more",
    "tls_body",
];

const GO_PROGRAMS: &[&str] = &[
    "go_tls_read",
    "go_tls_write",
    "go_tls_handshake",
    "go_tls_close",
    GO_RETURN,
    GO_HANDSHAKE_RETURN,
    "go_tls_more",
    "go_tls_body",
];

/// The family.
pub const FAMILY: Family = Family {
    name: "tls",
    help: "what TLS libraries encrypt and decrypt, so that requests inside are seen",
    hooks: &[
        Hook {
            name: "OpenSSL, GnuTLS",
            required: false,
            lost: "no requests inside TLS of OpenSSL, BoringSSL and GnuTLS",
            any_of: &uprobes("tls_read", C_PROGRAMS, &["tls_more", "tls_body"]),
        },
        Hook {
            name: "Go crypto/tls",
            required: false,
            lost: "no requests inside TLS of Go programs",
            any_of: &uprobes("go_tls_read", GO_PROGRAMS, &["go_tls_more", "go_tls_body"]),
        },
    ],
    maps: &[],
};

/// By links where the kernel has them, else by perf events.
const fn uprobes(
    program: &'static str,
    programs: &'static [&'static str],
    then: &'static [&'static str],
) -> [Attach; 2] {
    [
        Attach::new(program, Via::UprobeLinks(programs), with_links).then(then),
        Attach::new(program, Via::Uprobes(programs), with_uprobes).then(then),
    ]
}

/// Kernel 6.6 and later.
fn with_links(kernel: &Kernel) -> Result<(), String> {
    with_types(kernel)?;
    if kernel.is_at_least(6, 6) {
        Ok(())
    } else {
        Err(format!(
            "{} has no uprobe_multi links (kernel 6.6)",
            kernel.release
        ))
    }
}

fn with_uprobes(kernel: &Kernel) -> Result<(), String> {
    with_types(kernel)?;
    match &kernel.uprobes {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_programs_among_those_that_are_loaded() {
        let known: Vec<_> = C_PROGRAMS.iter().chain(GO_PROGRAMS).copied().collect();
        for target in OPENSSL.iter().chain(GNUTLS) {
            assert!(known.contains(&target.program), "{}", target.symbol);
        }
        for target in GO {
            assert!(known.contains(&target.program), "{}", target.symbol);
            let at_return = target.at_return;
            assert!(at_return.is_none_or(|program| known.contains(&program)));
        }
    }
}
