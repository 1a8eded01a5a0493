"""Servers whose requests aren't read where their connections were accepted.

    whose.py prefork PORT WORKERS   processes that accept from one listener
    whose.py passed PORT WORKERS    processes that are passed each connection over a Unix socket
    whose.py dup PORT 0             the connection is read through a second descriptor
    whose.py fixed PORT STATUS      one request from port PORT + 1, answered with STATUS

Each process's OTEL_SERVICE_NAME is told to it by starting it anew: worker-N.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys

PR_SET_PDEATHSIG = 1
ANSWER = b"HTTP/1.1 %d Reason\r\nContent-Length: 2\r\n\r\nok"


def answer(connection, status=200):
    """One request."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(65536)
    connection.sendall(ANSWER % status)
    connection.close()


def worker(how, descriptor):
    # The test ends the first process only.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if how == "prefork":
        listener = socket.socket(fileno=descriptor)
        while True:
            answer(listener.accept()[0])
    pipe = socket.socket(fileno=descriptor)
    while True:
        _, descriptors, _, _ = socket.recv_fds(pipe, 1, 1)
        answer(socket.socket(fileno=descriptors[0]))


def start(how, number, descriptor):
    return subprocess.Popen(
        [sys.executable, __file__, how, "-1", str(descriptor)],
        pass_fds=[descriptor],
        env={**os.environ, "OTEL_SERVICE_NAME": f"worker-{number}"},
    )


def prefork(port, workers):
    listener = socket.create_server(("127.0.0.1", port))
    for number in range(workers):
        start("prefork", number, listener.fileno())
    os.waitpid(-1, 0)


def passed(port, workers):
    pipes = []
    for number in range(workers):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        start("passed", number, theirs.fileno())
        theirs.close()
        pipes.append(ours)
    listener = socket.create_server(("127.0.0.1", port))
    turn = 0
    while True:
        connection, _ = listener.accept()
        socket.send_fds(pipes[turn % workers], [b"x"], [connection.fileno()])
        connection.close()
        turn += 1


def dup(port, _):
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        connection, _ = listener.accept()
        second = socket.socket(fileno=os.dup2(connection.fileno(), 500))
        # Half of the head is read through one, the rest through the other, and so is the answer.
        connection.recv(10)
        connection.close()
        answer(second)


def fixed(port, status):
    """Both ends in one process, on the same two ports in every network name space."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    listener = socket.create_server(("127.0.0.1", port))
    client = socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.1", port + 1))
    connection, _ = listener.accept()
    sys.stdout.write("open\n")
    sys.stdout.flush()
    sys.stdin.readline()
    client.sendall(b"GET /name-space/%d HTTP/1.1\r\nHost: h\r\n\r\n" % status)
    answer(connection, status)
    while client.recv(65536):
        pass


how, port, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if port < 0:
    worker(how, number)
else:
    {"prefork": prefork, "passed": passed, "dup": dup, "fixed": fixed}[how](port, number)
