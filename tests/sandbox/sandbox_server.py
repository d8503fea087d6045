"""Raw talk with a server, as no well-behaved client would: bytes out, bytes in."""

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
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
