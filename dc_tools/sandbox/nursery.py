"""Where fast cells come from: a process that has the walls already and does nothing but fork.

    worker --orders--> nursery --clone--> cell --control--> worker

It does no other work, so that few of its pages are ever written and a fork stays cheap. One cell lives at a time; it
reads its program from a file in memory, so that nothing of a program is in what later cells inherit. Standard library
only.
"""

import _socket  # `socket` makes an enumeration of every constant, which all forks would carry
import gc
import marshal
import os
import resource
import select
import signal
import struct
import time
import warnings
from typing import Any, NoReturn

from dc_tools.sandbox import fast, filters, jail, program
from dc_tools.sandbox.levels import Level

CPU_BACKSTOP_S = 3600
_NEW, _END = b"n", b"e"
_PID, _USAGE = struct.Struct("<i"), struct.Struct("<d")
_FILES = ((fast.IN, "in"), (fast.OUT, "out"), (fast.ERR, "err"), (fast.VALUE, "value"), (fast.PROGRAM, "program"))


class Nursery:
    """The worker's side: has cells made and talks to the one that lives."""

    def __init__(self, level: Level, rules: int | None, output_bytes: int) -> None:
        for number, name in _FILES:
            at(number, os.memfd_create(name))
        self._orders, orders = _socket.socketpair()
        self._control, control = _socket.socketpair()
        parent = os.getpid()
        pid = jail.clone_into(0)
        if pid == 0:
            _contained(lambda: _Mother(level, orders, control, output_bytes).serve(parent, rules))
        orders.close()
        control.close()
        self._control.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._control, select.POLLIN)
        self._cell, self._pidfd = 0, -1
        self.used_s = 0.0
        """CPU seconds of the living cell, when it last answered."""

    def begin(self, job: dict[str, Any], cpu_s: float, wall_s: float) -> bool:
        """Have a cell made for the source in `fast.PROGRAM`; whether it compiled."""
        head = marshal.dumps(job)
        os.pwrite(fast.PROGRAM, struct.pack("<I", len(head)) + head, os.fstat(fast.PROGRAM).st_size)
        self._orders.send(_NEW)
        (self._cell,) = _PID.unpack(self._heard(_PID.size))
        self._pidfd = os.pidfd_open(self._cell)
        self._poll.register(self._pidfd, select.POLLIN)
        self.used_s = 0.0
        return self.answered(cpu_s, wall_s)

    def go(self) -> bool:
        """Have the cell take the next input; False where it has long not listened."""
        try:
            return self._control.send(fast.GO, _socket.MSG_NOSIGNAL) == len(fast.GO)
        except BlockingIOError:
            return False

    def answered(self, cpu_s: float, wall_s: float) -> bool:
        """Whether the cell says `DONE` before it has used `cpu_s` more, or `wall_s` have passed."""
        ends, limit = time.monotonic() + wall_s, self.used_s + cpu_s
        wait_ms = 1000 * cpu_s
        while not self._poll.poll(wait_ms):
            left = limit - cpu_seconds(self._cell)
            if left < 0 or time.monotonic() > ends:
                return False
            wait_ms = max(5, 500 * left)
        self.used_s = cpu_seconds(self._cell)
        try:
            return self._control.recv(1) == fast.DONE
        except OSError:
            return False

    def end(self) -> float:
        """End the cell; its largest resident size, MiB."""
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        self._orders.send(_END)
        (memory_mb,) = _USAGE.unpack(self._heard(_USAGE.size))
        self._poll.unregister(self._pidfd)
        os.close(self._pidfd)
        _empty(self._control)
        return float(memory_mb)

    def _heard(self, size: int) -> bytes:
        data = self._orders.recv(size)
        if len(data) != size:
            raise OSError("the nursery is gone")
        return data


class _Mother:
    """The nursery's own process."""

    def __init__(self, level: Level, orders: _socket.socket, control: _socket.socket, output_bytes: int) -> None:
        self._level, self._orders = level, orders
        self._control = _socket.socket(fileno=at(fast.CONTROL, control.detach()))
        self._output_bytes = output_bytes
        self._filter = filters.fast(opens=level.opens)

    def serve(self, parent: int, rules: int | None) -> None:
        """Build the walls, then make a cell for each order until the worker goes."""
        jail.die_with_parent(parent)
        orders = at(fast.ORDERS, self._orders.detach())
        jail.limit(CPU_BACKSTOP_S, self._output_bytes, threads=jail.MAX_PROCESSES)
        if self._level.namespaces:
            jail.drop_capabilities()
        if rules is not None:
            jail.obey(rules)
        os.chdir("/")
        os.closerange(3, fast.IN)
        jail.close_from(fast.ORDERS + 1)
        warnings.simplefilter("ignore")
        fast.rehearse()
        gc.collect()
        gc.freeze()
        mother = os.getpid()
        while os.read(orders, 1):
            pid = jail.clone_into(0)
            if pid == 0:
                _contained(lambda: self._become_cell(mother))
            os.write(orders, _PID.pack(pid))
            os.read(orders, 1)  # until then its process id and its clock stay its own
            usage = os.wait4(pid, 0)[2]
            _empty(self._control)  # what this cell did not read is not for the next one
            os.write(orders, _USAGE.pack(usage.ru_maxrss / 1024))

    def _become_cell(self, mother: int) -> NoReturn:
        jail.die_with_parent(mother)
        os.close(fast.ORDERS)
        source, job = _program()
        resource.setrlimit(resource.RLIMIT_AS, (job["address_space"], job["address_space"]))
        code = compile(source, program.FILE, "exec", dont_inherit=True)
        filters.obey(self._filter)
        fast.serve(code, source, job)


def _program() -> tuple[bytes, dict[str, Any]]:
    """The source, and behind it in the file what else there is to know."""
    whole = os.pread(fast.PROGRAM, os.fstat(fast.PROGRAM).st_size, 0)
    os.close(fast.PROGRAM)
    at_job = int.from_bytes(whole[:4], "little") + 4
    return whole[4:at_job], marshal.loads(whole[at_job + 4 :])


def at(number: int, handle: int) -> int:
    """Move a descriptor to `number`."""
    os.dup2(handle, number, inheritable=False)
    os.close(handle)
    return number


def _empty(stream: _socket.socket) -> None:
    """Forget what has come."""
    try:
        while stream.recv(4096, _socket.MSG_DONTWAIT):
            pass
    except BlockingIOError:
        pass


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, from its own clock; 0 once it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _contained(work: Any) -> NoReturn:
    """Run a child's part; it never returns into its parent's code."""
    try:
        work()
    except BaseException:
        os._exit(1)
    os._exit(0)
