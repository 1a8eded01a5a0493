//! A file's TLS libraries, and where their breakpoints go.

use std::{collections::HashMap, fs::File};

use super::{
    Library, Refusal,
    elf::{Error, Image},
    go,
    site::{self, Convention},
    symbol::{self, Function},
};
use crate::{
    kernel::uprobe::Moment,
    probe::tls::{GNUTLS, GO, OPENSSL, RETURN, Target},
};

/// Most code of one function that is looked at.
const CODE: u64 = 64 << 10;
/// Most returns of one function: each is a breakpoint.
const RETURNS: usize = 64;

/// A breakpoint that is to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Breakpoint {
    /// The program that runs there.
    pub(super) program: &'static str,
    /// Offset in the file.
    pub(super) offset: u64,
    /// When it runs.
    pub(super) moment: Moment,
    /// Whether the kernel emulates the instruction.
    pub(super) emulated: bool,
}

/// A library and all its breakpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) library: Library,
    pub(super) breakpoints: Vec<Breakpoint>,
}

impl Plan {
    /// Offsets of the breakpoints, those of one program and moment together.
    pub(super) fn by_program(&self) -> Vec<(&'static str, Moment, Vec<u64>)> {
        let mut groups: Vec<(&'static str, Moment, Vec<u64>)> = Vec::new();
        for it in &self.breakpoints {
            let same = |group: &&mut (&str, Moment, Vec<u64>)| {
                (group.0, group.1) == (it.program, it.moment)
            };
            match groups.iter_mut().find(same) {
                Some((.., offsets)) => offsets.push(it.offset),
                None => groups.push((it.program, it.moment, vec![it.offset])),
            }
        }
        groups
    }
}

/// What was found in a file.
#[derive(Debug, Default)]
pub(super) struct Inspection {
    /// Libraries that can be watched.
    pub(super) plans: Vec<Plan>,
    /// Libraries that can't be.
    pub(super) refused: Vec<(Library, Refusal)>,
}

impl Inspection {
    fn add(&mut self, library: Library, breakpoints: Result<Vec<Breakpoint>, Refusal>) {
        match breakpoints {
            Ok(breakpoints) => self.plans.push(Plan {
                library,
                breakpoints,
            }),
            Err(refusal) => self.refused.push((library, refusal)),
        }
    }
}

/// Looks for TLS libraries in a file. One that isn't an ELF file has none.
pub(super) fn inspect(file: &File) -> Result<Inspection, Error> {
    let mut inspection = Inspection::default();
    let image = match Image::parse(file) {
        Ok(image) => image,
        Err(Error::Foreign) => return Ok(inspection),
        Err(error) => return Err(error),
    };
    let names: Vec<_> = OPENSSL
        .iter()
        .chain(GNUTLS)
        .map(|target| target.symbol)
        .collect();
    let functions = symbol::find(&image, &names)?;
    let has = |symbols: &[&str]| symbols.iter().all(|symbol| functions.contains_key(symbol));
    if has(&["SSL_read", "SSL_write"]) {
        // BoringSSL has never had these.
        let library = if has(&["SSL_read_ex"]) {
            Library::OpenSsl
        } else {
            Library::BoringSsl
        };
        inspection.add(library, of_c(&image, OPENSSL, &functions));
    }
    if has(&["gnutls_record_recv", "gnutls_record_send"]) {
        inspection.add(Library::GnuTls, of_c(&image, GNUTLS, &functions));
    }
    if let Some(executable) = go::inspect(&image)?
        && !executable.functions.is_empty()
    {
        inspection.add(Library::Go, of_go(&image, &executable));
    }
    Ok(inspection)
}

/// The breakpoints of a C library.
fn of_c(
    image: &Image<'_>,
    targets: &[Target],
    functions: &HashMap<&'static str, Function>,
) -> Result<Vec<Breakpoint>, Refusal> {
    let inner = Inner::find(image, functions);
    let mut breakpoints = Vec::new();
    for target in targets {
        let Some(function) = functions.get(target.symbol) else {
            continue;
        };
        if inner.iter().any(|inner| inner.stands_for(target)) {
            continue;
        }
        let code = code(image, *function)?;
        let convention = Convention::C(target.arguments);
        let site = site::entry(&code, function.address, convention);
        add(
            image,
            &mut breakpoints,
            site,
            target.program,
            target.returns,
        )?;
    }
    for inner in inner {
        add(image, &mut breakpoints, inner.site, inner.program, true)?;
    }
    Ok(breakpoints)
}

fn add(
    image: &Image<'_>,
    breakpoints: &mut Vec<Breakpoint>,
    site: site::Site,
    program: &'static str,
    returns: bool,
) -> Result<(), Refusal> {
    let offset = image.code_offset(site.address).ok_or(Refusal::Malformed)?;
    let mut add = |program, moment| {
        breakpoints.push(Breakpoint {
            program,
            offset,
            moment,
            emulated: site.emulated,
        });
    };
    add(program, Moment::Entry);
    if returns {
        add(RETURN, Moment::Return);
    }
    Ok(())
}

fn code(image: &Image<'_>, function: Function) -> Result<Vec<u8>, Refusal> {
    if function.size == 0 {
        return Err(Refusal::NoSize);
    }
    let length = usize::try_from(function.size.min(CODE)).unwrap_or(0);
    let code = image.code(function.address, length);
    code.ok()
        .filter(|code| code.len() == length)
        .ok_or(Refusal::Malformed)
}

/// The function of OpenSSL's that does what several of its public ones promise: since 1.1.1
/// `SSL_read` and `SSL_read_ex` both call `ssl_read_internal`, which takes and returns what
/// `SSL_read_ex` does (any number above 0 for success), and so for writing. The public ones often
/// begin with `sub`, which is stepped, and the inner one with `push`, which is emulated.
struct Inner {
    /// The functions that it stands for.
    symbols: &'static [&'static str],
    /// The program that reads the same arguments as it takes.
    program: &'static str,
    site: site::Site,
}

/// Functions that share an inner one, and the program that fits it. Those with flags come first:
/// where OpenSSL has them (3.3) its inner function takes flags too.
const SHARED: &[(&[&str], &str)] = &[
    (&["SSL_read", "SSL_read_ex"], "tls_read_ex"),
    (
        &["SSL_write", "SSL_write_ex", "SSL_write_ex2"],
        "tls_write_ex2",
    ),
    (&["SSL_write", "SSL_write_ex"], "tls_write_ex"),
];

/// Bytes of an inner function that are looked at; it has no symbol that would tell its length.
const FRONT: usize = 16;

impl Inner {
    fn find(image: &Image<'_>, functions: &HashMap<&'static str, Function>) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for (symbols, program) in SHARED {
            let with_flags = functions.contains_key("SSL_write_ex2");
            let fits = *program != "tls_write_ex" || !with_flags;
            if fits && let Some(site) = shared(image, functions, symbols) {
                found.push(Self {
                    symbols,
                    program,
                    site,
                });
            }
        }
        found
    }

    fn stands_for(&self, target: &Target) -> bool {
        self.symbols.contains(&target.symbol)
    }
}

/// The beginning of the one function that all of these call with their arguments, where the kernel
/// emulates it.
fn shared(
    image: &Image<'_>,
    functions: &HashMap<&'static str, Function>,
    symbols: &[&str],
) -> Option<site::Site> {
    let mut called = symbols.iter().map(|symbol| {
        let function = functions.get(symbol)?;
        site::first_call(&code(image, *function).ok()?, function.address)
    });
    let first = called.next()??;
    if !called.all(|other| other == Some(first)) {
        return None;
    }
    let front = image.code(first, FRONT).ok()?;
    let site = site::entry(&front, first, Convention::C(5));
    Some(site).filter(|site| site.emulated)
}

/// The breakpoints of a Go executable.
fn of_go(image: &Image<'_>, executable: &go::Executable) -> Result<Vec<Breakpoint>, Refusal> {
    if executable.version < go::Version::REGISTERS {
        return Err(Refusal::OldGo);
    }
    let mut breakpoints = Vec::new();
    for target in GO {
        let Some(function) = executable.functions.get(target.symbol) else {
            continue;
        };
        if function.size > CODE {
            return Err(Refusal::Undecodable);
        }
        let code = code(image, *function)?;
        let site = site::entry(&code, function.address, Convention::Go);
        add(image, &mut breakpoints, site, target.program, false)?;
        let Some(program) = target.at_return else {
            continue;
        };
        let returns = site::returns(&code, function.address)
            .filter(|returns| (1..=RETURNS).contains(&returns.len()))
            .ok_or(Refusal::Undecodable)?;
        for address in returns {
            breakpoints.push(Breakpoint {
                program,
                offset: image.code_offset(address).ok_or(Refusal::Malformed)?,
                moment: Moment::Entry,
                emulated: false,
            });
        }
    }
    Ok(breakpoints)
}

#[cfg(test)]
mod tests;
