//! gRPC calls: their status and their messages.

use super::*;
use crate::l7::rpc::RpcStatus;

fn grpc(stream: u32) -> Vec<u8> {
    let block = [
        &POST[..],
        &field(":path", "/helloworld.Greeter/SayHello"),
        &field("content-type", "application/grpc+proto"),
        &field("te", "trailers"),
    ]
    .concat();
    frame(HEADERS, END_HEADERS, stream, block)
}

fn message(length: u8) -> Vec<u8> {
    [&[0, 0, 0, 0, length][..], &vec![7; usize::from(length)]].concat()
}

#[test]
fn a_streaming_call_lasts_until_its_trailers_and_counts_messages() {
    let sent: Vec<u8> = (0..5).flat_map(|_| message(20)).collect();
    let trailers = [field("grpc-status", "0"), field("grpc-message", "fine")].concat();
    let script = opened()
        .receive([grpc(1), frame(DATA, 0, 1, &sent[..60])].concat())
        .receive(frame(DATA, END_STREAM, 1, &sent[60..]))
        .send(head(1, "200"))
        .wait(seconds(10))
        .send(frame(DATA, 0, 1, message(0)))
        .wait(seconds(400))
        .send(frame(DATA, 0, 1, message(9)))
        .send(frame(HEADERS, END_STREAM | END_HEADERS, 1, trailers));
    let seen = only(&script);
    assert_eq!(seen.status, Some(200));
    let rpc = seen.rpc.expect("a call");
    assert_eq!(rpc.status, Some(RpcStatus::Ok));
    assert_eq!((rpc.requests, rpc.responses), (Some(5), Some(2)));
    assert_eq!((seen.end - seen.start) / seconds(1), 410);
    assert_eq!(
        (seen.request_body, seen.response_body),
        (Some(125), Some(19))
    );
}

#[test]
fn an_answer_of_trailers_only_has_both_statuses() {
    let block = [
        &OK_200[..],
        &field("content-type", "application/grpc"),
        &field("grpc-status", "12"),
    ]
    .concat();
    let script = opened()
        .receive([grpc(1), frame(DATA, END_STREAM, 1, message(3))].concat())
        .send(frame(HEADERS, END_STREAM | END_HEADERS, 1, block));
    let seen = only(&script);
    assert_eq!(seen.status, Some(200));
    let rpc = seen.rpc.expect("a call");
    assert_eq!(rpc.status, Some(RpcStatus::Unimplemented));
    assert_eq!((rpc.requests, rpc.responses), (Some(1), Some(0)));
}

#[test]
fn only_grpc_itself_is_grpc() {
    for (kind, is_grpc) in [
        ("application/grpc", true),
        ("application/grpc;v=1", true),
        ("application/grpc-web+proto", false),
        ("application/json", false),
    ] {
        let block = [
            &POST[..],
            &field(":path", "/a/b"),
            &field("content-type", kind),
        ]
        .concat();
        let script = opened()
            .receive(frame(HEADERS, END_STREAM | END_HEADERS, 1, block))
            .send([head(1, "200"), last_data(1, 9)].concat());
        assert_eq!(only(&script).rpc.is_some(), is_grpc, "{kind}");
    }
}
