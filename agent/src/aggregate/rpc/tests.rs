use super::*;
use crate::{
    aggregate::fixture::{clock, exchange, resource, series, snapshot},
    l7::{
        exchange::{ErrorCode, Failure, Method},
        rpc::Rpc,
    },
};

fn call(role: Role, status: RpcStatus) -> Exchange {
    let mut call = exchange(role);
    call.method = Method::Post;
    call.path = "/shop.Orders/Get".into();
    call.version = "2";
    call.rpc = Some(Rpc {
        status: Some(status),
        requests: Some(1),
        responses: Some(1),
    });
    call
}

fn lines(calls: &Calls, name: &str) -> Vec<String> {
    series(&snapshot(|collector| calls.collect(collector)), name)
}

fn observed(exchanges: &[Exchange]) -> Calls {
    let mut calls = Calls::new(CallLimits::default());
    for exchange in exchanges {
        calls.observe(exchange, &resource("shop"), None, &clock());
    }
    calls
}

#[test]
fn a_servers_and_a_clients_calls_are_told_apart() {
    let calls = observed(&[
        call(Role::Server, RpcStatus::Ok),
        call(Role::Server, RpcStatus::NotFound),
        call(Role::Client, RpcStatus::NotFound),
        exchange(Role::Server),
    ]);
    assert_eq!(
        lines(&calls, "rpc.server.call.duration"),
        [
            "n=1 s=0.003 {service.name=shop,rpc.method=shop.Orders/Get,rpc.response.status_code=OK,rpc.system.name=grpc}",
            "n=1 s=0.003 {service.name=shop,rpc.method=shop.Orders/Get,rpc.response.status_code=NOT_FOUND,rpc.system.name=grpc}",
        ]
    );
    assert_eq!(
        lines(&calls, "rpc.client.call.duration"),
        [
            "n=1 s=0.003 {service.name=shop,error.type=NOT_FOUND,rpc.method=shop.Orders/Get,rpc.response.status_code=NOT_FOUND,rpc.system.name=grpc,server.address=192.0.2.1,server.port=8080}"
        ]
    );
}

#[test]
fn a_call_without_a_status_says_what_ended_it() {
    let mut reset = call(Role::Server, RpcStatus::Ok);
    reset.rpc = Some(Rpc::default());
    reset.failure = Some(Failure::StreamReset(ErrorCode::Cancel));
    assert_eq!(
        lines(&observed(&[reset]), "rpc.server.call.duration"),
        [
            "n=1 s=0.003 {service.name=shop,error.type=CANCEL,rpc.method=shop.Orders/Get,rpc.system.name=grpc}"
        ]
    );
}

#[test]
fn a_hidden_path_is_no_method() {
    let mut hidden = call(Role::Server, RpcStatus::Ok);
    hidden.path = "".into();
    assert_eq!(
        lines(&observed(&[hidden]), "rpc.server.call.duration"),
        ["n=1 s=0.003 {service.name=shop,rpc.response.status_code=OK,rpc.system.name=grpc}"]
    );
}

#[test]
fn methods_that_nobody_has_take_no_room() {
    let mut calls = Calls::new(CallLimits {
        methods_per_service: 2,
        ..CallLimits::default()
    });
    let mut observe = |path: &str, status| {
        let mut call = call(Role::Server, status);
        call.path = path.into();
        let id = calls.observe(&call, &resource("shop"), None, &clock());
        calls.method(id.expect("a call")).map(ToString::to_string)
    };
    let ok = RpcStatus::Ok;
    for number in 0..100 {
        let path = format!("/scan.{number}/X");
        assert_eq!(
            observe(&path, RpcStatus::Unimplemented).as_deref(),
            Some("_OTHER")
        );
    }
    assert_eq!(observe("/a.A/One", ok).as_deref(), Some("a.A/One"));
    assert_eq!(observe("/a.A/Two", ok).as_deref(), Some("a.A/Two"));
    assert_eq!(observe("/a.A/Three", ok).as_deref(), Some("_OTHER"));
    assert_eq!(
        observe("/a.A/One", RpcStatus::Unimplemented).as_deref(),
        Some("a.A/One")
    );
    assert_eq!(calls.usage().map(|usage| usage.overflowed), [0, 0, 1]);
}

#[test]
fn a_service_that_is_gone_is_forgotten() {
    let mut calls = observed(&[call(Role::Server, RpcStatus::Ok)]);
    calls.retain(|_| false);
    assert_eq!(lines(&calls, "rpc.server.call.duration"), [""; 0]);
    assert!(calls.usage().iter().all(|usage| usage.series == 0));
}
