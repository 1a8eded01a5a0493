//! What the observer is told by others, and how it waits for that.

use std::{
    os::fd::{AsFd as _, BorrowedFd},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, ppoll},
    sys::{
        eventfd::{EfdFlags, EventFd},
        time::TimeSpec,
    },
};

use crate::{config::Config, metric::Family};

/// What the observer is told.
pub(super) enum Control {
    /// The resources have been read: make a snapshot with them.
    Snapshot(Vec<Family>),
    /// Settings have changed.
    Reload(Box<Config>),
    /// Detach, drain, make the last snapshot, end.
    Stop,
}

/// Tells the observer.
#[derive(Clone)]
pub(super) struct Sender {
    commands: mpsc::Sender<Control>,
    bell: Arc<EventFd>,
}

/// The observer's end. Where something else is to end its waiting, too, a channel alone won't do:
/// the bell is a descriptor, which can be polled beside others.
pub(super) struct Receiver {
    commands: mpsc::Receiver<Control>,
    bell: Arc<EventFd>,
}

/// Nobody is left to tell anything, or to be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// What ended a wait.
pub(super) enum Woken {
    /// A command; there may be more.
    Told(Control),
    /// The other descriptor can be read.
    Readable,
    /// The time is up, or a signal came.
    Nothing,
}

/// A way to tell the observer something.
pub(super) fn channel() -> nix::Result<(Sender, Receiver)> {
    let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
    let bell = Arc::new(bell);
    let (sender, commands) = mpsc::channel();
    let sender = Sender {
        commands: sender,
        bell: Arc::clone(&bell),
    };
    Ok((sender, Receiver { commands, bell }))
}

impl Sender {
    pub(super) fn send(&self, control: Control) -> Result<(), Gone> {
        self.commands.send(control).map_err(|_| Gone)?;
        // Fails only when it has been rung 2^64 times and not been heard.
        let _ = self.bell.write(1);
        Ok(())
    }
}

impl Receiver {
    /// Waits for a command, for `other` where there is one, or for `longest`. That the last sender
    /// has gone is told when the wait ends for another reason.
    pub(super) fn wait(
        &self,
        longest: Duration,
        other: Option<BorrowedFd<'_>>,
    ) -> Result<Woken, Gone> {
        if let Some(control) = self.next()? {
            return Ok(Woken::Told(control));
        }
        let bell = PollFd::new(self.bell.as_fd(), PollFlags::POLLIN);
        // Without another one, the bell is simply polled twice.
        let other = PollFd::new(other.unwrap_or(self.bell.as_fd()), PollFlags::POLLIN);
        let mut polled = [bell, other];
        match ppoll(&mut polled, Some(TimeSpec::from_duration(longest)), None) {
            Ok(_) | Err(Errno::EINTR) => {}
            // Out of memory, say: the timer is what it falls back on.
            Err(_) => thread::sleep(longest),
        }
        let [bell, other] = polled.map(|fd| fd.any().unwrap_or(false));
        if bell {
            // So that it rings again.
            let _ = self.bell.read();
        }
        Ok(match self.next()? {
            Some(control) => Woken::Told(control),
            None if other && !bell => Woken::Readable,
            None => Woken::Nothing,
        })
    }

    /// A command that has come.
    pub(super) fn next(&self) -> Result<Option<Control>, Gone> {
        match self.commands.try_recv() {
            Ok(control) => Ok(Some(control)),
            Err(mpsc::TryRecvError::Empty) => Ok(None),
            Err(mpsc::TryRecvError::Disconnected) => Err(Gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, time::Instant};

    use super::*;

    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(1);

    #[test]
    fn a_command_ends_the_wait_and_each_is_told_once() {
        let (sender, receiver) = channel().unwrap();
        let began = Instant::now();
        let teller = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            sender.send(Control::Snapshot(Vec::new())).unwrap();
            sender.send(Control::Stop).unwrap();
            sender
        });
        let first = receiver.wait(LONG, None).unwrap();
        assert!(matches!(first, Woken::Told(Control::Snapshot(_))));
        let sender = teller.join().unwrap();
        let second = receiver.wait(LONG, None).unwrap();
        assert!(matches!(second, Woken::Told(Control::Stop)));
        assert!(began.elapsed() < LONG);
        // The bell of the second may still ring, but only once.
        let _ = receiver.wait(SHORT, None).unwrap();
        let began = Instant::now();
        let quiet = receiver.wait(Duration::from_millis(50), None).unwrap();
        assert!(matches!(quiet, Woken::Nothing));
        assert!(began.elapsed() >= Duration::from_millis(50));
        drop(sender);
        assert!(matches!(receiver.wait(SHORT, None), Err(Gone)));
    }

    #[test]
    fn another_descriptor_ends_the_wait() {
        let (sender, receiver) = channel().unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        let other = Some(reader.as_fd());
        let quiet = receiver.wait(SHORT, other).unwrap();
        assert!(matches!(quiet, Woken::Nothing));
        writer.write_all(b"x").unwrap();
        let woken = receiver.wait(LONG, other).unwrap();
        assert!(matches!(woken, Woken::Readable));
        sender.send(Control::Stop).unwrap();
        let told = receiver.wait(LONG, other).unwrap();
        assert!(matches!(told, Woken::Told(Control::Stop)));
    }

    #[test]
    fn who_is_gone_is_told_nothing() {
        let (sender, receiver) = channel().unwrap();
        drop(receiver);
        assert_eq!(sender.send(Control::Stop), Err(Gone));
    }
}
