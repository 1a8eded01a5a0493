"""A server that takes its time before it accepts, shakes hands and reads, and a client that takes its
time before it asks: in clear text, or with a certificate inside TLS."""
import select
import socket
import ssl
import sys
import time

LONG = 0.3
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def read_head(connection):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = connection.recv(4096)
        if not piece:
            return None
        head += piece
    return head


def serve(port, certificate=None, key=None):
    listener = socket.create_server(("127.0.0.1", int(port)))
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    connections = []
    while True:
        ready, _, _ = select.select([listener, *connections], [], [])
        for connection in ready:
            if connection is listener:
                time.sleep(LONG)
                accepted, _ = listener.accept()
                # Whoever only looks whether somebody listens is gone by now.
                if context and accepted.recv(1, socket.MSG_PEEK):
                    time.sleep(LONG)
                    accepted = context.wrap_socket(accepted, server_side=True)
                connections.append(accepted)
                continue
            head = read_head(connection)
            if head is None:
                connections.remove(connection)
                connection.close()
                continue
            connection.sendall(ANSWER)
            if b"/then-busy" in head:
                time.sleep(LONG)


def ask(port, inside):
    context = ssl._create_unverified_context() if inside == "tls" else None

    def connect():
        connection = socket.create_connection(("127.0.0.1", int(port)), timeout=10)
        return context.wrap_socket(connection) if context else connection

    def get(connection, path):
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        answer = b""
        while len(answer) < len(ANSWER):
            answer += connection.recv(4096)

    first = connect()
    get(first, "/first")
    time.sleep(LONG)
    get(first, "/after-thought")
    second = connect()
    time.sleep(3 * LONG)
    get(second, "/pre-opened")
    get(first, "/then-busy")
    get(first, "/waits")


{"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
