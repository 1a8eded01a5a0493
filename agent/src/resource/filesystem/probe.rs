//! statvfs(3) that can't block a snapshot.
//!
//! A mount whose server is away blocks its caller in the kernel, out of reach of any signal. So
//! the call is made on a thread of its own: one that doesn't answer in time is left behind with
//! its mount point, which is not asked again until that thread comes back.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, TryRecvError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use nix::sys::stat;

use super::mount::Device;

/// How long one mount point may take.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long all of one snapshot may take.
const BUDGET: Duration = Duration::from_millis(600);
/// Threads that may be left behind; with more, no mount point is asked until one comes back.
const MAX_STUCK: usize = 16;
const STACK: usize = 64 << 10;

/// What a filesystem has, in blocks and inodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// What is mounted where this process looked.
    pub(super) device: Device,
    /// Bytes per block (`f_frsize`).
    pub(super) block_size: u64,
    pub(super) blocks: u64,
    pub(super) free: u64,
    /// Free for others than the superuser.
    pub(super) available: u64,
    pub(super) inodes: u64,
    pub(super) inodes_free: u64,
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Room(Room),
    /// The call failed.
    Failed,
    /// The mount point is out of this process's sight: not below its rootfs, or a FUSE mount that
    /// lets nobody but its user in.
    Unseen,
    /// No answer in time, for the first time.
    BecameStuck,
    /// Not asked, since the last call has not come back.
    StillStuck,
    /// Not asked: this snapshot's time is used up, or too many threads are stuck.
    GivenUp,
}

impl From<&io::Error> for Answer {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Self::Unseen,
            _ => Self::Failed,
        }
    }
}

type Stat = Arc<dyn Fn(&Path) -> io::Result<Room> + Send + Sync>;

/// Asks mount points for their room.
pub(super) struct Prober {
    stat: Stat,
    idle: Option<Worker>,
    stuck: HashMap<PathBuf, Worker>,
    deadline: Instant,
}

impl Default for Prober {
    fn default() -> Self {
        Self::new(Arc::new(statvfs))
    }
}

impl Prober {
    pub(super) fn new(stat: Stat) -> Self {
        Self {
            stat,
            idle: None,
            stuck: HashMap::new(),
            deadline: Instant::now(),
        }
    }

    /// Begins a snapshot: its time budget starts, and threads that came back are let go.
    pub(super) fn begin(&mut self) {
        self.deadline = Instant::now() + BUDGET;
        self.stuck
            .retain(|_, worker| worker.answers.try_recv() == Err(TryRecvError::Empty));
    }

    pub(super) fn ask(&mut self, point: &Path) -> Answer {
        if self.stuck.contains_key(point) {
            return Answer::StillStuck;
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || self.stuck.len() >= MAX_STUCK {
            return Answer::GivenUp;
        }
        let Some(worker) = self.idle.take().or_else(|| Worker::start(&self.stat)) else {
            return Answer::GivenUp;
        };
        if worker.requests.send(point.to_owned()).is_err() {
            return Answer::GivenUp;
        }
        let Ok(answer) = worker.answers.recv_timeout(left.min(PATIENCE)) else {
            self.stuck.insert(point.to_owned(), worker);
            return Answer::BecameStuck;
        };
        self.idle = Some(worker);
        answer
    }
}

struct Worker {
    requests: Sender<PathBuf>,
    answers: Receiver<Answer>,
}

impl Worker {
    /// `None` if the host has no thread left to give.
    fn start(stat: &Stat) -> Option<Self> {
        let (requests, inbox) = channel::<PathBuf>();
        let (outbox, answers) = channel();
        let stat = Arc::clone(stat);
        // Ends when its `requests` is dropped, and so when the prober lets it go.
        let work = move || {
            for point in inbox {
                let answer = stat(&point).map_or_else(|error| Answer::from(&error), Answer::Room);
                if outbox.send(answer).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("statvfs".into())
            .stack_size(STACK)
            .spawn(work)
            .ok()?;
        Some(Self { requests, answers })
    }
}

fn statvfs(point: &Path) -> io::Result<Room> {
    let device = stat::stat(point)?.st_dev;
    let room = nix::sys::statvfs::statvfs(point)?;
    Ok(Room {
        device: (stat::major(device), stat::minor(device)),
        block_size: room.fragment_size(),
        blocks: room.blocks(),
        free: room.blocks_free(),
        available: room.blocks_available(),
        inodes: room.files(),
        inodes_free: room.files_free(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const ROOM: Room = Room {
        device: (8, 1),
        block_size: 4096,
        blocks: 100,
        free: 40,
        available: 30,
        inodes: 10,
        inodes_free: 5,
    };

    /// A filesystem whose mounts below `/stuck` block until the returned sender is dropped.
    fn prober() -> (Prober, Sender<()>) {
        let (release, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let stat = move |point: &Path| {
            if point.starts_with("/stuck") {
                let gate = gate.lock().expect("no test panics while it waits");
                // Ends with an error when the sender goes.
                let _released = gate.recv();
            }
            Ok(ROOM)
        };
        (Prober::new(Arc::new(stat)), release)
    }

    #[test]
    fn fault_28_a_stuck_mount_blocks_neither_the_snapshot_nor_its_neighbours() {
        let (mut prober, release) = prober();
        prober.begin();
        let before = Instant::now();
        assert_eq!(prober.ask(Path::new("/stuck/nfs")), Answer::BecameStuck);
        assert_eq!(prober.ask(Path::new("/")), Answer::Room(ROOM));
        assert!(before.elapsed() < BUDGET);

        prober.begin();
        let before = Instant::now();
        assert_eq!(prober.ask(Path::new("/stuck/nfs")), Answer::StillStuck);
        assert!(before.elapsed() < PATIENCE);
        drop(release);
    }

    #[test]
    fn a_mount_that_comes_back_is_asked_again() {
        let (mut prober, release) = prober();
        prober.begin();
        assert_eq!(prober.ask(Path::new("/stuck")), Answer::BecameStuck);
        drop(release);
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            prober.begin();
            match prober.ask(Path::new("/stuck")) {
                Answer::Room(room) => break assert_eq!(room, ROOM),
                _ => assert!(Instant::now() < deadline, "never came back"),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn many_stuck_mounts_stay_within_the_budget_and_the_cap() {
        let (mut prober, release) = prober();
        let before = Instant::now();
        prober.begin();
        let answers: Vec<_> = (0..50)
            .map(|mount| prober.ask(&PathBuf::from(format!("/stuck/{mount}"))))
            .collect();
        assert!(before.elapsed() < BUDGET + PATIENCE);
        assert!(answers.contains(&Answer::GivenUp));
        assert!(prober.stuck.len() <= MAX_STUCK);
        drop(release);
    }

    #[test]
    fn the_root_of_this_host_answers() {
        let mut prober = Prober::default();
        prober.begin();
        assert!(matches!(prober.ask(Path::new("/")), Answer::Room(_)));
        assert_eq!(prober.ask(Path::new("/no/such/mount")), Answer::Unseen);
    }
}
