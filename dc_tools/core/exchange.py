"""Exchanges with a server that may fail: JSON over HTTP with bounded concurrency, deadlines and patient retries.

Coroutines run in one thread of their own, so that callers need no event loop and requests go on while they work.
"""

import asyncio
import contextlib
import email.utils
import math
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from dc_tools.core.errors import CannotRun

if TYPE_CHECKING:
    import httpx

LONGEST_PAUSE_S = 60.0
CONNECT_S = 10.0
RETRIED = frozenset({408, 409, 425, 429})
"""Statuses besides 5xx that another try may cure."""

T = TypeVar("T")


class Refused(Exception):
    """The server will not take this request as it is; asking again would not help."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"HTTP {status}: {reason}")
        self.status = status


class Failed(Exception):
    """No good answer after all tries; `is_up` says whether the last one was answered at all."""

    def __init__(self, trouble: str, is_up: bool) -> None:
        super().__init__(trouble)
        self.is_up = is_up


class Exchange:
    """The line to the server at `base_url`: at most `concurrency` requests at a time, `per_s` of them begun a second.

    `timeout_s` bounds one try; `pause_s` is the first pause after a failure, and the pauses double.
    """

    def __init__(
        self, base_url: str, *, api_key: str | None = None, concurrency: int = 16, timeout_s: float = 600.0,
        tries: int = 6, pause_s: float = 1.0, per_s: float | None = None,
    ) -> None:
        import httpx

        self.base_url = base_url.rstrip("/")
        self.timeout_s = timeout_s
        self.tries = tries
        self.pause_s = pause_s
        self._secret = api_key
        self._jitter = Random()
        self._slots = asyncio.Semaphore(concurrency)
        self._interval_s = 1 / per_s if per_s else 0.0
        self._next_start = 0.0
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_S),
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="exchange", daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Start a coroutine in the exchange's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def get(self, path: str, type_: type[T]) -> T:
        """The answer to GET as `type_`. Errors: `Refused`, `Failed`."""
        return await self._tried(lambda: self._client.get(self.base_url + path), type_, self.timeout_s)

    async def post(
        self, path: str, body: dict[str, Any], type_: type[T], timeout_s: float | None = None,
        begins: Callable[[], object] = lambda: None,
    ) -> T:
        """The answer to POST of `body` as `type_`; `timeout_s` bounds each try, before the first of which `begins` is
        called. Errors: `Refused`, `Failed`."""
        import httpx

        limit_s = self.timeout_s if timeout_s is None else timeout_s
        timeout = httpx.Timeout(limit_s, connect=CONNECT_S)

        def send() -> "Awaitable[httpx.Response]":
            return self._client.post(self.base_url + path, json=body, timeout=timeout)

        async with self._slots:
            begins()
            return await self._tried(send, type_, limit_s)

    def close(self) -> None:
        """Drop what is under way and close all connections."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(TimeoutError):
            self.submit(self._shut()).result(CONNECT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CONNECT_S)
        self._loop.close()

    async def _shut(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.aclose()

    async def _tried(self, send: "Callable[[], Awaitable[httpx.Response]]", type_: type[T], limit_s: float) -> T:
        import httpx

        trouble, is_up = "", False
        for attempt in range(self.tries):
            pause, is_up = self._pause(attempt), True
            await self._turn()
            try:
                async with asyncio.timeout(limit_s):
                    response = await send()
                if response.is_success:
                    return msgspec.json.decode(response.content, type=type_)
                if response.status_code not in RETRIED and response.status_code < 500:
                    raise Refused(response.status_code, self._hidden(_reason(response)))
                trouble = f"HTTP {response.status_code}: {_reason(response)}"
                pause = retry_after(response.headers.get("retry-after"), pause)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                trouble = f"an answer that is not one: {error}"
            except (httpx.RequestError, TimeoutError) as error:
                trouble, is_up = f"{type(error).__name__}: {error}".rstrip(": "), False
            if attempt + 1 < self.tries:
                await asyncio.sleep(pause)
        raise Failed(self._hidden(f"{self.tries} tries, the last: {trouble}"), is_up)

    async def _turn(self) -> None:
        """Wait until the next request may begin."""
        now = time.monotonic()
        self._next_start = max(now, self._next_start) + self._interval_s
        if (wait_s := self._next_start - self._interval_s - now) > 0:
            await asyncio.sleep(wait_s)

    def _hidden(self, text: str) -> str:
        """`text` without the API key, which a server may have sent back."""
        return text.replace(self._secret, "***") if self._secret else text

    def _pause(self, attempt: int) -> float:
        """Seconds before the next try: doubling, with jitter, so that many clients do not come back at once."""
        return min(LONGEST_PAUSE_S, self.pause_s * 2.0**attempt) * self._jitter.uniform(0.5, 1.0)


def read_key(variable: str, file: Path | None) -> str | None:
    """An API key: the first line of `file`, else the environment's `variable`, else none. Errors: `CannotRun`."""
    source = variable if file is None else str(file)
    try:
        text = os.environ.get(variable, "") if file is None else file.read_text().split("\n")[0]
    except OSError as error:
        raise CannotRun(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        text = "\0"
    key = text.strip()
    if not (key.isascii() and (key.isprintable() or not key)):
        raise CannotRun(f"{source}: not an API key: it has characters that no header may carry")
    return key or None


def _reason(response: "httpx.Response") -> str:
    """The server's own words, on one line."""
    try:
        found = response.json()
        error = found.get("error", found) if isinstance(found, dict) else found
        text = str(error.get("message") or error) if isinstance(error, dict) else str(error)
    except (ValueError, RecursionError):
        text = response.text
    return " ".join(text.split())[:300] or response.reason_phrase


def retry_after(value: str | None, pause: float) -> float:
    """Seconds that a Retry-After header (seconds or a date) asks for, at most `LONGEST_PAUSE_S`; else `pause`."""
    if value is None:
        return pause
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return pause
    return pause if math.isnan(seconds) else min(max(seconds, 0.0), LONGEST_PAUSE_S)
