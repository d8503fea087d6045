"""The process that runs untrusted programs. It knows inputs, never expected outputs.

    grader --socket--> worker (in the jail, warm) --clone--> cell (one solution, own pid namespace) --fork--> one test

The worker enters the jail once and makes a cell for each solution. The cell compiles the program under limits and forks
a process for each test, which takes on the last walls (limits, no capabilities, seccomp) and becomes the program.
Standard library only; started by exec, so nothing of the grader's memory is here.
"""

import gc
import importlib
import json
import mmap
import os
import select
import shutil
import signal
import socket
import struct
import sys
import time
import warnings
from typing import Any, NoReturn

from dc_tools.sandbox import jail, program

COMPILE_CPU_S = 10.0
HEADER = struct.Struct("<BI")
WARM = (
    "abc", "array", "ast", "bisect", "cmath", "collections", "copy", "dataclasses", "datetime", "decimal", "enum",
    "fractions", "functools", "hashlib", "heapq", "io", "itertools", "json", "math", "operator", "os", "queue",
    "random",
    "re", "statistics", "string", "sys", "textwrap", "threading", "time", "traceback", "types", "typing",
)


class Channel:
    """Frames on a socket: one byte of kind, four of length, the payload."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)

    def receive(self) -> tuple[str, bytes]:
        """The next frame; the process ends when the other side has gone."""
        kind, size = HEADER.unpack(self._exactly(HEADER.size))
        return chr(kind), self._exactly(size)

    def wait(self) -> None:
        """Wait for a frame without taking any of it; the process ends when the other side has gone."""
        if not self._socket.recv(1, socket.MSG_PEEK):
            os._exit(0)

    def send(self, kind: str, *parts: bytes) -> None:
        """Send one frame."""
        payload = b"".join(parts)
        self._socket.sendall(HEADER.pack(ord(kind), len(payload)) + payload)

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            block = self._socket.recv(min(size - len(data), 1 << 20))
            if not block:
                os._exit(0)
            data += block
        return bytes(data)


class Worker:
    """The warm process in the jail."""

    def __init__(self, channel: Channel, level: str, readable: list[str], parent: int) -> None:
        self.channel, self.namespaces = channel, level == "namespaces"
        self.readable = readable
        self.base_bytes = _address_space()
        self.landlock = jail.landlock_version()
        if not self.namespaces and not self.landlock:
            raise OSError("this kernel offers neither user namespaces nor landlock")
        if self.namespaces:
            jail.enter_namespaces(readable)
        elif os.getuid() == 0:
            jail.become_nobody()
            if not os.access(readable[0], os.R_OK | os.X_OK):
                raise OSError(f"user nobody cannot read {readable[0]}: install Python where all may read it")
        jail.no_new_privileges()
        jail.die_with_parent(parent)
        self.filter = jail.seccomp_program() if self.namespaces else None
        self.compiled = mmap.mmap(-1, 1)
        gc.collect()
        gc.freeze()

    def serve(self) -> None:
        """Take solutions until the grader goes."""
        while True:
            self.channel.wait()
            self._solution()

    def _solution(self) -> None:
        """Make a cell, which reads the solution itself: nothing of it may stay in memory that later ones inherit."""
        if self.namespaces:
            jail.fresh_tmp()
        self.compiled[0] = 0
        worker = os.getpid()
        pid = jail.clone_into(jail.CLONE_NEWPID | jail.CLONE_NEWIPC) if self.namespaces else os.fork()
        if pid == 0:
            _contained(lambda: Cell(self, worker).run())
        reason, is_its_own = self._watch(pid)
        if reason:
            self.channel.send("C" if is_its_own and not self.compiled[0] else "X", reason.encode())

    def _watch(self, pid: int) -> tuple[str, bool]:
        """Wait for a cell; while it compiles its CPU time is bounded.

        Says how it ended, '' when as it should, and whether a compiler that ran too long or crashed may be the reason.
        """
        handle = os.pidfd_open(pid)
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        reason = ""
        while not waiting.poll(100 if not self.compiled[0] and not reason else None):
            if not self.compiled[0] and _cpu_seconds(pid) > COMPILE_CPU_S:
                reason = f"compiling took over {COMPILE_CPU_S:.0f} s"
                os.kill(pid, 9)
        os.close(handle)
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if reason or code == 0:
            return reason, True
        return ("the compiler crashed" if code < 0 else f"the cell ended with {code}"), code < 0


class Cell:
    """One solution: compiled once, then one process a test."""

    def __init__(self, worker: Worker, parent: int) -> None:
        self.channel, self.namespaces = worker.channel, worker.namespaces
        kind, payload = self.channel.receive()
        if kind != "S":
            raise ValueError(f"a frame {kind!r} where a solution should begin")
        self.job: dict[str, Any] = json.loads(payload)
        self.filter = worker.filter
        jail.die_with_parent(0 if self.namespaces else parent)
        writable = ["/tmp"] if self.namespaces else []
        if worker.landlock:
            jail.landlock(worker.landlock, [p for p in worker.readable if os.path.exists(p)], writable)
        memory = (int(self.job["memory_mb"]) << 20) + worker.base_bytes
        jail.limit_memory(memory)
        self.probes = mmap.mmap(-1, self.job["probes"]) if self.job["probes"] else None
        self.compiled = worker.compiled

    def run(self) -> None:
        """Compile, then serve tests until the grader says that it has seen enough."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                code = compile(bytes.fromhex(self.job["code"]), program.FILE, "exec", dont_inherit=True)
        except BaseException as error:
            self.compiled[0] = 1
            self.channel.send("C", _one_line(error).encode("utf-8", "replace"))
            return
        self.compiled[0] = 1
        self.channel.send("R")
        while True:
            kind, payload = self.channel.receive()
            if kind != "T":
                return
            self._test(code, payload)

    def _test(self, code: Any, data: bytes) -> None:
        stdin = _memory_file("in", data)
        files = [_memory_file(name) for name in ("out", "err", "value")]
        started, cell = time.monotonic(), os.getpid()
        pid = os.fork()
        if pid == 0:
            _contained(lambda: self._become_program(code, stdin, files, cell))
        killed = self._watch(pid, started)
        _, status, usage = os.wait4(pid, 0)
        if self.namespaces:
            self._sweep()
        wall_s = time.monotonic() - started
        contents = [_contents(f) for f in files]
        for handle in (stdin, *files):
            os.close(handle)
        head = json.dumps({
            "exit": os.waitstatus_to_exitcode(status), "killed": killed, "wall_s": round(wall_s, 4),
            "cpu_s": round(usage.ru_utime + usage.ru_stime, 4), "memory_mb": round(usage.ru_maxrss / 1024, 1),
            "sizes": [len(c) for c in contents], "probes": len(self.probes) if self.probes else 0,
        }).encode()
        self.channel.send("r", struct.pack("<I", len(head)), head, *contents, bytes(self.probes or b""))

    def _become_program(self, code: Any, stdin: int, files: list[int], cell: int) -> NoReturn:
        self.compiled.close()  # shared with the worker, and so with every later solution
        for target, handle in enumerate([stdin, *files]):
            os.dup2(handle, target)
        jail.close_from(4)
        jail.die_with_parent(cell)
        threads = jail.MAX_THREADS if self.namespaces else jail.MAX_PROCESSES
        jail.limit(self.job["time_s"], self.job["output_bytes"], threads=threads)
        if self.namespaces:
            jail.drop_capabilities()
            os.chdir("/tmp")
        jail.seccomp(self.filter or jail.seccomp_program(os.getpid()))
        program.run(code, self.job, self.probes)

    def _watch(self, pid: int, started: float) -> str:
        """Wait for a test's process; kill it when its CPU or wall time is over and say which."""
        cpu_limit, wall_limit = self.job["time_s"], self.job["wall_s"]
        handle = os.pidfd_open(pid)
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        killed, pause = "", cpu_limit
        while not waiting.poll(1000 * max(pause, 0.005) if not killed else None):
            used, wall = _cpu_seconds(pid), time.monotonic() - started
            if used > cpu_limit or wall > wall_limit:
                killed = "cpu" if used > cpu_limit else "wall"
                os.kill(pid, 9)
            pause = min((cpu_limit - used) / 2, wall_limit - wall)
        os.close(handle)
        return killed

    def _sweep(self) -> None:
        """Nothing that a test left behind sees the next one."""
        try:
            os.kill(-1, 9)
            while True:
                os.waitpid(-1, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        with os.scandir("/tmp") as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)


def _contained(work: Any) -> NoReturn:
    """Run a child's part; it never returns into its parent's code."""
    code = 1
    try:
        work()
        code = 0
    except BaseException as error:
        os.write(2, f"sandbox: {_one_line(error)}\n".encode("utf-8", "replace"))
    finally:
        os._exit(code)


def _one_line(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{type(error).__name__}: {error.msg} (line {error.lineno})"
    return f"{type(error).__name__}: {error}".split("\n")[0]


def _memory_file(name: str, data: bytes = b"") -> int:
    handle = os.memfd_create(name, os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


def _contents(handle: int) -> bytes:
    size = os.fstat(handle).st_size
    return os.pread(handle, size, 0) if size else b""


def _cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, from its own clock; 0 once it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _address_space() -> int:
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[0]) * mmap.PAGESIZE


def main() -> None:
    """`worker FD LEVEL PARENT PACKAGES PATH...`: serve the socket FD inside the given walls.

    PACKAGES are imported from the folder that is named first, `FOLDER:NAME,NAME`, or empty.
    """
    fd, level, parent, packages, *readable = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a program may send it to the cell, which is its parent
    channel = Channel(int(fd))
    for name in WARM:
        importlib.import_module(name)
    program.prepare()
    if packages:
        folder, _, names = packages.rpartition(":")
        sys.path.append(folder)
        for name in names.split(","):
            importlib.import_module(name)
    try:
        worker = Worker(channel, level, readable, int(parent))
    except OSError as error:
        channel.send("N", str(error).encode())
        return
    channel.send("Y")
    worker.serve()
