"""Running commands as their users do: as processes, with their exit code, both streams, and their children."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
DEADLINE_S = 240.0


@dataclass(frozen=True)
class Ended:
    """A process that has ended; `code` is negative for a signal that killed it."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[bytes]:
        """The lines of stdout."""
        return self.out.splitlines()


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without any `DC_*` variable, and with `variables`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DC_")}
    return {**kept, "NO_COLOR": "1", **variables}


def run(argv: Sequence[str | Path], stdin: bytes = b"", cwd: Path | None = None, **variables: str) -> Ended:
    """Run `argv` to its end."""
    done = subprocess.run(
        list(map(str, argv)), input=stdin, capture_output=True, cwd=cwd, env=environment(**variables),
        timeout=DEADLINE_S, check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr.decode())


@contextlib.contextmanager
def started(argv: Sequence[str | Path], **options: Any) -> "Iterator[subprocess.Popen[bytes]]":
    """Run `argv` in a session of its own, its stderr in a pipe; nothing of the session outlives the block."""
    given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **options}
    with subprocess.Popen(list(map(str, argv)), env=environment(), start_new_session=True, **given) as process:
        try:
            yield process
        finally:
            for pid in session_members(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def end(process: "subprocess.Popen[bytes]", number: signal.Signals) -> tuple[int, str]:
    """Send a signal to the process alone and wait; its exit code and stderr."""
    process.send_signal(number)
    _, err = process.communicate(timeout=DEADLINE_S)
    return process.returncode, (err or b"").decode()


def descendants(pid: int) -> set[int]:
    """Children of `pid`, their children, and so on."""
    found: set[int] = set()
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:  # it has just ended
        return found
    for task in tasks:
        try:
            children = {int(child) for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split()}
        except OSError:
            continue
        for child in children - found:
            found |= {child} | descendants(child)
    return found


def newest(pids: set[int]) -> int:
    """The one that began last; ids say nothing of that once they have wrapped around."""
    return max(pids, key=lambda pid: int(_stat(Path(f"/proc/{pid}/stat"))[19]))


def alive(pids: set[int]) -> set[int]:
    """Those of `pids` that still run (a zombie does not)."""
    return {pid for pid in pids if _state(pid) not in {"", "Z", "X"}}


def session_members(session: int) -> set[int]:
    """Running processes of a session, which is what `started` makes."""
    return {
        int(stat.parent.name)
        for stat in Path("/proc").glob("[0-9]*/stat")
        if (fields := _stat(stat)) and int(fields[3]) == session and fields[0] not in {"Z", "X"}
    }


def wait_until(claim: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Return as soon as `claim` holds; fail where it does not in time."""
    ends = time.monotonic() + deadline_s
    while not claim():
        assert time.monotonic() < ends, f"waited {deadline_s} s in vain"
        time.sleep(0.01)


def _state(pid: int) -> str:
    fields = _stat(Path(f"/proc/{pid}/stat"))
    return fields[0] if fields else ""


def _stat(path: Path) -> list[str]:
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return []
