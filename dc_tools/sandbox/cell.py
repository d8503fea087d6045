"""The isolated path: one cell for a solution, in which each test is a process of its own.

The cell itself never runs the program. It compiles, forks a process for each test, watches and cleans up after it.
Standard library only.
"""

import base64
import contextlib
import json
import mmap
import os
import select
import shutil
import signal
import stat
import time
import warnings
from typing import Any, NoReturn, Protocol

from dc_tools.sandbox import filters, jail, languages, program, toolchain
from dc_tools.sandbox.frames import ENDED_BY, RESULT, Channel, write_all
from dc_tools.sandbox.levels import Level
from dc_tools.sandbox.nursery import cpu_seconds

FETCHED_BYTES = 16 << 20


class Home(Protocol):
    """What a cell inherits from its worker."""

    channel: Channel
    level: Level
    landlock: int
    readable: list[str]
    tools: list[str]
    base_bytes: int
    filter: filters.Filter | None
    compiled: mmap.mmap


def job_of(payload: bytes) -> dict[str, Any]:
    """A job as the grader sends it: the length of its JSON part, that part, the source."""
    size = int.from_bytes(payload[:4], "little")
    job: dict[str, Any] = json.loads(payload[4 : 4 + size])
    job["code"] = payload[4 + size :]
    return job


def compiled(job: dict[str, Any]) -> Any:
    """The code object of a Python program. Errors: whatever the compiler raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(job["code"], program.FILE, "exec", dont_inherit=True)


class Cell:
    """One solution. `size` is the length of its job on the channel."""

    def __init__(self, home: Home, size: int, parent: int) -> None:
        self.channel, self.level, self.filter, self.compiled = home.channel, home.level, home.filter, home.compiled
        self.job = job_of(self.channel.payload(size))
        self.is_python = self.job["lang"] == languages.PYTHON
        jail.die_with_parent(0 if self.level.namespaces else parent)
        self.home = home
        self.probes = mmap.mmap(-1, self.job["probes"]) if self.job["probes"] else None

    def run(self) -> None:
        """Compile, then serve tests until the grader says that it has seen enough."""
        if self.is_python:
            self._wall_in()
        try:
            code = compiled(self.job) if self.is_python else self._built()
        except BaseException as error:
            self.compiled[0] = 1
            self.channel.send("C", one_line(error).encode("utf-8", "replace"))
            return
        if not self.is_python:
            self._wall_in()
        self.compiled[0] = 1
        self.channel.send("R")
        while True:
            kind, size = self.channel.header()
            if kind == "W":
                self._lay_out(json.loads(self.channel.payload(size)))
            elif kind == "T":
                self._test(code, size)
            else:
                return

    def _built(self) -> int:
        """The program that a compiler made, as a descriptor."""
        home = self.home
        tools = [*home.tools, *(p for p in home.readable if os.path.isdir(p))]
        devices = [p for p in home.readable if not os.path.isdir(p)]
        rules = jail.ruleset(home.landlock, devices, ["/tmp"], tools) if home.landlock else None
        try:
            if self.level.namespaces:
                jail.resize_tmp(jail.BUILD_TMP_SIZE)
            return toolchain.build(self.job["lang"], self.job["code"], rules, self.job["compile_cpu_s"])
        finally:
            self._sweep()
            if self.level.namespaces:
                jail.resize_tmp(jail.TMP_SIZE)

    def _wall_in(self) -> None:
        """Never again more than the tests may see, and no more memory than they may have."""
        home = self.home
        if home.landlock and self.level.landlock:
            jail.obey(jail.ruleset(home.landlock, home.readable, ["/tmp"] if self.level.own_tmp else []))
        if self.is_python:
            jail.limit_memory((int(self.job["memory_mb"]) << 20) + home.base_bytes)

    def _test(self, code: Any, size: int) -> None:
        stdin = os.memfd_create("in", os.MFD_CLOEXEC)
        self.channel.pour(size, stdin)
        files = [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("out", "err", "value")]
        self._lay_out(self.job["files"])
        started, cell = time.monotonic(), os.getpid()
        pid = os.fork()
        if pid == 0:
            contained(lambda: self._become_program(code, stdin, files, cell))
        ended_by = self._watch(pid, started)
        _, status, usage = os.wait4(pid, 0)
        fetched = self._fetched()
        if self.level.namespaces or self.level.own_tmp:
            self._sweep()
        sizes = [os.fstat(f).st_size for f in files]
        head = RESULT.pack(
            os.waitstatus_to_exitcode(status), ENDED_BY.index(ended_by), usage.ru_utime + usage.ru_stime,
            time.monotonic() - started, usage.ru_maxrss / 1024, *sizes, len(self.probes or b""), len(fetched),
        )
        tail = bytes(self.probes or b"") + fetched
        self.channel.send_files("r", head, list(zip(files, sizes, strict=True)), tail)
        for handle in (stdin, *files):
            os.close(handle)

    def _become_program(self, code: Any, stdin: int, files: list[int], cell: int) -> NoReturn:
        job = self.job
        self.compiled.close()  # shared with the worker, and so with every later solution
        if not self.is_python:
            os.dup2(code, filters.EXEC_FD, inheritable=False)
            for handle in (stdin, *files):
                os.fchmod(handle, 0o600)  # what it writes there it shall not execute
        for target, handle in enumerate([stdin, *files]):
            os.dup2(handle, target)
        os.closerange(4, filters.EXEC_FD)
        jail.close_from(filters.EXEC_FD + (not self.is_python))
        jail.die_with_parent(cell)
        threads = jail.MAX_THREADS if self.level.namespaces else jail.MAX_PROCESSES
        jail.limit(job["time_s"], job["output_bytes"], threads=threads)
        if not self.is_python:
            jail.limit_memory(int(job["memory_mb"]) << 20)
            jail.free_stack()
        if self.level.namespaces:
            jail.drop_capabilities()
        os.chdir("/tmp" if self.level.own_tmp else "/")
        if self.level.seccomp:
            filters.obey((self.is_python and self.filter) or self._own_filter(execs=not self.is_python))
        if not self.is_python:
            if toolchain.needed_bytes(filters.EXEC_FD) > int(job["memory_mb"]) << 20:
                raise MemoryError("its static data alone are too large")
            toolchain.become(filters.EXEC_FD, job["argv"])
        program.run(code, job, self.probes)

    def _own_filter(self, *, execs: bool) -> filters.Filter:
        own = None if self.level.namespaces else os.getpid()
        return filters.full(own, opens=self.level.opens, owns_files=self.level.own_tmp, execs=execs)

    def _watch(self, pid: int, started: float) -> str:
        """Wait for a test's process; kill it when its CPU or wall time is over and say which."""
        cpu_limit, wall_limit = self.job["time_s"], self.job["wall_s"]
        handle = os.pidfd_open(pid)
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        killed, pause = "", cpu_limit
        while not waiting.poll(1000 * min(max(pause, 0.005), 3600) if not killed else None):
            used, wall = cpu_seconds(pid), time.monotonic() - started
            if used > cpu_limit or wall > wall_limit:
                killed = "cpu" if used > cpu_limit else "wall"
                os.kill(pid, 9)
            pause = min((cpu_limit - used) / 2, wall_limit - wall)
        os.close(handle)
        return killed

    def _lay_out(self, files: dict[str, str]) -> None:
        for name, content in files.items():
            path = os.path.join("/tmp", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as stream:
                stream.write(base64.b64decode(content))

    def _fetched(self) -> bytes:
        """JSON of the files that were asked for and are there; what is no plain file, or too much, is not."""
        found, room = {}, FETCHED_BYTES
        for name in self.job["fetch"]:
            with contextlib.suppress(OSError):
                handle = os.open(os.path.join("/tmp", name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    about = os.fstat(handle)
                    if stat.S_ISREG(about.st_mode) and about.st_size <= room:
                        found[name] = base64.b64encode(os.pread(handle, about.st_size, 0)).decode()
                        room -= about.st_size
                finally:
                    os.close(handle)
        return json.dumps(found).encode() if found else b""

    def _sweep(self) -> None:
        """Nothing that a test left behind sees the next one."""
        if self.level.namespaces:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(-1, 9)
                while True:
                    os.waitpid(-1, 0)
        with os.scandir("/tmp") as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)


def contained(work: Any) -> NoReturn:
    """Run a child's part; it never returns into its parent's code."""
    code = 1
    try:
        work()
        code = 0
    except BaseException as error:
        write_all(2, f"{one_line(error)}\n".encode("utf-8", "replace"))
    finally:
        os._exit(code)


def one_line(error: BaseException) -> str:
    """An error on one line."""
    if isinstance(error, toolchain.Refused):
        return str(error)
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{type(error).__name__}: {error.msg} (line {error.lineno})"
    return f"{type(error).__name__}: {error}".split("\n")[0]


def watch_compiling(pid: int, is_compiled: mmap.mmap, limit_s: float) -> tuple[str, bool]:
    """Wait for a cell; while it compiles Python its CPU time is bounded.

    Says how it ended, '' when as it should, and whether a compiler that ran too long or crashed may be the reason.
    """
    handle = os.pidfd_open(pid)
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    reason = ""
    while not waiting.poll(100 if not is_compiled[0] and not reason else None):
        if not is_compiled[0] and cpu_seconds(pid) > limit_s:
            reason = f"compiling took over {limit_s:.0f} s"
            os.kill(pid, signal.SIGKILL)
    os.close(handle)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if reason or code == 0:
        return reason, True
    return ("the compiler crashed" if code < 0 else f"the cell ended with {code}"), code < 0
