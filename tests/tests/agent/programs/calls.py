"""gRPC over Python's grpcio: a service of every kind of call, and a client that makes them.

    calls.py serve ADDRESS [CERTIFICATE KEY]
    calls.py ask ADDRESS TIMES [CERTIFICATE]
"""
import sys
import threading
import time
from concurrent import futures

import grpc

SERVICE = "lab.Calls"


def say(request, context):
    return request


def listing(request, context):
    for _ in range(5):
        yield request


def collect(requests, context):
    return str(sum(len(request) for request in requests)).encode()


def chat(requests, context):
    for request in requests:
        yield request


def missing(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")


def wait(request, context):
    ended = threading.Event()
    context.add_callback(ended.set)
    ended.wait(10)
    return b""


def endless(request, context):
    while context.is_active():
        yield request
        time.sleep(0.01)


def serve(address, certificate=None, key=None):
    handlers = {
        "Say": grpc.unary_unary_rpc_method_handler(say),
        "List": grpc.unary_stream_rpc_method_handler(listing),
        "Collect": grpc.stream_unary_rpc_method_handler(collect),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
        "Missing": grpc.unary_unary_rpc_method_handler(missing),
        "Wait": grpc.unary_unary_rpc_method_handler(wait),
        "Endless": grpc.unary_stream_rpc_method_handler(endless),
    }
    server = grpc.server(futures.ThreadPoolExecutor(8))
    generic = grpc.method_handlers_generic_handler(SERVICE, handlers)
    server.add_generic_rpc_handlers((generic,))
    if certificate:
        with open(key, "rb") as one, open(certificate, "rb") as two:
            credentials = grpc.ssl_server_credentials([(one.read(), two.read())])
        server.add_secure_port(address, credentials)
    else:
        server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


def status(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def ask(address, times, certificate=None):
    if certificate:
        with open(certificate, "rb") as file:
            channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(file.read()))
    else:
        channel = grpc.insecure_channel(address)
    path = lambda name: f"/{SERVICE}/{name}"
    for number in range(int(times)):
        text = b"x" * (10 + number)
        assert channel.unary_unary(path("Say"))(text) == text
        assert len(list(channel.unary_stream(path("List"))(text))) == 5
        total = channel.stream_unary(path("Collect"))(iter([text] * 4))
        assert int(total) == 4 * len(text), total
        assert len(list(channel.stream_stream(path("Chat"))(iter([text] * 3)))) == 3
        found = status(lambda: channel.unary_unary(path("Missing"))(text))
        assert found == "NOT_FOUND", found
        found = status(lambda: channel.unary_unary(path("Nothing"))(text))
        assert found == "UNIMPLEMENTED", found
        found = status(lambda: channel.unary_unary(path("Wait"))(text, timeout=0.1))
        assert found in ("DEADLINE_EXCEEDED", "CANCELLED"), found
        stream = channel.unary_stream(path("Endless"))(text)
        next(stream), next(stream)
        stream.cancel()
    # More than one frame of HTTP/2 holds.
    large = b"y" * 200000
    assert channel.unary_unary(path("Say"))(large) == large
    time.sleep(0.2)
    channel.close()


{"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
