"""Requests inside TLS: by ssl's sockets, and by asyncio, which moves the bytes itself."""
import sys
import time


def fetch(url, count, before="0", after="0"):
    """Loads the library `after` seconds after the start, asks so long after that."""
    time.sleep(float(after))
    import ssl
    import urllib.request
    context = ssl._create_unverified_context()
    time.sleep(float(before))
    for _ in range(int(count)):
        urllib.request.urlopen(url, context=context).read()


def serve(port, certificate, key):
    import asyncio
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def answer(reader, writer):
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run():
        server = await asyncio.start_server(answer, "127.0.0.1", int(port), ssl=context)
        await server.serve_forever()

    asyncio.run(run())


def ask(port, connections, requests):
    import asyncio
    import ssl
    context = ssl._create_unverified_context()

    async def one(number):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port), ssl=context)
        for request in range(int(requests)):
            path = "even" if number % 2 == 0 else "odd"
            head = f"GET /{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
            writer.write(head.encode())
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(5)
        writer.close()

    async def run():
        time.sleep(2)
        for number in range(int(connections)):
            await one(number)

    asyncio.run(run())


{"fetch": fetch, "serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
