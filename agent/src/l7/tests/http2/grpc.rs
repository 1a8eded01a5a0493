//! gRPC as tonic speaks it, client and server.

use std::{
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::{Buf, BufMut, Bytes};
use hyper_util::rt::TokioIo;
use tokio::io::{DuplexStream, duplex};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    client::Grpc as Client,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::{BoxFuture, Service, http, tokio_stream},
    server::{Grpc, NamedService},
    transport::{Channel, Endpoint, Server, Uri},
};

use super::{
    tap::{self, Tap, Tape},
    *,
};
use crate::l7::rpc::RpcStatus;

/// Messages that are bytes.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Answers with what it was asked, with as many messages as the first one says, or with how many it
/// got.
#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl Service<Request<Bytes>> for Echo {
    type Response = Response<Bytes>;
    type Error = Status;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let message = request.into_inner();
        ready(match message.first() {
            None => Err(Status::not_found("nothing")),
            Some(_) => Ok(Response::new(message)),
        })
    }
}

type Messages = tokio_stream::Iter<std::vec::IntoIter<Result<Bytes, Status>>>;

#[derive(Clone)]
struct Repeat;

impl tonic::server::ServerStreamingService<Bytes> for Repeat {
    type Response = Bytes;
    type ResponseStream = Messages;
    type Future = Ready<Result<Response<Messages>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let message = request.into_inner();
        let count = usize::from(message[0]);
        let mut messages = vec![Ok(Bytes::from(vec![b'm'; 10_000])); count];
        messages.push(Err(Status::data_loss("the end")));
        ready(Ok(Response::new(tokio_stream::iter(messages))))
    }
}

#[derive(Clone)]
struct Count;

impl tonic::server::ClientStreamingService<Bytes> for Count {
    type Response = Bytes;
    type Future = BoxFuture<Response<Bytes>, Status>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        Box::pin(async move {
            let (mut stream, mut count) = (request.into_inner(), 0_u8);
            while stream.message().await?.is_some() {
                count += 1;
            }
            Ok(Response::new(Bytes::from(vec![count])))
        })
    }
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<http::Response<Body>, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(Raw);
            Ok(match request.uri().path() {
                "/test.Echo/Unary" => grpc.unary(Self, request).await,
                "/test.Echo/Repeat" => grpc.server_streaming(Repeat, request).await,
                "/test.Echo/Count" => grpc.client_streaming(Count, request).await,
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

/// Connects to the other end of a pipe, once.
struct Connector(Option<DuplexStream>);

impl Service<Uri> for Connector {
    type Response = TokioIo<DuplexStream>;
    type Error = std::io::Error;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let end = self.0.take().map(TokioIo::new);
        ready(end.ok_or_else(|| std::io::ErrorKind::ConnectionRefused.into()))
    }
}

async fn calls(channel: Channel) {
    let mut client = Client::new(channel);
    let path = |name: &str| format!("/test.Echo/{name}").parse().expect("a path");
    for message in [&b"hello"[..], b"", b"again"] {
        client.ready().await.expect("ready");
        let request = Request::new(Bytes::from_static(message));
        let answer = client.unary(request, path("Unary"), Raw).await;
        assert_eq!(answer.is_ok(), !message.is_empty());
    }
    client.ready().await.expect("ready");
    let request = Request::new(Bytes::from_static(&[7]));
    let answer = client.server_streaming(request, path("Repeat"), Raw).await;
    let mut stream = answer.expect("an answer").into_inner();
    while let Ok(Some(_)) = stream.message().await {}
    client.ready().await.expect("ready");
    let messages = tokio_stream::iter(vec![Bytes::from(vec![b'x'; 20_000]); 5]);
    let answer = client
        .client_streaming(Request::new(messages), path("Count"), Raw)
        .await;
    assert_eq!(answer.expect("an answer").into_inner(), [5][..]);
    client.ready().await.expect("ready");
    let request = Request::new(Bytes::new());
    let answer: Result<Response<Bytes>, _> = client.unary(request, path("Nothing"), Raw).await;
    assert_eq!(
        answer.expect_err("no such method").code(),
        tonic::Code::Unimplemented
    );
}

/// What the server's end read and wrote.
fn converse() -> Tape {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let tape: Arc<Mutex<Tape>> = runtime.block_on(async {
        let (near, far) = duplex(1 << 20);
        let (near, tape) = Tap::new(near);
        let incoming = tokio_stream::once(Ok::<_, std::io::Error>(near));
        let server = Server::builder()
            .add_service(Echo)
            .serve_with_incoming(incoming);
        tokio::spawn(server);
        let endpoint = Endpoint::from_static("http://shop.test");
        let channel = endpoint.connect_with_connector(Connector(Some(far))).await;
        calls(channel.expect("connected")).await;
        tape
    });
    let tape = tape.lock().expect("no panic under the lock");
    tape.clone()
}

/// Path, status, messages asked with and answered with.
type Call = (&'static str, &'static str, u32, u32);

const CALLS: [Call; 6] = [
    ("/test.Echo/Unary", "OK", 1, 1),
    ("/test.Echo/Unary", "NOT_FOUND", 1, 0),
    ("/test.Echo/Unary", "OK", 1, 1),
    ("/test.Echo/Repeat", "DATA_LOSS", 1, 7),
    ("/test.Echo/Count", "OK", 5, 1),
    ("/test.Echo/Nothing", "UNIMPLEMENTED", 1, 0),
];

#[test]
fn calls_have_their_method_status_and_messages() {
    let tape = converse();
    for sizes in [&[usize::MAX][..], &[1], &[7, 400, 16_384]] {
        let scripts = [tap::whole(&tape, sizes), tap::captured(&tape, sizes)];
        for (script, whole) in scripts.into_iter().zip([true, false]) {
            for script in [script.clone(), script.mirrored()] {
                let (exchanges, _) = run(&script);
                assert_eq!(exchanges.len(), CALLS.len());
                for (exchange, call) in exchanges.iter().zip(CALLS) {
                    is(exchange, call, whole);
                }
            }
        }
    }
}

/// Whether an exchange is this call. The prefix of a message within a DATA frame may be one of the
/// bytes that the kernel side leaves out: then there is no count.
#[track_caller]
fn is(exchange: &Exchange, (path, status, requests, responses): Call, whole: bool) {
    assert_eq!((exchange.status, exchange.failure), (Some(200), None));
    assert_eq!(&*exchange.path, path);
    let rpc = exchange.rpc.expect("a call");
    assert_eq!(rpc.status.map(RpcStatus::as_str), Some(status));
    for (told, real) in [(rpc.requests, requests), (rpc.responses, responses)] {
        assert!(
            told == Some(real) || told.is_none() && !whole,
            "{path}: {told:?}"
        );
    }
}
