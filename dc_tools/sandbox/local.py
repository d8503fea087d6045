"""The local backend: one jailed worker process, driven over a socket. No daemon, no root needed."""

import importlib.util
import os
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import dc_tools
from dc_tools.core.errors import CannotRun
from dc_tools.sandbox import languages, levels, stream
from dc_tools.sandbox.cgroup import BESIDE_BYTES, Group, Site
from dc_tools.sandbox.execution import Program, Session

_BOOT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from dc_tools.sandbox.worker import main; "
    "del sys.path[0]; main()"
)
PYTHON_FLAGS = ("-s", "-S", "-P", "-X", "utf8")
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC",
    "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1",
}


class LocalWorker:
    """One worker process; not for use by two threads at once. Errors: `CannotRun` where no level is to be had."""

    backend = "local"

    def __init__(
        self, tried: Sequence[str] = levels.SAFE, packages: Sequence[str] = (), sites: Sequence[Site] = ()
    ) -> None:
        refusals = []
        for level in tried:
            pipe = _LocalPipe(level, packages, sites)
            answer = _answer(pipe)
            if answer is None:
                self.level = level
                self.offers_fast = levels.BY_NAME[level].seccomp
                self.offers_files = levels.BY_NAME[level].own_tmp
                self.group = pipe.group
                self._line = stream.Line(pipe, pipe.group, BESIDE_BYTES)
                return
            refusals.append(f"{level}: {answer}")
            pipe.close()
        raise CannotRun("this machine cannot isolate programs (" + "; ".join(refusals) + ")")

    def session(self, program: Program, *, fast: bool = False) -> AbstractContextManager[Session]:
        """Compile a program and keep it ready. Errors: `WorkerLost`, here and from `Session.run`."""
        return stream.session(self._line, program, fast=fast)

    def kill(self) -> None:
        """End the worker process and all it runs; may be called from another thread."""
        self._line.pipe.kill()

    def close(self) -> None:
        """End the worker and give back its descriptors."""
        self._line.pipe.close()


class _LocalPipe:
    """The worker process and the socket to it."""

    def __init__(self, level: str, packages: Sequence[str], sites: Sequence[Site]) -> None:
        ours, theirs = socket.socketpair()
        self._errors = os.memfd_create("errors", os.MFD_CLOEXEC)
        base = Path(dc_tools.__file__).parent.parent
        warm, folders = _packages(packages)
        handle, tools = str(theirs.fileno()), ",".join(tool_folders())
        arguments = [str(base), handle, handle, level, str(os.getpid()), warm, tools, *readable_paths(), *folders]
        self._process = subprocess.Popen(
            [interpreter(), *PYTHON_FLAGS, "-c", _BOOT, *arguments],
            pass_fds=[theirs.fileno()], env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=self._errors, cwd="/", start_new_session=True,
        )
        theirs.close()
        self.group = Group(sites)
        self.group.add(self._process.pid)
        self._socket = ours
        self._timeout_s: float | None = None

    def send(self, *parts: bytes) -> None:
        """Send all of it."""
        self._within(stream.SLACK_S)
        self._socket.sendall(parts[0] if len(parts) == 1 else b"".join(parts))

    def receive(self, size: int, timeout_s: float) -> bytes:
        """Exactly `size` bytes."""
        self._within(timeout_s)
        data = self._socket.recv(min(size, 1 << 20))
        if len(data) == size:
            return data
        whole = bytearray(data)
        while len(whole) < size:
            if not data:
                raise EOFError(self.said() or "the worker ended")
            data = self._socket.recv(min(size - len(whole), 1 << 20))
            whole += data
        return bytes(whole)

    def kill(self) -> None:
        """End the process; what it runs ends with it."""
        self._process.kill()

    def close(self) -> None:
        """End the process and give back descriptors and the control group."""
        self.kill()
        self._process.wait()
        self._socket.close()
        self.group.close()
        os.close(self._errors)

    def said(self) -> str:
        """The end of what the process wrote on its stderr."""
        size = os.fstat(self._errors).st_size
        return os.pread(self._errors, 2000, max(0, size - 2000)).decode("utf-8", "replace").strip()

    def _within(self, timeout_s: float) -> None:
        if timeout_s != self._timeout_s:
            self._socket.settimeout(timeout_s)
            self._timeout_s = timeout_s


def _answer(pipe: stream.Pipe) -> str | None:
    """What a new worker says against its level, None where it is ready."""
    try:
        kind, payload = stream.Line(pipe, stream.NoGuard(), 0).receive(stream.SLACK_S)
    except (OSError, EOFError):
        return pipe.said() or "the worker did not start"
    return None if kind == "Y" else payload.decode("utf-8", "replace")


def interpreter() -> str:
    """The real interpreter behind a virtual environment: the jail shows its library, not the environment's."""
    return os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)


def readable_paths() -> list[str]:
    """What a program may read: the standard library, shared libraries, time zones, harmless devices."""
    library = os.path.realpath(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    wanted = [library, "/usr/lib", "/lib", "/lib64", "/usr/share/zoneinfo", "/dev/null", "/dev/zero", "/dev/urandom"]
    return [path for path in dict.fromkeys(wanted) if os.path.exists(path)]


def tool_folders() -> list[str]:
    """What compilers need beside that; none where there is no compiler."""
    found = any(os.path.exists(compiler.command[0]) for compiler in languages.COMPILERS.values())
    return [path for path in languages.TOOLS if found and os.path.isdir(path)]


def _packages(names: Sequence[str]) -> tuple[str, list[str]]:
    """What the worker imports, as `FOLDER:NAME,NAME`, and the folders it reads for that. Errors: `CannotRun`."""
    folders: list[str] = []
    site = ""
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise CannotRun(f"--package {name}: no such package is installed here")
        home = os.path.realpath(spec.submodule_search_locations[0])
        site = os.path.dirname(home)
        folders += [path for path in (home, f"{home}.libs") if os.path.isdir(path)]
    return (f"{site}:{','.join(names)}" if names else ""), folders
