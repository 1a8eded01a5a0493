"""A server and a client that speak HTTP by hand: HTTP/1.0, and connections that break off.

    wire.py serve PORT
    wire.py ask PORT TIMES PATH...
"""

import socket
import struct
import sys
import threading
import time

# What a client does at the paths where it is the one that breaks off.
ABANDONED = "/abandoned"


def reset(connection):
    """Closes with a reset: SO_LINGER of no time."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def read_head(connection):
    """A message's head, or what there is of it."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(65536)
        if not more:
            break
        head += more
    return head


def answer(connection, path):
    """Answers one request; whether another may follow."""
    if path == "/until-close":
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")
        connection.close()
    elif path == "/kept":
        connection.sendall(
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"
        )
        return True
    elif path == "/unanswered":
        reset(connection)
    elif path == "/half":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        # The client reads it first.
        time.sleep(0.2)
        reset(connection)
    elif path == "/whole":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        time.sleep(0.2)
        reset(connection)
    elif path == ABANDONED:
        time.sleep(0.4)
        connection.close()
    return False


def serve_one(connection):
    try:
        while head := read_head(connection):
            path = head.decode().split(" ")[1]
            if not answer(connection, path):
                return
    except ConnectionResetError:
        pass


def serve(port):
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_one, args=(connection,), daemon=True).start()


def ask(port, path, version, times):
    """Asks on one connection as often as it is kept."""
    connection = None
    for _ in range(times):
        connection = connection or socket.create_connection(("127.0.0.1", port))
        request = f"GET {path} HTTP/{version}\r\nHost: 127.0.0.1:{port}\r\n"
        kept = "Connection: keep-alive\r\n" if path == "/kept" else ""
        connection.sendall(f"{request}{kept}\r\n".encode())
        if path == ABANDONED:
            time.sleep(0.1)
            reset(connection)
            connection = None
            continue
        try:
            answered = read_head(connection)
            if path != "/kept":
                while answered and connection.recv(65536):
                    pass
        except ConnectionResetError:
            pass
        if path != "/kept":
            connection.close()
            connection = None


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    for each in sys.argv[4:]:
        old = each in ("/until-close", "/kept")
        ask(int(sys.argv[2]), each, "1.0" if old else "1.1", int(sys.argv[3]))
