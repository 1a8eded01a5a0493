//! The HTTP/1.1 client: one connection after another, with everything that a plan asks for.

use std::{io::Write as _, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::{
    Target,
    message::{self, Pace, Reader},
    plan::{Abort, Plan},
    planner::Planner,
    sent::Sent,
    stream::Stream,
};

/// Time for the other end to read what was sent, before a client breaks off.
const MOMENT: Duration = Duration::from_millis(5);
/// Time after which a client that isn't answered goes: long enough that the server has read the
/// request, much shorter than the server takes.
const UNANSWERED: Duration = Duration::from_millis(60);

/// One worker's client.
pub(super) struct Client {
    pub(super) target: Target,
    pub(super) planner: Planner,
}

struct Connection {
    stream: Stream,
    reader: Reader,
}

impl Client {
    /// Asks for everything that is planned.
    pub(super) fn run(mut self) -> Result<Vec<Sent>> {
        let mut sent = Vec::new();
        let mut connection = None;
        loop {
            let plans = self.planner.next();
            let Some(first) = plans.first() else {
                return Ok(sent);
            };
            let mut open = match connection.take() {
                Some(open) => {
                    pause(first.think);
                    open
                }
                None => self.connect()?,
            };
            if let Some(abort) = first.abort {
                sent.push(
                    self.break_off(open, first, abort)
                        .with_context(|| format!("{first:?}"))?,
                );
                continue;
            }
            let done = self.exchange(&mut open, &plans);
            sent.extend(done.with_context(|| format!("{plans:?}"))?);
            let last = plans.iter().any(|plan| plan.last);
            connection = (!last).then_some(open);
        }
    }

    fn connect(&self) -> Result<Connection> {
        Ok(Connection {
            stream: Stream::open(&self.target)?,
            reader: Reader::new(),
        })
    }

    fn host(&self) -> String {
        self.target.address.to_string()
    }

    /// Sends one request, or a pipeline of them, and reads the answers.
    fn exchange(&mut self, open: &mut Connection, plans: &[Plan]) -> Result<Vec<Sent>> {
        let host = self.host();
        open.stream.begin();
        if let [plan] = plans {
            self.send(open, plan, &host)?;
        } else {
            let all: Vec<u8> = plans
                .iter()
                .flat_map(|plan| message::head(plan, &host))
                .collect();
            open.stream.write_all(&all)?;
        }
        let mut sent = Vec::with_capacity(plans.len());
        for plan in plans {
            let pace = if plan.slow { Pace::Slow } else { Pace::Fast };
            let answer = open.reader.answer(&mut open.stream, plan.method, pace)?;
            ensure!(
                (answer.status, answer.body) == (plan.status, plan.answer_size()),
                "answered with {answer:?}"
            );
            sent.push(Sent::whole(plan, open.stream.took(), plans.len() > 1));
        }
        ensure!(open.reader.is_empty(), "more than was asked for");
        Ok(sent)
    }

    fn send(&mut self, open: &mut Connection, plan: &Plan, host: &str) -> Result<()> {
        let mut bytes = message::head(plan, host);
        if plan.expect {
            open.stream.write_all(&bytes)?;
            self.await_continue(open)?;
            bytes.clear();
        }
        bytes.extend(message::body(plan));
        let mut from = 0;
        for cut in self.planner.cuts(bytes.len(), plan.pieces) {
            open.stream.write_all(&bytes[from..cut])?;
            pause(plan.pause);
            from = cut;
        }
        Ok(open.stream.write_all(&bytes[from..])?)
    }

    #[expect(clippy::unused_self, reason = "reads as a step of the client's")]
    fn await_continue(&self, open: &mut Connection) -> Result<()> {
        let interim = open.reader.answer(&mut open.stream, "POST", Pace::Fast)?;
        ensure!(interim.status == 100, "{interim:?} instead of 100");
        Ok(())
    }

    /// Sends what there is to be sent before the client goes, and goes.
    fn break_off(&mut self, mut open: Connection, plan: &Plan, abort: Abort) -> Result<Sent> {
        let head = message::head(plan, &self.host());
        match abort {
            Abort::Head => {
                let part = self.planner.below(head.len() - 1);
                open.stream.write_all(&head[..part])?;
                pause(MOMENT);
            }
            Abort::BodyReset | Abort::BodyClose => {
                open.stream.write_all(&head)?;
                self.await_continue(&mut open)?;
                let body = message::body(plan);
                open.stream.write_all(&body[..body.len() / 2])?;
                pause(MOMENT);
            }
            Abort::Unanswered => {
                open.stream.write_all(&head)?;
                pause(UNANSWERED);
            }
            Abort::Answer => {
                open.stream.narrow()?;
                open.stream.write_all(&head)?;
                open.reader.pass(&mut open.stream, 100_000, Pace::Fast)?;
            }
        }
        if abort == Abort::BodyClose {
            open.stream.close()?;
        } else {
            open.stream.reset()?;
        }
        Ok(Sent::broken_off(plan, abort))
    }
}

fn pause(time: Duration) {
    if !time.is_zero() {
        thread::sleep(time);
    }
}
