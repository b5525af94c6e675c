"""Servers on the loopback that behave as the tests want: well, badly, or not at all."""

import asyncio
import gzip
import socket
import ssl
import threading
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: For clients that stay on the loopback, without TLS (`verify=NO_CERTIFICATES`): reading all the certificates
#: that the machine trusts, as each client does otherwise, costs more than most tests.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Asked:
    """One request as a server got it."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body


async def read_request(reader: asyncio.StreamReader) -> Asked:
    """Raises IncompleteReadError when the other side is gone."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, path, headers, body)


@asynccontextmanager
async def serving(answer, *, host="127.0.0.1", tls=None):
    """A server that leaves each request to `answer(asked, writer)`; yields its address and the requests.

    An answer that is True keeps the connection for the next request. `tls` is the server's SSLContext.
    """
    asked: list[Asked] = []
    open_connections: set[asyncio.Task] = set()

    async def serve(reader, writer):
        open_connections.add(asyncio.current_task())
        try:
            keeps = True
            while keeps:
                request = await read_request(reader)
                asked.append(request)
                keeps = await answer(request, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            open_connections.discard(asyncio.current_task())
            writer.close()

    with socket.create_server((host, 0)) as listening:
        server = await asyncio.start_server(serve, sock=listening, limit=1 << 22, ssl=tls)
        try:
            yield f"{'https' if tls else 'http'}://{host}:{listening.getsockname()[1]}", asked
        finally:
            server.close()
            for task in list(open_connections):
                task.cancel()


def well(status: str = "200 OK", body: bytes = b"", *headers: str, keep: bool = True):
    """A plain answer."""

    async def answer(_asked, writer):
        writer.write(
            "\r\n".join([f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]).encode()
            + body
        )
        await writer.drain()
        return keep

    return answer


def raw(*pieces: bytes, keep: bool = False):
    """These bytes, piece by piece."""

    async def answer(_asked, writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return keep

    return answer


def endless(begin: bytes, piece: bytes):
    """A beginning, and pieces without an end, as fast as they are taken."""

    async def answer(_asked, writer):
        writer.write(begin)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return answer


async def hang(_asked, _writer):
    """Never answers."""
    await asyncio.Event().wait()


async def drip(_asked, writer):
    """Answers, a byte at a time, without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def reset(_asked, writer):
    """Ends the connection without a word."""
    writer.transport.abort()


def bomb(megabytes: int = 200):
    """A small body that becomes a huge one."""
    return well("200 OK", gzip.compress(b" " * megabytes * 1_000_000), "content-encoding: gzip")


def redirect(to: str):
    return well("302 Found", b"", f"location: {to}")


class InThread:
    """A server with a thread of its own, for tests that wait for cities and commands in other processes.

    `answer(asked)` gives the status, the headers and the body of each answer; `address` says where it is.
    """

    def __init__(self, answer, port: int = 0) -> None:
        class Handler(BaseHTTPRequestHandler):
            def _serve(self):
                size = int(self.headers.get("content-length", 0))
                told = {name.lower(): value for name, value in self.headers.items()}
                status, headers, body = answer(Asked(self.command, self.path, told, self.rfile.read(size)))
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self._serve()

            def do_POST(self):
                self._serve()

            def log_message(self, *_):
                """Not to the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.address = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Nobody answers there any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()
