//! The HTTP/2 client: several streams at once on one connection after another.

use std::{future::poll_fn, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use h2::{
    Reason, RecvStream, SendStream,
    client::{SendRequest, handshake},
};
use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

use super::{
    Target,
    frames::{Frames, Times},
    plan::{Abort, Framing, Plan},
    planner::Planner,
    sent::Sent,
    server::HOST,
    splitting::{Io, Splitting},
    wire::AsyncWire,
};

/// Requests at once on a connection.
const STREAMS: usize = 4;
/// Requests of a connection, at most.
const REQUESTS: usize = 300;
/// Bytes of one DATA frame of a request, at most.
const FRAME: usize = 10_000;
/// Time in which an exchange must be over.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time for the other end to read what was sent, before a stream is reset.
const MOMENT: Duration = Duration::from_millis(5);
/// See [`super::http1`].
const UNANSWERED: Duration = Duration::from_millis(60);

/// One worker's client.
pub(super) struct Client {
    pub(super) target: Target,
    pub(super) planner: Planner,
}

impl Client {
    /// Asks for everything that is planned.
    pub(super) fn run(self) -> Result<Vec<Sent>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.ask())
    }

    async fn ask(mut self) -> Result<Vec<Sent>> {
        let mut sent = Vec::new();
        loop {
            let requests = self.planner.below(REQUESTS);
            let frames = self.connect().await?;
            let times = frames.times();
            let (streams, connection) = handshake(frames).await?;
            let connection = tokio::spawn(connection);
            let over = self
                .use_connection(streams, &times, requests, &mut sent)
                .await?;
            // Ends in order once nobody uses it.
            timeout(PATIENCE, connection).await???;
            if over {
                return Ok(sent);
            }
        }
    }

    async fn connect(&mut self) -> Result<Frames> {
        let socket = TcpStream::connect(self.target.address).await?;
        socket.set_nodelay(true)?;
        let wire = AsyncWire::new(socket)?;
        let last = wire.last();
        let mut io: Io = match &self.target.tls {
            None => Box::new(wire),
            Some(config) => {
                let name = ServerName::try_from(HOST)?;
                let connector = TlsConnector::from(Arc::clone(config));
                let io = connector.connect(name, wire).await;
                Box::new(io.context("the handshake")?)
            }
        };
        if !self.planner.is_alone() {
            io = Box::new(Splitting::new(io, self.planner.seed()));
        }
        Ok(Frames::new(io, last))
    }

    /// Requests at once.
    const fn streams(&self) -> usize {
        if self.planner.is_alone() { 1 } else { STREAMS }
    }

    /// Makes so many requests on a connection; whether there are no more.
    async fn use_connection(
        &mut self,
        mut streams: SendRequest<Bytes>,
        times: &Times,
        requests: usize,
        sent: &mut Vec<Sent>,
    ) -> Result<bool> {
        let Target { address, tls, .. } = &self.target;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://{address}");
        let mut under_way = JoinSet::new();
        let mut over = false;
        for _ in 0..requests {
            let Some(plan) = self.planner.next().pop() else {
                over = true;
                break;
            };
            if under_way.len() >= self.streams()
                && let Some(done) = under_way.join_next().await
            {
                sent.push(done??);
            }
            sleep(plan.think).await;
            streams = streams.ready().await?;
            let stream = Request::open(&mut streams, times, plan, &base)?;
            under_way.spawn(async move {
                let plan = format!("{:?}", stream.plan);
                let done = timeout(PATIENCE, stream.finish()).await;
                done.map_err(anyhow::Error::from)
                    .flatten()
                    .with_context(|| plan)
            });
        }
        while let Some(done) = under_way.join_next().await {
            sent.push(done??);
        }
        Ok(over)
    }
}

/// A request that has been begun.
struct Request {
    plan: Plan,
    times: Times,
    body: SendStream<Bytes>,
    answer: h2::client::ResponseFuture,
}

impl Request {
    fn open(
        streams: &mut SendRequest<Bytes>,
        times: &Times,
        plan: Plan,
        base: &str,
    ) -> Result<Self> {
        let mut request = http::Request::builder()
            .method(plan.method)
            .uri(format!("{base}{}", plan.target()))
            .header("user-agent", "oracle");
        if let Some(payload) = plan.request
            && payload.framing == Framing::Length
        {
            request = request.header("content-length", payload.size);
        }
        let (answer, body) = streams.send_request(request.body(())?, plan.request.is_none())?;
        Ok(Self {
            plan,
            times: times.clone(),
            body,
            answer,
        })
    }

    async fn finish(mut self) -> Result<Sent> {
        if let Some(abort) = self.plan.abort {
            return self.break_off(abort).await;
        }
        self.send(self.plan.request.map_or(0, |payload| payload.size), true)
            .await?;
        self.read().await
    }

    /// Sends so many bytes, in several frames; the last one ends the stream when `ends`.
    async fn send(&mut self, mut left: usize, ends: bool) -> Result<()> {
        if self.plan.request.is_none() {
            return Ok(());
        }
        if left == 0 {
            return Ok(self.body.send_data(Bytes::new(), ends)?);
        }
        while left > 0 {
            self.body.reserve_capacity(left.min(FRAME));
            let room = poll_fn(|context| self.body.poll_capacity(context)).await;
            let room = room.context("the stream has ended")??.min(left);
            left -= room;
            let part = Bytes::from(vec![b'b'; room]);
            self.body.send_data(part, ends && left == 0)?;
            if self.plan.pieces > 1 {
                sleep(self.plan.pause).await;
            }
        }
        Ok(())
    }

    async fn read(self) -> Result<Sent> {
        let answer = self.answer.await?;
        let status = answer.status().as_u16();
        let mut body = answer.into_body();
        let mut size = 0;
        while let Some(count) = next(&mut body).await? {
            size += count;
            if self.plan.slow {
                sleep(Duration::from_micros(500)).await;
            }
        }
        body.trailers().await?;
        let took = self.times.take(self.body.stream_id().as_u32())?;
        let plan = &self.plan;
        ensure!(
            (status, size) == (plan.status, plan.answer_size()),
            "answered with {status} and {size} bytes"
        );
        Ok(Sent::whole(plan, took, false))
    }

    /// Sends what there is to be sent before the stream is reset, and resets it.
    async fn break_off(mut self, abort: Abort) -> Result<Sent> {
        match abort {
            Abort::BodyReset => {
                self.send(
                    self.plan.request.map_or(0, |payload| payload.size / 2),
                    false,
                )
                .await?;
                sleep(MOMENT).await;
            }
            Abort::Unanswered => sleep(UNANSWERED).await,
            Abort::Answer => {
                let mut body = (&mut self.answer).await?.into_body();
                let mut size = 0;
                while size < 50_000 {
                    size += next(&mut body).await?.context("the answer's end")?;
                }
            }
            Abort::Head | Abort::BodyClose => anyhow::bail!("a stream has no {abort:?}"),
        }
        self.body.send_reset(Reason::CANCEL);
        Ok(Sent::broken_off(&self.plan, abort))
    }
}

/// Bytes of the next DATA frame; `None` at the end.
async fn next(body: &mut RecvStream) -> Result<Option<u64>> {
    let Some(part) = body.data().await else {
        return Ok(None);
    };
    let count = part?.len();
    body.flow_control().release_capacity(count)?;
    Ok(Some(count as u64))
}
