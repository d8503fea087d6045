"""Raw talk with a server, as no well-behaved client would, and a scripted server that misbehaves when told to."""

import contextlib
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

DEADLINE_S = 60.0


@dataclass
class Reply:
    """A response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Wire:
    """One connection to the server at `url`."""

    def __init__(self, url: str) -> None:
        found = urlsplit(url)
        self.socket = socket.create_connection((found.hostname, found.port), DEADLINE_S)
        self._rest = b""

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        """One exchange; the body goes as JSON."""
        self.send(request(method, path, body, **headers))
        return self.reply()

    def run(self, code: str, **more: Any) -> Reply:
        """POST /run_code of a Python program."""
        return self.ask("POST", "/run_code", json.dumps({"code": code, "language": "python", **more}).encode())

    def reply(self) -> Reply:
        """The next response."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(self._rest) < length:
            self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        return Reply(int(first.split()[1]), headers, body)

    def ended(self) -> bool:
        """Whether the server closes the connection without another word."""
        return self._rest + self.socket.recv(1) == b""

    def _more(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError(f"the server closed the connection after {self._rest!r}")
        self._rest += data


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """A request; a header given as '' is left out."""
    given = {"Host": "test", "Content-Type": "application/json", "Content-Length": str(len(body))}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in given.items() if value]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode() + body


@contextlib.contextmanager
def wire(url: str) -> Iterator[Wire]:
    """A connection while the block runs."""
    found = Wire(url)
    try:
        yield found
    finally:
        found.socket.close()


class Scripted(ThreadingHTTPServer):
    """Answers POSTs by `work`, after using up `faults`, one a request; keeps what it was asked and when."""

    daemon_threads = True

    def __init__(self, work: Callable[[dict[str, Any]], object]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.work = work
        self.faults: deque[Callable[[Handler], None]] = deque()
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.times: list[float] = []
        self.busy, self.busiest = 0, 0
        self.released = threading.Event()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    """One connection to a `Scripted`."""

    protocol_version = "HTTP/1.1"
    server: Scripted

    def do_POST(self) -> None:
        """The next fault, or the answer."""
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.bodies.append(body)
            server.paths.append(self.path)
            server.keys.append(self.headers.get("Authorization"))
            server.times.append(time.monotonic())
            server.busy += 1
            server.busiest = max(server.busiest, server.busy)
            fault = server.faults.popleft() if server.faults else None
        try:
            if fault:
                fault(self)
            else:
                self.reply(200, server.work(body))
        finally:
            with server.lock:
                server.busy -= 1

    def reply(self, status: int, answer: object, **headers: str) -> None:
        """Send JSON, or bytes as they are."""
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def says(status: int, answer: object, **headers: str) -> Callable[[Handler], None]:
    """A fault: this status, content and headers."""
    return lambda handler: handler.reply(status, answer, **headers)


def drops(handler: Handler) -> None:
    """A fault: the connection ends without an answer."""
    handler.close_connection = True
    handler.connection.close()


def trickles(handler: Handler) -> None:
    """A fault: an answer that comes byte by byte and never ends."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    with contextlib.suppress(OSError):
        while not handler.server.released.wait(0.02):
            handler.wfile.write(b" ")
    drops(handler)


@contextlib.contextmanager
def scripted(work: Callable[[dict[str, Any]], object]) -> Iterator[Scripted]:
    """A server while the block runs."""
    with Scripted(work) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join(DEADLINE_S)


def metrics(url: str) -> dict[str, int]:
    """What the server at `url` counts."""
    with wire(url) as client:
        lines = client.ask("GET", "/metrics").body.decode().splitlines()
    return {name: int(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
