//! Reads whole maps: what the programs have counted.

use std::{io, mem::size_of, os::fd::AsFd as _};

use aya::{
    Ebpf, Pod,
    maps::{HashMap, Map, MapData, MapError, PerCpuArray, PerCpuHashMap, PerCpuValues, Queue},
};

use super::{pod, sys};

/// Why a map can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object has no such map.
    #[error("the kernel side has no map {0}")]
    Missing(&'static str),
    /// A system call failed.
    #[error("can't read map {name}: {source}")]
    Read {
        /// Which map.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
    /// aya refused it: another type or size than the two sides agreed on.
    #[error("can't read map {name}: {source}")]
    Map {
        /// Which map.
        name: &'static str,
        /// Why.
        source: MapError,
    },
}

fn find<'a>(ebpf: &'a Ebpf, name: &'static str) -> Result<&'a Map, Error> {
    ebpf.map(name).ok_or(Error::Missing(name))
}

/// Entries that one system call reads.
const BATCH: u32 = 1024;

/// All entries of a hash map. Entries that come or go meanwhile may be missing, none is torn.
pub fn entries<K: Pod, V: Pod>(ebpf: &Ebpf, name: &'static str) -> Result<Vec<(K, V)>, Error> {
    let map = find(ebpf, name)?;
    let (Map::HashMap(data) | Map::LruHashMap(data)) = map else {
        return Err(Error::Missing(name));
    };
    match batches(data) {
        Ok(entries) => Ok(entries),
        // ENOSPC: a bucket with more entries than a batch has room for. EINVAL: no batches on
        // this kernel or map type.
        Err(_) => one_by_one(map, name),
    }
}

fn batches<K: Pod, V: Pod>(data: &MapData) -> io::Result<Vec<(K, V)>> {
    let mut entries = Vec::new();
    let sizes = (size_of::<K>(), size_of::<V>());
    each_batch(data, sizes, |mut keys, mut values, count| {
        for _ in 0..count {
            let (Some((key, more_keys)), Some((value, more_values))) =
                (pod::view::<K>(keys), pod::view::<V>(values))
            else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            entries.push((*key, *value));
            (keys, values) = (more_keys, more_values);
        }
        Ok(())
    })?;
    Ok(entries)
}

/// Hands over the bytes of keys and values, a batch at a time, with the number of entries.
fn each_batch(
    data: &MapData,
    (key_size, value_size): (usize, usize),
    mut take: impl FnMut(&[u8], &[u8], usize) -> io::Result<()>,
) -> io::Result<()> {
    // Words, so that the entries are aligned for every record of this tree.
    let mut keys = vec![0u64; (BATCH as usize * key_size).div_ceil(8)];
    let mut values = vec![0u64; (BATCH as usize * value_size).div_ceil(8)];
    let mut cursor = sys::Cursor::default();
    loop {
        let (count, more) = sys::lookup_batch(
            data.fd().as_fd(),
            &mut cursor,
            pod::bytes_mut(&mut keys),
            pod::bytes_mut(&mut values),
            BATCH,
        )?;
        take(pod::bytes_of(&keys), pod::bytes_of(&values), count)?;
        if !more {
            return Ok(());
        }
    }
}

/// Number of entries that a hash map holds, by looking at all of them: for maps that hold few.
pub fn count(ebpf: &Ebpf, name: &'static str) -> Result<usize, Error> {
    let (Map::HashMap(data) | Map::LruHashMap(data)) = find(ebpf, name)? else {
        return Err(Error::Missing(name));
    };
    let info = data.info().map_err(|source| Error::Map { name, source })?;
    let sizes = (info.key_size() as usize, info.value_size() as usize);
    let mut entries = 0;
    each_batch(data, sizes, |_, _, count| {
        entries += count;
        Ok(())
    })
    .map_err(|source| Error::Read { name, source })?;
    Ok(entries)
}

/// Most entries that a map can hold.
pub fn capacity(ebpf: &Ebpf, name: &'static str) -> Result<u32, Error> {
    let (Map::HashMap(data) | Map::PerCpuHashMap(data)) = find(ebpf, name)? else {
        return Err(Error::Missing(name));
    };
    let info = data.info().map_err(|source| Error::Map { name, source })?;
    Ok(info.max_entries())
}

fn one_by_one<K: Pod, V: Pod>(map: &Map, name: &'static str) -> Result<Vec<(K, V)>, Error> {
    let table: HashMap<_, K, V> =
        HashMap::try_from(map).map_err(|source| Error::Map { name, source })?;
    let mut entries = Vec::new();
    for entry in &table {
        match entry {
            Ok(entry) => entries.push(entry),
            // Gone between two calls.
            Err(MapError::KeyNotFound) => {}
            Err(source) => return Err(Error::Map { name, source }),
        }
    }
    Ok(entries)
}

/// Adds or overwrites entries of a hash map.
pub fn insert<K: Pod, V: Pod>(
    ebpf: &mut Ebpf,
    name: &'static str,
    entries: impl IntoIterator<Item = (K, V)>,
) -> Result<(), Error> {
    let map = ebpf.map_mut(name).ok_or(Error::Missing(name))?;
    let failed = |source| Error::Map { name, source };
    let mut table: HashMap<_, K, V> = HashMap::try_from(map).map_err(failed)?;
    for (key, value) in entries {
        table.insert(key, value, 0).map_err(failed)?;
    }
    Ok(())
}

/// Puts values into a queue.
pub fn fill<V: Pod>(
    ebpf: &mut Ebpf,
    name: &'static str,
    values: impl IntoIterator<Item = V>,
) -> Result<(), Error> {
    let map = ebpf.map_mut(name).ok_or(Error::Missing(name))?;
    let failed = |source| Error::Map { name, source };
    let mut queue: Queue<_, V> = Queue::try_from(map).map_err(failed)?;
    for value in values {
        queue.push(value, 0).map_err(failed)?;
    }
    Ok(())
}

/// Removes entries of a hash map; those that are gone already don't matter.
pub fn remove<K: Pod, V: Pod>(
    ebpf: &mut Ebpf,
    name: &'static str,
    keys: impl IntoIterator<Item = K>,
) -> Result<(), Error> {
    let map = ebpf.map_mut(name).ok_or(Error::Missing(name))?;
    let mut table: HashMap<_, K, V> =
        HashMap::try_from(map).map_err(|source| Error::Map { name, source })?;
    for key in keys {
        match table.remove(&key) {
            Ok(()) | Err(MapError::KeyNotFound) => {}
            Err(MapError::SyscallError(error))
                if error.io_error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(source) => return Err(Error::Map { name, source }),
        }
    }
    Ok(())
}

/// All entries of a per-CPU hash map, each the sum of the CPUs' counters.
pub fn sums_by_key<K: Pod>(ebpf: &Ebpf, name: &'static str) -> Result<Vec<(K, u64)>, Error> {
    let table: PerCpuHashMap<_, K, u64> =
        PerCpuHashMap::try_from(find(ebpf, name)?).map_err(|source| Error::Map { name, source })?;
    let mut entries = Vec::new();
    for entry in &table {
        match entry {
            Ok((key, copies)) => entries.push((key, copies.iter().sum())),
            Err(MapError::KeyNotFound) => {}
            Err(source) => return Err(Error::Map { name, source }),
        }
    }
    Ok(entries)
}

/// Each CPU's copies of a per-CPU array's first `count` values.
pub fn per_cpu<V: Pod>(
    ebpf: &Ebpf,
    name: &'static str,
    count: u32,
) -> Result<Vec<PerCpuValues<V>>, Error> {
    let array: PerCpuArray<_, V> =
        PerCpuArray::try_from(find(ebpf, name)?).map_err(|source| Error::Map { name, source })?;
    (0..count.min(array.len()))
        .map(|index| {
            array
                .get(&index, 0)
                .map_err(|source| Error::Map { name, source })
        })
        .collect()
}

/// The sums over all CPUs of a per-CPU array's first `count` counters.
pub fn sums(ebpf: &Ebpf, name: &'static str, count: u32) -> Result<Vec<u64>, Error> {
    let values = per_cpu::<u64>(ebpf, name, count)?;
    Ok(values.iter().map(|copies| copies.iter().sum()).collect())
}
