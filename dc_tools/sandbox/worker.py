"""The process that runs untrusted programs. It knows inputs, never expected outputs.

    grader --stream--> worker (in the jail, warm) --clone--> cell, fast: one process, all inputs one after the other
                                                  --clone--> cell, isolated --fork--> one process for each input

The worker enters the jail once and makes a cell for each solution. A fast cell becomes the program itself; the worker
hands it one input at a time, and watches its CPU clock from outside. Standard library only; started by exec, so nothing
of the grader's memory is here.
"""

import fcntl
import gc
import importlib
import mmap
import os
import select
import signal
import socket
import sys
import time

from dc_tools.sandbox import cell, fast, filters, jail, levels, program
from dc_tools.sandbox.frames import ENDED_BY, RESULT, USAGE, Channel

COMPILE_CPU_S = 10.0
FAST_CPU_S = 0.25
"""CPU a fast run may use; a longer one gains nothing from being fast."""
FAST_WALL_S = 2.0
_CPU_BACKSTOP_S = 3600
WARM = (
    "abc", "array", "ast", "bisect", "cmath", "collections", "copy", "dataclasses", "datetime", "decimal", "enum",
    "fractions", "functools", "hashlib", "heapq", "io", "itertools", "json", "math", "operator", "os", "queue",
    "random",
    "re", "statistics", "string", "sys", "textwrap", "threading", "time", "traceback", "types", "typing",
)
WARM_WITHOUT_FILES = (
    "asyncio", "calendar", "cProfile", "ctypes", "difflib", "fileinput", "inspect", "locale", "logging", "numbers",
    "pprint", "secrets", "shlex", "struct", "tempfile", "unittest", "uuid", "zlib", "contextlib", "concurrent.futures",
)
"""Further modules for programs that cannot open files, and so not import."""


class Worker:
    """The warm process in the jail."""

    def __init__(
        self, channel: Channel, level: levels.Level, readable: list[str], tools: list[str], parent: int
    ) -> None:
        self.channel, self.level = channel, level
        self.base_bytes = _address_space()
        self.landlock = jail.landlock_version()
        if level is levels.LANDLOCK and not self.landlock:
            raise OSError("this kernel has no landlock")
        if level.namespaces:
            jail.enter_namespaces([*readable, *tools])
        elif os.getuid() == 0:
            jail.become_nobody()
            if not os.access(readable[0], os.R_OK | os.X_OK):
                raise OSError(f"user nobody cannot read {readable[0]}: install Python where all may read it")
        self.readable = [path for path in readable if os.path.exists(path)]
        self.tools = [path for path in tools if os.path.exists(path)]
        jail.no_new_privileges()
        jail.die_with_parent(parent)
        self.filter = filters.full() if level.namespaces else None
        self.fast_filter = filters.fast(opens=level.opens)
        needs_rules = self.landlock and level.landlock
        self.fast_rules = jail.ruleset(self.landlock, self.readable, []) if needs_rules else None
        self.files = [_at(number, os.memfd_create(name)) for number, name in _FILES]
        self.compiled = mmap.mmap(-1, 1)
        self.used_tmp = True
        gc.collect()
        gc.freeze()

    def serve(self) -> None:
        """Take solutions until the grader goes."""
        while True:
            kind, size = self.channel.header()
            if kind == "F":
                _FastSolution(self, size).serve()
            elif kind == "I":
                self._isolated(size)
            else:
                raise ValueError(f"a frame {kind!r} where a solution should begin")

    def clean_tmp(self) -> None:
        """Have an empty /tmp."""
        if self.used_tmp and self.level.namespaces:
            jail.fresh_tmp()
        self.used_tmp = False

    def _isolated(self, size: int) -> None:
        """Make a cell, which reads the solution itself: nothing of it may stay in memory that later ones inherit."""
        self.clean_tmp()
        self.used_tmp = True
        self.compiled[0] = 0
        parent = os.getpid()
        pid = jail.clone_into(jail.CLONE_NEWPID | jail.CLONE_NEWIPC if self.level.namespaces else 0)
        if pid == 0:
            cell.contained(lambda: cell.Cell(self, size, parent).run())
        reason, is_its_own = cell.watch_compiling(pid, self.compiled, COMPILE_CPU_S)
        if reason:
            self.channel.send("C" if is_its_own and not self.compiled[0] else "X", reason.encode())


_FILES = ((fast.IN, "in"), (fast.OUT, "out"), (fast.ERR, "err"), (fast.VALUE, "value"))


class _FastSolution:
    """One solution on the fast path, from the worker's side."""

    def __init__(self, worker: Worker, size: int) -> None:
        self._worker, self._channel = worker, worker.channel
        worker.clean_tmp()
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        self._pid = jail.clone_into(0)
        if self._pid == 0:
            cell.contained(lambda: _become_fast(worker, size, theirs.fileno(), parent))
        theirs.close()
        self._control = ours
        self._poll = select.poll()
        self._poll.register(ours, select.POLLIN)
        self._used_s = 0.0

    def serve(self) -> None:
        """Hand over inputs as they come, until the grader has seen enough."""
        alive = self._answered(COMPILE_CPU_S)
        self._used_s = cell.cpu_seconds(self._pid)
        self._channel.send("R" if alive else "G")
        while True:
            kind, size = self._channel.header()
            if kind != "T":
                break
            if alive:
                alive = self._test(size)
            else:
                self._channel.pour(size, fast.IN)
                self._channel.send("g")
        os.kill(self._pid, signal.SIGKILL)
        _, _, usage = os.wait4(self._pid, 0)
        self._control.close()
        self._channel.send("e", USAGE.pack(usage.ru_maxrss / 1024))

    def _test(self, size: int) -> bool:
        for handle in self._worker.files:
            os.ftruncate(handle, 0)
            os.lseek(handle, 0, os.SEEK_SET)
        self._channel.pour(size, fast.IN)
        os.lseek(fast.IN, 0, os.SEEK_SET)
        started, before = time.monotonic(), self._used_s
        self._control.send(fast.GO, socket.MSG_NOSIGNAL)
        done = self._answered(FAST_CPU_S)
        self._used_s = cell.cpu_seconds(self._pid)
        if not done:
            self._channel.send("g")
            return False
        files = [(handle, os.fstat(handle).st_size) for handle in self._worker.files[1:]]
        head = RESULT.pack(
            0, ENDED_BY.index(""), self._used_s - before, time.monotonic() - started, 0.0,
            *(length for _, length in files), 0, 0,
        )
        self._channel.send_files("r", head, files)
        return True

    def _answered(self, cpu_s: float) -> bool:
        """Whether the cell says `DONE` before it has used `cpu_s` more, or waited too long."""
        ends, limit = time.monotonic() + FAST_WALL_S + cpu_s, self._used_s + cpu_s
        wait_ms = 1000 * cpu_s
        while not self._poll.poll(wait_ms):
            if cell.cpu_seconds(self._pid) > limit or time.monotonic() > ends:
                return False
            wait_ms = max(5, 1000 * (limit - cell.cpu_seconds(self._pid)) / 2)
        try:
            return self._control.recv(1) == fast.DONE
        except OSError:
            return False


def _become_fast(worker: Worker, size: int, control: int, parent: int) -> None:
    """The cell's part: take the solution, compile it, build the walls, run."""
    level = worker.level
    job = cell.job_of(worker.channel.payload(size))
    _at(fast.CONTROL, control)
    jail.die_with_parent(parent)
    jail.limit_memory((int(job["memory_mb"]) << 20) + worker.base_bytes)
    code = cell.compiled(job)
    jail.limit(_CPU_BACKSTOP_S, job["output_bytes"], threads=jail.MAX_PROCESSES)
    if level.namespaces:
        jail.drop_capabilities()
    if worker.fast_rules is not None:
        jail.obey(worker.fast_rules)
    os.chdir("/tmp" if level.own_tmp else "/")
    os.closerange(3, fast.IN)
    jail.close_from(fast.CONTROL + 1)
    filters.obey(worker.fast_filter)
    fast.serve(code, job)


def _at(number: int, handle: int) -> int:
    """Move a descriptor to `number`."""
    os.dup2(handle, number, inheritable=False)
    os.close(handle)
    return number


def _low(reading: int, writing: int) -> tuple[int, int]:
    """The stream's descriptors moved below those with a meaning; nothing of it is left on stdin and stdout."""
    moved = fcntl.fcntl(reading, fcntl.F_DUPFD_CLOEXEC, 3), fcntl.fcntl(writing, fcntl.F_DUPFD_CLOEXEC, 3)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for handle in {reading, writing, 0, 1}:
        if handle < 2:
            os.dup2(null, handle)
        else:
            os.close(handle)
    os.close(null)
    return moved


def _address_space() -> int:
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[0]) * mmap.PAGESIZE


def main(argv: list[str] | None = None) -> None:
    """`worker READ WRITE LEVEL PARENT PACKAGES TOOLS PATH...`: serve a stream inside the given walls.

    READ and WRITE are descriptors. PACKAGES are imported from the folder that is named first, `FOLDER:NAME,NAME`, or
    empty. TOOLS are folders that compilers may use, with commas between.
    """
    reading, writing, name, parent, packages, tools, *readable = argv or sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a program may send it to the cell, which is its parent
    channel, level = Channel(*_low(int(reading), int(writing))), levels.BY_NAME[name]
    for module in WARM if level.opens else WARM + WARM_WITHOUT_FILES:
        importlib.import_module(module)
    program.prepare()
    if packages:
        folder, _, names = packages.rpartition(":")
        sys.path.append(folder)
        for module in names.split(","):
            importlib.import_module(module)
    try:
        worker = Worker(channel, level, readable, [t for t in tools.split(",") if t], int(parent))
    except OSError as error:
        channel.send("N", str(error).encode())
        return
    channel.send("Y")
    worker.serve()
