"""HTTP/1.1 for a service with small answers to large questions: h11 reads and writes the protocol, asyncio the sockets.

Every wait and every size is bounded, a client that hangs up takes its work with it, and what is refused is refused
before its body is read. No TLS, no compression, no HTTP/2: for these there are proxies.
"""

import asyncio
import contextlib
import json
from collections.abc import Coroutine
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Any, Protocol

import h11
from msgspec import Struct

BLOCK = 1 << 16
LINGER_S = 2.0
"""How long what a refused client still sends is thrown away, so that it gets to read the answer."""


class Bounds(Struct, frozen=True):
    """What a client may take: seconds for each part of an exchange, and bytes."""

    idle_s: float = 75.0
    """Between two requests."""
    header_s: float = 15.0
    body_s: float = 120.0
    answer_s: float = 120.0
    """Until the client has taken the answer."""
    max_body: int = 32 << 20
    most_held: int = 256 << 20
    """Bytes of bodies and answers in memory, all clients together; at least one body always fits."""
    most_connections: int = 2048


class Head(Struct, frozen=True):
    """A request without its body. Names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def length(self) -> int:
        """Bytes of the body as announced; 0 where there is none or none is announced."""
        return int(self.headers.get("content-length", "0"))

    @property
    def has_body(self) -> bool:
        """Whether a body follows."""
        return self.length > 0 or "transfer-encoding" in self.headers


class Answer(Struct, frozen=True):
    """A response."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = {}


class Refusal(Exception):
    """The answer to a request that is not served."""

    def __init__(self, status: int, detail: object, **headers: str) -> None:
        super().__init__(status, detail)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = Answer(status, json.dumps({"detail": detail}).encode(), headers=named)


class Service(Protocol):
    """What is served."""

    def admit(self, head: Head) -> AbstractContextManager[None]:
        """Held from before the body is read until the answer has gone. Errors: `Refusal`."""
        ...

    async def answer(self, head: Head, body: bytes) -> Answer:
        """The answer; cancelled when the client goes. Errors: `Refusal`."""
        ...

    def count(self, path: str, status: int) -> None:
        """An answer has been given."""
        ...


class Memory:
    """An account of the bytes held for all clients."""

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0

    def take(self, count: int) -> None:
        """Put `count` bytes to the account. Errors: `Refusal` where it is full."""
        if self.held and self.held + count > self.most:
            raise Refusal(503, "too many large requests at once", Retry_After="1")
        self.held += count

    def give(self, count: int) -> None:
        """Take them off again."""
        self.held -= count


class Connection:
    """One client: requests one after the other, until either side has had enough."""

    def __init__(
        self, service: Service, bounds: Bounds, memory: Memory, reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.service, self.bounds, self.memory = service, bounds, memory
        self.busy = False
        """Whether a request is in hand."""
        self.closing = False
        """Whether the connection ends with the next answer."""
        self._reader, self._writer = reader, writer
        self._state = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        """Serve to the end; the socket is closed afterwards."""
        try:
            await self._serve()
        except (OSError, TimeoutError, h11.LocalProtocolError):
            self._writer.transport.abort()
        finally:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def refuse(self, refusal: Refusal) -> None:
        """Answer without having read anything, and close."""
        self.closing = True
        with contextlib.suppress(OSError, TimeoutError):
            await self._send(refusal.answer, None)
        self._writer.close()

    async def _serve(self) -> None:
        wait_s = self.bounds.header_s
        while True:
            try:
                head = await self._head(wait_s)
            except (h11.RemoteProtocolError, Refusal) as error:
                self.closing = True
                await self._send(_answer_to(error), None)
                await self._linger()
                return
            if head is None:
                return
            self.busy = True
            await self._exchange(head)
            if self._state.their_state in (h11.SEND_BODY, h11.ERROR):
                await self._linger()
            if self._state.states != {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
                return
            self._state.start_next_cycle()
            self.busy, wait_s = False, self.bounds.idle_s

    async def _exchange(self, head: Head) -> None:
        size = 0
        if not head.has_body:
            self._state.next_event()
        try:
            with self.service.admit(head):
                self._check_length(head.length)
                body = await self._body()
                size = len(body)
                answer = await self._unless_gone(self.service.answer(head, body))
                self.memory.held += len(answer.body)
                size += len(answer.body)
                await self._send(answer, head)
        except (Refusal, h11.RemoteProtocolError) as error:
            self.closing |= self._state.their_state is not h11.DONE
            await self._send(_answer_to(error), head)
        finally:
            self.memory.give(size)

    async def _head(self, wait_s: float) -> Head | None:
        """The next request; None where the client goes or keeps quiet instead."""
        begun, loop = False, asyncio.get_running_loop()
        until = loop.time() + wait_s
        while (event := self._state.next_event()) is h11.NEED_DATA:
            try:
                async with asyncio.timeout_at(until):
                    data = await self._reader.read(BLOCK)
            except TimeoutError:
                if begun:
                    raise Refusal(408, f"no whole request header within {self.bounds.header_s:g} s") from None
                return None
            if data and not begun:
                begun, until = True, loop.time() + self.bounds.header_s
            self._state.receive_data(data)
        if not isinstance(event, h11.Request):
            return None
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
        return Head(event.method.decode("ascii"), event.target.decode("ascii").partition("?")[0], headers)

    async def _body(self) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(self.bounds.body_s):
                while self._state.their_state is h11.SEND_BODY:
                    event = self._state.next_event()
                    if event is h11.NEED_DATA:
                        await self._read_on()
                    elif isinstance(event, h11.Data):
                        self._check_length(len(body) + len(event.data))
                        self.memory.take(len(event.data))
                        body += event.data
        except BaseException as error:
            self.memory.give(len(body))
            if isinstance(error, TimeoutError):
                raise Refusal(408, f"no whole request body within {self.bounds.body_s:g} s") from None
            raise
        return bytes(body)

    async def _read_on(self) -> None:
        if self._state.they_are_waiting_for_100_continue:
            self._writer.write(self._state.send(h11.InformationalResponse(status_code=100, headers=[])))
        self._state.receive_data(await self._reader.read(BLOCK))

    def _check_length(self, length: int) -> None:
        if length > self.bounds.max_body:
            raise Refusal(413, f"the body is over {self.bounds.max_body} bytes")

    async def _unless_gone(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """The outcome of `work`, which is cancelled when the client hangs up first."""
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(work), asyncio.create_task(self._until_gone())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not tasks[0].done():
                raise ConnectionResetError("the client went before its answer")
            answer: Answer = tasks[0].result()
            return answer
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_gone(self) -> None:
        """Wait for the client to close, be it only its sending side; what it sends ahead is kept, up to a block."""
        ahead = 0
        while data := await self._reader.read(BLOCK):
            self._state.receive_data(data)
            ahead += len(data)
            if ahead > BLOCK:
                await asyncio.Event().wait()

    async def _send(self, answer: Answer, head: Head | None) -> None:
        """Send the answer to `head`, or to what was no request."""
        headers = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body)), **answer.headers}
        if self.closing:
            headers["Connection"] = "close"
        reason = HTTPStatus(answer.status).phrase
        parts: list[h11.Event] = [
            h11.Response(status_code=answer.status, headers=list(headers.items()), reason=reason),
            h11.EndOfMessage(),
        ]
        if answer.body and not (head and head.method == "HEAD"):
            parts.insert(1, h11.Data(data=answer.body))
        self.service.count(head.path if head else "", answer.status)
        for part in parts:
            self._writer.write(self._state.send(part) or b"")
        async with asyncio.timeout(self.bounds.answer_s):
            await self._writer.drain()

    async def _linger(self) -> None:
        """Let the client read the answer before the socket goes: unread data would turn its end into a reset."""
        self._writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while await self._reader.read(BLOCK):
                    pass


def _answer_to(error: Refusal | h11.RemoteProtocolError) -> Answer:
    if isinstance(error, Refusal):
        return error.answer
    return Refusal(error.error_status_hint, f"this is not HTTP/1.1: {error}").answer
