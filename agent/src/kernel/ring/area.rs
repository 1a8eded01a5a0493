//! The ring buffer's memory, as the kernel shares it.
//!
//! aya's reader maps the data twice, so that a record over its end is one slice, which counts every
//! page twice in the agent's resident memory; and it tells the kernel of each record that it has
//! read, by a word that every program looks at before it writes the next one. Here the data is mapped
//! once, a record over the end is copied, and the word is written once for many records.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
    ptr::{self, NonNull},
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
};

use crate::kernel::pod;

/// Size of `struct bpf_ringbuf_hdr`, which stands before each record: its length with two flags, and
/// where it is.
const HEADER: usize = 8;
/// `BPF_RINGBUF_BUSY_BIT`: it is still being written.
const BUSY: u32 = 1 << 31;
/// `BPF_RINGBUF_DISCARD_BIT`: it was given up.
const DISCARD: u32 = 1 << 30;

/// A part of the process's address space.
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, writable: bool, offset: usize, length: usize) -> io::Result<Self> {
        let protection = if writable {
            libc::PROT_READ | libc::PROT_WRITE
        } else {
            libc::PROT_READ
        };
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        // SAFETY: the kernel chooses where; nothing else is touched.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                protection,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                offset,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and nothing borrowed from it outlives it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

// SAFETY: memory belongs to the process, not to a thread.
unsafe impl Send for Mapping {}

/// What a look at the ring found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// A record, aligned to 8 bytes.
    Record(&'a [u8]),
    /// One that was given up.
    Discarded,
    /// Nothing, or nothing that is written to its end.
    Nothing,
}

/// The ring: one page with the reader's position, one with the writers', and the data.
pub(super) struct Area {
    reader: Mapping,
    writers: Mapping,
    page: usize,
    size: usize,
    /// Up to where it has been read: counts all bytes since the ring was made.
    position: usize,
    /// What is known of the writers' position.
    written: usize,
    /// A record over the end of the data, in one piece.
    joined: Vec<u64>,
}

impl Area {
    /// Maps a ring of `size` bytes, a power of two.
    pub(super) fn new(fd: BorrowedFd<'_>, size: usize) -> io::Result<Self> {
        // SAFETY: asks for a constant.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) })
            .map_err(io::Error::other)?;
        let reader = Mapping::new(fd, true, 0, page)?;
        let writers = Mapping::new(fd, false, page, page + size)?;
        let mut area = Self {
            reader,
            writers,
            page,
            size,
            position: 0,
            written: 0,
            joined: Vec::new(),
        };
        area.position = area.read_position().load(Ordering::Acquire);
        area.written = area.position;
        Ok(area)
    }

    fn read_position(&self) -> &AtomicUsize {
        // SAFETY: the first word of the page that is mapped to be written.
        unsafe { self.reader.start.cast().as_ref() }
    }

    fn written_position(&self) -> &AtomicUsize {
        // SAFETY: the first word of the page before the data; only read.
        unsafe { self.writers.start.cast().as_ref() }
    }

    /// Where a position of the ring stands in the data.
    fn offset(&self, position: usize) -> usize {
        position & (self.size - 1)
    }

    /// The header that stands at a position before the writers'.
    fn header(&self, position: usize) -> &AtomicU32 {
        // SAFETY: inside the mapping; headers stand at multiples of 8.
        unsafe {
            let place = self.writers.start.add(self.page + self.offset(position));
            place.cast().as_ref()
        }
    }

    /// The data from a position on, up to the data's end.
    fn data(&self, position: usize) -> &[u8] {
        let offset = self.offset(position);
        // SAFETY: inside the mapping. The kernel leaves alone what is written and not yet released.
        unsafe {
            let start = self.writers.start.add(self.page + offset);
            std::slice::from_raw_parts(start.as_ptr(), self.size - offset)
        }
    }

    /// The next record, to be used before the next look.
    pub(super) fn next(&mut self) -> Next<'_> {
        if self.position == self.written {
            self.written = self.written_position().load(Ordering::Acquire);
            if self.position == self.written {
                return Next::Nothing;
            }
        }
        let header = self.header(self.position).load(Ordering::Acquire);
        if header & BUSY != 0 {
            return Next::Nothing;
        }
        let length = (header & !DISCARD) as usize;
        let start = self.position + HEADER;
        self.position = (start + length).next_multiple_of(HEADER);
        if header & DISCARD != 0 {
            return Next::Discarded;
        }
        if length > self.data(start).len() {
            self.join(start, length);
            return Next::Record(&pod::bytes_of(&self.joined)[..length]);
        }
        Next::Record(&self.data(start)[..length])
    }

    fn join(&mut self, start: usize, length: usize) {
        let mut joined = std::mem::take(&mut self.joined);
        joined.resize(length.div_ceil(size_of::<u64>()), 0);
        let first = self.data(start);
        let bytes = &mut pod::bytes_mut(&mut joined)[..length];
        let (front, rest) = bytes.split_at_mut(first.len());
        front.copy_from_slice(first);
        rest.copy_from_slice(&self.data(start + first.len())[..rest.len()]);
        self.joined = joined;
    }

    /// Gives the space of what has been read back to the kernel.
    pub(super) fn release(&mut self) {
        // Pairs with the kernel's acquiring load before it writes there.
        self.read_position().store(self.position, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsFd as _};

    use super::*;

    /// A ring in a file: the same layout, and this side's own programs.
    struct Writer {
        file: File,
        page: usize,
        size: usize,
        position: usize,
    }

    impl Writer {
        fn new(size: usize) -> Self {
            let file = tempfile::tempfile().unwrap();
            // SAFETY: asks for a constant.
            let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap();
            file.set_len((2 * page + size) as u64).unwrap();
            Self {
                file,
                page,
                size,
                position: 0,
            }
        }

        fn put(&self, position: usize, bytes: &[u8]) {
            use std::os::unix::fs::FileExt as _;
            for (index, byte) in bytes.iter().enumerate() {
                let offset = 2 * self.page + ((position + index) & (self.size - 1));
                self.file.write_all_at(&[*byte], offset as u64).unwrap();
            }
        }

        fn write(&mut self, flags: u32, bytes: &[u8]) {
            use std::os::unix::fs::FileExt as _;
            let header = u32::try_from(bytes.len()).unwrap() | flags;
            self.put(self.position, &header.to_ne_bytes());
            self.put(self.position + HEADER, bytes);
            self.position = (self.position + HEADER + bytes.len()).next_multiple_of(HEADER);
            let written = self.position.to_ne_bytes();
            self.file.write_all_at(&written, self.page as u64).unwrap();
        }

        fn released(&self) -> usize {
            use std::os::unix::fs::FileExt as _;
            let mut word = [0; size_of::<usize>()];
            self.file.read_exact_at(&mut word, 0).unwrap();
            usize::from_ne_bytes(word)
        }
    }

    #[test]
    fn records_come_in_their_order_and_whole_over_the_end() {
        let mut writer = Writer::new(4096);
        let mut area = Area::new(writer.file.as_fd(), 4096).unwrap();
        assert_eq!(area.next(), Next::Nothing);
        for round in 0..100u8 {
            let first = vec![round; 1 + usize::from(round) * 7];
            let second = vec![!round; 900];
            writer.write(0, &first);
            writer.write(DISCARD, b"given up");
            writer.write(0, &second);
            assert_eq!(area.next(), Next::Record(&first), "{round}");
            assert_eq!(area.next(), Next::Discarded);
            assert_eq!(area.next(), Next::Record(&second), "{round}");
            assert_eq!(area.next(), Next::Nothing);
            area.release();
            assert_eq!(writer.released(), writer.position);
        }
    }

    #[test]
    fn what_is_still_being_written_holds_up_what_follows() {
        let mut writer = Writer::new(4096);
        let mut area = Area::new(writer.file.as_fd(), 4096).unwrap();
        writer.write(BUSY, b"slow");
        writer.write(0, b"fast");
        assert_eq!(area.next(), Next::Nothing);
        area.release();
        assert_eq!(writer.released(), 0);
        writer.put(0, &4u32.to_ne_bytes());
        assert_eq!(area.next(), Next::Record(b"slow"));
        assert_eq!(area.next(), Next::Record(b"fast"));
    }
}
