"""The judge as a service with SandboxFusion's HTTP API: whatever speaks to SandboxFusion can be pointed here.

    POST /run_code   run a program once (serve_fusion.py says where the meaning differs)
    POST /submit     a dc/1 record in, the same record out with a verdict on each solution and rollout that had none
    GET /v1/ping, /  "pong"
    GET /metrics     counts in Prometheus' text format

Statuses: 401 wrong token; 404 and 405 wrong path or method; 408 too slow; 413 body too large; 415 not JSON; 422 JSON
that is no such request, with the place; 500 a judge that cannot begin (/submit); 503 and Retry-After when too much is
waiting. Any other failure of the sandbox is no HTTP error but status `SandboxError` (/run_code), as SandboxFusion's
clients expect, or the verdict IE (/submit).
"""

import asyncio
import contextlib
import hmac
import ipaddress
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import msgspec

from dc_tools.core.errors import BadLine, CannotRun, DcError, UsageError
from dc_tools.core.records import Line, Problem
from dc_tools.sandbox.judge import JudgePool
from dc_tools.sandbox.serve_fusion import parse_request, respond, sandbox_error, unprocessable
from dc_tools.sandbox.serve_http import Answer, Bounds, Connection, Head, Memory, Refusal
from dc_tools.sandbox.stage import judge_lines

AHEAD = 2
"""Requests per worker that are in hand; the others wait, and go at once when their client does."""
DRAIN_S = 5.0
START_S = 30.0
ROUTES = {"/": "GET", "/v1/ping": "GET", "/metrics": "GET", "/run_code": "POST", "/submit": "POST"}
OPEN = "/v1/ping"
"""The path that needs no token."""
RETRY_S = "1"


class Server:
    """The service on a thread of its own, between `start` and `stop` or as a context manager.

    Errors: `UsageError` where others than this machine could use it without a token.
    """

    def __init__(
        self, pool: JudgePool, host: str = "127.0.0.1", port: int = 0, token: str | None = None, *,
        bounds: Bounds | None = None, most_waiting: int = 1024,
    ) -> None:
        if not token and not _is_loopback(host):
            raise UsageError(f"{host} can be reached from elsewhere: that needs a token (DC_SANDBOX_TOKEN)")
        self._host, self._port = host, port
        self._bounds = bounds or Bounds()
        self._memory = Memory(self._bounds.most_held)
        self._desk = Desk(pool, token, most_waiting, self._memory)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)
        self._ended = threading.Event()
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._listener: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def start(self) -> None:
        """Listen. Errors: `CannotRun` where the address is not to be had."""
        self._thread.start()
        listening = asyncio.run_coroutine_threadsafe(self._listen(), self._loop)
        try:
            listening.result(START_S)
        except OSError as error:
            self.stop()
            raise CannotRun(f"cannot listen on {self._host} port {self._port}: {error.strerror or error}") from None

    def wait(self) -> None:
        """Until `stop` is called, or a signal handler raises here.

        Not a join: one that a handler cuts short leaves the thread marked as ended (Python 3.11).
        """
        self._ended.wait()

    def stop(self, drain_s: float = DRAIN_S) -> None:
        """Take nothing new, give what is in hand `drain_s` to finish, drop the rest."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._drain(drain_s), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._desk.close()

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._ended.set()

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._accept, self._host, self._port, backlog=1024)
        self._port = self._listener.sockets[0].getsockname()[1]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self._desk, self._bounds, self._memory, reader, writer)
        full = len(self._connections) >= self._bounds.most_connections
        refusal = Refusal(503, "too many connections", Retry_After=RETRY_S)
        task = self._loop.create_task(connection.refuse(refusal) if full else connection.run())
        self._connections[task] = connection
        task.add_done_callback(self._connections.pop)

    async def _drain(self, drain_s: float) -> None:
        if self._listener:
            self._listener.close()
        for task, connection in self._connections.items():
            connection.closing = True
            if not connection.busy:
                task.cancel()
        tasks = list(self._connections)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=drain_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class Desk:
    """What is done with a request, whoever brought it."""

    def __init__(self, pool: JudgePool, token: str | None, most_waiting: int, memory: Memory) -> None:
        self._pool, self._token, self._memory = pool, token, memory
        self._most_waiting = most_waiting
        self._threads = ThreadPoolExecutor(AHEAD * pool.workers, thread_name_prefix="desk")
        self._slots = asyncio.Semaphore(AHEAD * pool.workers)
        self._admitted, self._running = 0, 0
        self._answers: Counter[tuple[str, int]] = Counter()
        self._verdicts: Counter[str] = Counter()

    def close(self) -> None:
        """Begin nothing more; what has begun ends by itself, or with the pool."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @contextlib.contextmanager
    def admit(self, head: Head) -> Iterator[None]:
        """Check everything but the body, and count the request as waiting."""
        self._check_token(head)
        method = ROUTES.get(head.path)
        if method is None:
            raise Refusal(404, f"there is no {head.path}: there are {', '.join(ROUTES)}")
        if head.method != method:
            raise Refusal(405, f"{head.path} takes {method}", Allow=method)
        if method == "GET":
            yield
            return
        if head.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refusal(415, "the content type must be application/json")
        if self._admitted >= self._most_waiting:
            raise Refusal(503, f"{self._admitted} requests are waiting", Retry_After=RETRY_S)
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    async def answer(self, head: Head, body: bytes) -> Answer:
        """The answer to an admitted request."""
        if head.path == "/metrics":
            return Answer(200, self._metrics().encode(), "text/plain; version=0.0.4; charset=utf-8")
        if head.path == "/run_code":
            return await self._in_turn(lambda: self._run_code(body))
        if head.path == "/submit":
            return await self._in_turn(lambda: self._submit(body))
        return Answer(200, b'"pong"')

    def count(self, path: str, status: int) -> None:
        """Count an answer."""
        self._answers[path if path in ROUTES else "other", status] += 1

    def _check_token(self, head: Head) -> None:
        if not self._token or head.path == OPEN:
            return
        scheme, _, given = head.headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode("latin-1"), self._token.encode())
        if scheme.lower() != "bearer" or not right:
            raise Refusal(401, "Authorization: Bearer TOKEN is needed, and the right one", WWW_Authenticate="Bearer")

    async def _in_turn(self, work: Callable[[], tuple[bytes, list[str]]]) -> Answer:
        async with self._slots:
            self._running += 1
            try:
                body, verdicts = await asyncio.get_running_loop().run_in_executor(self._threads, work)
            except (DcError, RuntimeError) as error:
                raise Refusal(500, f"the judge failed: {error}") from error
            finally:
                self._running -= 1
        self._verdicts.update(verdicts)
        return Answer(200, body)

    def _run_code(self, body: bytes) -> tuple[bytes, list[str]]:
        program, stdin = parse_request(body)
        try:
            run = self._pool.execute(program, [stdin]).runs[0]
        except DcError as error:
            return msgspec.json.encode(sandbox_error(str(error))), ["IE"]
        return msgspec.json.encode(respond(program, run)), [run.status]

    def _submit(self, body: bytes) -> tuple[bytes, list[str]]:
        line = Line(body.strip())
        try:
            problem = line.decode(Problem)
            (kept,) = judge_lines([(line, problem)], self._pool)
        except BadLine as error:
            raise unprocessable(error.error) from None
        return kept.line.to_bytes(), [mark.rpartition(" ")[2] for mark in kept.marks]

    def _metrics(self) -> str:
        lines = [
            f'dc_sandbox_requests_total{{path="{path}",status="{status}"}} {count}'
            for (path, status), count in sorted(self._answers.items())
        ]
        lines += [f'dc_sandbox_verdicts_total{{status="{s}"}} {n}' for s, n in sorted(self._verdicts.items())]
        gauges = {"waiting": self._admitted - self._running, "running": self._running, "bytes": self._memory.held}
        lines += [f"dc_sandbox_{name} {value}" for name, value in gauges.items()]
        return "\n".join(lines) + "\n"


def serve(
    pool: JudgePool, host: str, port: int, token: str | None, *, ready: Callable[[str], None] | None = None,
    max_body: int = 32 << 20, most_waiting: int = 1024,
) -> None:
    """Serve until a signal's handler raises in this thread, which must be the main one; then drain, for `DRAIN_S`.

    `ready` is told the URL. Errors: `UsageError` (a token is missing), `CannotRun` (the port is taken).
    """
    server = Server(pool, host, port, token, bounds=Bounds(max_body=max_body), most_waiting=most_waiting)
    with server:
        if ready:
            ready(server.url)
        server.wait()


def _is_loopback(host: str) -> bool:
    """Whether all addresses of `host` are this machine's own."""
    try:
        found = {address[4][0] for address in socket.getaddrinfo(host, None)} if host else set()
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(str(each).partition("%")[0]).is_loopback for each in found)
