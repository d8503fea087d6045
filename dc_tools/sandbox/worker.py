"""The process that runs untrusted programs. It knows inputs, never expected outputs.

    grader --stream--> worker (in the jail, warm) --> nursery --clone--> fast cell: one process for all inputs
                                                  --clone--> isolated cell --fork--> one process for each input

The worker enters the jail once and makes a cell for each solution. A fast cell becomes the program itself; the worker
hands it one input at a time and watches its CPU clock from outside. Standard library only; started by exec, so nothing
of the grader's memory is here.
"""

import fcntl
import gc
import importlib
import json
import mmap
import os
import signal
import sys
import time

from dc_tools.sandbox import cell, fast, filters, jail, levels, program
from dc_tools.sandbox.frames import RESULT, USAGE, Channel
from dc_tools.sandbox.nursery import Nursery

COMPILE_CPU_S = 10.0
FAST_CPU_S = 0.1
"""CPU a fast run may use; a longer one gains nothing from being fast."""
FAST_WALL_S = 2.0
OUTPUT_BYTES = 16 << 20
"""Most that a fast run may write."""
_OUTPUTS = (fast.OUT, fast.ERR, fast.VALUE)
WARM = (
    "bisect", "collections", "copy", "functools", "heapq", "itertools", "json", "math", "operator", "os", "random",
    "re", "string", "sys", "time", "types", "typing",
)
"""What most programs import. Every further module makes every fork dearer; a program that wants it imports it."""
WARM_WITHOUT_FILES = (
    "array", "ast", "cmath", "dataclasses", "datetime", "decimal", "enum", "fractions", "hashlib", "queue",
    "statistics", "textwrap", "threading", "traceback",
    "asyncio", "calendar", "cProfile", "ctypes", "difflib", "fileinput", "inspect", "locale", "logging", "numbers",
    "pprint", "secrets", "shlex", "struct", "tempfile", "unittest", "uuid", "zlib", "contextlib", "__future__",
    "concurrent.futures.thread", "pickle", "zoneinfo", "graphlib", "sched", "bz2", "lzma", "gzip", "csv", "hmac",
    "colorsys", "codecs", "unicodedata", "encodings.idna", "encodings.latin_1", "importlib.util", "platform",
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
        rules = jail.ruleset(self.landlock, self.readable, []) if self.landlock and level.landlock else None
        self.nursery = Nursery(level, rules, OUTPUT_BYTES)
        if rules is not None:
            os.close(rules)
        self.compiled = mmap.mmap(-1, 1)
        gc.collect()
        gc.freeze()

    def serve(self) -> None:
        """Take solutions until the grader goes."""
        while True:
            kind, size = self.channel.header()
            if kind == "F":
                self._fast(size)
            elif kind == "I":
                self._isolated(size)
            else:
                raise ValueError(f"a frame {kind!r} where a solution should begin")

    def _fast(self, size: int) -> None:
        """Have a cell made, and hand it one input after the other until the grader has seen enough."""
        alive = self._begin_fast(size)
        self.channel.send("R" if alive else "G")
        while True:
            kind, size = self.channel.header()
            if kind != "T":
                break
            if alive:
                alive = self._fast_test(size)
            else:
                self.channel.pour(size, fast.IN)
                self.channel.send("g")
        memory_mb = self.nursery.end()
        for handle in (fast.IN, *_OUTPUTS):
            os.ftruncate(handle, 0)  # or it would count against the next program's memory
        self.channel.send("e", USAGE.pack(memory_mb))

    def _begin_fast(self, size: int) -> bool:
        job_size = int.from_bytes(self.channel.payload(4), "little")
        job = json.loads(self.channel.payload(job_size))
        job["address_space"] = (int(job["memory_mb"]) << 20) + self.base_bytes
        source_size = size - 4 - job_size
        os.ftruncate(fast.PROGRAM, 0)
        head = source_size.to_bytes(4, "little")
        os.pwrite(fast.PROGRAM, head, 0)
        self.channel.pour(source_size, fast.PROGRAM, len(head))
        return self.nursery.begin(job, COMPILE_CPU_S, COMPILE_CPU_S + FAST_WALL_S)

    def _fast_test(self, size: int) -> bool:
        nursery = self.nursery
        for handle in (fast.IN, *_OUTPUTS):
            os.ftruncate(handle, 0)
            os.lseek(handle, 0, os.SEEK_SET)
        self.channel.pour(size, fast.IN)
        os.lseek(fast.IN, 0, os.SEEK_SET)
        started, before = time.monotonic(), nursery.used_s
        if not (nursery.go() and nursery.answered(FAST_CPU_S, FAST_WALL_S)):
            self.channel.send("g")
            return False
        files = [(handle, os.fstat(handle).st_size) for handle in _OUTPUTS]
        sizes = [length for _, length in files]
        head = RESULT.pack(0, 0, nursery.used_s - before, time.monotonic() - started, 0.0, *sizes, 0, 0)
        self.channel.send_files("r", head, files)
        return True

    def _isolated(self, size: int) -> None:
        """Make a cell, which reads the solution itself: nothing of it may stay in memory that later ones inherit."""
        if self.level.namespaces:
            jail.fresh_tmp()
        self.compiled[0] = 0
        parent = os.getpid()
        pid = jail.clone_into(jail.CLONE_NEWPID | jail.CLONE_NEWIPC if self.level.namespaces else 0)
        if pid == 0:
            cell.contained(lambda: cell.Cell(self, size, parent).run())
        reason, is_its_own = cell.watch_compiling(pid, self.compiled, COMPILE_CPU_S)
        if reason:
            self.channel.send("C" if is_its_own and not self.compiled[0] else "X", reason.encode())


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


def _forget_ourselves() -> None:
    """Take our own modules out of what programs find imported; all that we need of them is at hand."""
    for name in [name for name in sys.modules if name.partition(".")[0] == __package__.partition(".")[0]]:
        del sys.modules[name]


def _address_space() -> int:
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[0]) * mmap.PAGESIZE


def main(argv: list[str] | None = None) -> None:
    """`worker READ WRITE LEVEL PARENT PACKAGES TOOLS PATH...`: serve a stream inside the given walls.

    READ and WRITE are descriptors. PACKAGES are imported from the folder that is named first, `FOLDER:NAME,NAME`, or
    empty. TOOLS are folders that compilers may use, with commas between.
    """
    reading, writing, name, parent, packages, tools, *readable = argv or sys.argv[1:]
    sys.dont_write_bytecode = True
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
    _forget_ourselves()
    try:
        worker = Worker(channel, level, readable, [t for t in tools.split(",") if t], int(parent))
    except OSError as error:
        channel.send("N", str(error).encode())
        return
    channel.send("Y")
    worker.serve()
