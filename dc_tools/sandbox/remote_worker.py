"""What the workers that run programs elsewhere have in common: a line to the server, shared by all of them."""

from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from dc_tools.core.exchange import Exchange, Failed, Refused
from dc_tools.sandbox.execution import WorkerLost

T = TypeVar("T")


class RemoteWorker:
    """Asks the server behind `exchange`, which other workers use as well and which outlives them."""

    backend = "remote"
    offers_fast = False
    offers_files = True

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._asked: Future[Any] | None = None
        self._is_killed = False

    def ask(self, path: str, body: dict[str, Any], type_: type[T], timeout_s: float) -> T:
        """The answer to POST of `body`. Errors: `WorkerLost` after all tries, or when killed."""
        asked = self._exchange.submit(self._exchange.post(path, body, type_, timeout_s))
        self._asked = asked
        if self._is_killed:
            asked.cancel()
        try:
            return asked.result()
        except Refused as error:
            hint = ": is the key the right one?" if error.status in (401, 403) else ""
            raise WorkerLost(f"{self._exchange.base_url} refused: {error}{hint}") from None
        except Failed as error:
            raise WorkerLost(f"{self._exchange.base_url}: {error}") from None
        except CancelledError:
            raise WorkerLost("stopped while waiting for an answer") from None
        finally:
            self._asked = None

    def kill(self) -> None:
        """Give up what is asked; may be called from another thread."""
        self._is_killed = True
        if asked := self._asked:
            asked.cancel()

    def close(self) -> None:
        """The same: nothing else is held."""
        self.kill()
