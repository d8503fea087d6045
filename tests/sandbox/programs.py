"""Programs for the sandbox, each with the verdicts that it may get. Hostile ones are bounded: none loops in forks."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from dc_tools.core.records import Entry, Limits, Mode, Problem, Test

SECRET = "secret-7319"
FAST = Limits(time_s=0.4, memory_mb=256)
BRIEF = Limits(time_s=0.1, memory_mb=256)
"""For programs that wait to be ended: 2.4 s of wall time."""
ROOMY = Limits(time_s=4.0, memory_mb=512)
NARROW = Limits(time_s=4.0, memory_mb=64)
"""For programs that fill the memory by and by."""
LIBC = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
SAY = "\nprint('denied' if result < 0 else 'done')\n"


@dataclass(frozen=True)
class Case:
    """A program, what its one test expects, and the statuses that are right for it."""

    name: str
    code: str
    statuses: tuple[str, ...]
    output: str = "6\n"
    input: str = "2 3\n"
    function: Entry | None = None
    limits: Limits = field(default_factory=lambda: FAST)
    message: str = ""
    """A part of the verdict's message."""
    writes_files: bool = False
    """Whether it works in a folder of its own, /tmp, which only namespaces can give it."""

    @property
    def is_idle(self) -> bool:
        """Whether it waits until it is ended."""
        return self.limits is BRIEF

    @property
    def problem(self) -> Problem:
        """The problem with its one test."""
        mode = Mode.FUNCTION if self.function else Mode.STDIN
        tests = [Test(self.input, self.output)]
        return Problem(id=self.name, tests=tests, mode=mode, entry=self.function, limits=self.limits)


@contextlib.contextmanager
def one_look() -> Iterator[None]:
    """On a busy machine idle programs are not run again, alone: those that are meant to be idle would be so thrice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dc_tools.sandbox.judge.REQUEUES", 0)
        yield


def denied(name: str, call: str) -> Case:
    """A system call that must fail; the program says how it went."""
    return Case(name, f"{LIBC}result = {call}{SAY}", ("AC",), output="denied\n")


def called(name: str, code: str, *statuses: str, output: str = f'"{SECRET}"', **more: object) -> Case:
    """A function `f(x)` that the test calls."""
    return Case(name, code, statuses, output, "[1]", Entry(fn_name="f"), **more)


def expecting_secret(name: str, code: str, *statuses: str) -> Case:
    """A program whose test expects what only the judge knows."""
    return Case(name, code, statuses, output=f"{SECRET}\n")


ESCAPES = [
    Case("read /etc/passwd", "open('/etc/passwd')", ("RE",)),
    Case("list /proc", "import os\nos.listdir('/proc')", ("RE",)),
    Case("list /home", "import os\nos.listdir('/home')", ("RE",)),
    Case("write to the root", "open('/x', 'w')", ("RE",)),
    Case("write to the standard library", "import os\nopen(os.__file__, 'a')", ("RE",)),
    Case("make a socket", "import socket\nsocket.socket()", ("RE",)),
    Case("make a pair of datagram sockets", "import socket\nsocket.socketpair(type=socket.SOCK_DGRAM)", ("RE",)),
    Case("execve", "import os\nos.execv('/bin/sh', ['sh', '-c', 'echo 6'])", ("RE",)),
    Case("subprocess", "import subprocess\nsubprocess.run(['/bin/echo', '6'], check=True)", ("RE",)),
    Case("exec of a memory file", "import os\nf = os.memfd_create('x')\nos.write(f, b'#!/bin/sh\\necho 6')\n"
         "os.execve(f, ['x'], {})", ("RE",)),
    Case("setuid binary", "import os\nos.execv('/bin/su', ['su'])", ("RE",)),
    denied("unshare a user namespace", "libc.unshare(0x10000000)"),
    denied("clone into a user namespace", "libc.syscall(56, 0x10000011, 0, 0, 0, 0)"),
    denied("clone3", "libc.syscall(435, ctypes.create_string_buffer(88), 88)"),
    denied("setns", "libc.setns(0, 0)"),
    denied("ptrace", "libc.ptrace(16, 1, 0, 0)"),
    denied("process_vm_readv", "libc.syscall(310, 1, 0, 0, 0, 0, 0)"),
    denied("io_uring", "libc.syscall(425, 8, ctypes.create_string_buffer(120))"),
    denied("mount", "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)"),
    denied("chroot", "libc.chroot(b'/tmp')"),
    denied("keyctl", "libc.syscall(250, 0, -3, 0, 0, 0)"),
    denied("bpf", "libc.syscall(321, 0, ctypes.create_string_buffer(120), 120)"),
    denied("perf", "libc.syscall(298, ctypes.create_string_buffer(112), 0, -1, -1, 0)"),
    denied("userfaultfd", "libc.syscall(323, 0)"),
    denied("open by handle", "libc.syscall(304, 0, ctypes.create_string_buffer(64), 0)"),
    denied("become root", "libc.setresuid(0, 0, 0)"),
    denied("raise a limit", "libc.setrlimit(9, ctypes.create_string_buffer(b'\\xff' * 16, 16))"),
    Case("read the memory of process 1", "open('/proc/1/mem', 'rb')", ("RE",)),
    Case("32-bit system call", "import mmap, ctypes\nm = mmap.mmap(-1, 4096, prot=7)\n"
         "m.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')\n"
         "at = ctypes.addressof(ctypes.c_char.from_buffer(m))\nctypes.CFUNCTYPE(ctypes.c_int)(at)()\nprint(6)",
         ("RE",), message="SIGSYS"),
    Case("x32 system call", f"{LIBC}libc.syscall(0x40000000 | 39)\nprint(6)", ("RE",), message="SIGSYS"),
    Case("symbolic link out of /tmp", "import os\nos.symlink('/etc/passwd', '/tmp/x')\nopen('/tmp/x')", ("RE",)),
    Case("hard link out of /tmp", "import os\nos.link(os.__file__, '/tmp/x')\nprint(6)", ("RE",)),
    Case("device node", "import os, stat\nos.mknod('/tmp/sda', stat.S_IFBLK | 0o600, os.makedev(8, 0))", ("RE",)),
    Case("inherited descriptors", "import os\nfound = 0\nfor fd in range(4, 2000):\n    try:\n        os.fstat(fd)\n"
         "        found += 1\n    except OSError:\n        pass\nprint(found)", ("AC",), output="0\n"),
    Case("write to the private descriptor", "import os\nos.write(3, b'6\\n')\nprint(5)", ("WA",)),
    Case("our own modules are out of sight", "import sys\n"
         "found = [m for m in sys.modules if m.startswith('dc_tools')]\n"
         "try:\n    import dc_tools\nexcept ImportError: print(found, 'gone')", ("AC",), output="[] gone\n"),
    Case("the environment holds nothing of ours", "import os\nprint(sorted(k for k in os.environ if 'DC' in k or "
         "'KEY' in k or 'TOKEN' in k))", ("AC",), output="[]\n"),
]

EXHAUSTION = [
    Case("CPU loop", "while True: pass", ("TLE",)),
    Case("sleep", "import time\ntime.sleep(100)", ("TLE",), message="idle", limits=BRIEF),
    Case("stdout flood", "while True: print('x' * 10_000)", ("OLE",), limits=ROOMY),
    Case("stderr flood", "import sys\nwhile True: sys.stderr.write('x' * 10_000)", ("OLE",), limits=ROOMY),
    Case("2 GB allocation", "a = bytearray(2 << 30)\nprint(6)", ("MLE",)),
    Case("memory that grows", "a = []\nwhile True: a.append(bytes(1 << 20))", ("MLE",), limits=ROOMY),
    Case("fork bomb", "import os\nfor _ in range(200):\n    os.fork()\nprint(6)", ("RE",)),
    Case("thread bomb", "import threading, time\nfor _ in range(500):\n    threading.Thread(target=time.sleep, "
         "args=(5,), daemon=True).start()\nprint(6)", ("RE",)),
    Case("unlimited recursion", "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1) + 1\nf(0)",
         ("RE", "TLE", "MLE"), limits=NARROW),
    Case("recursion in C", "import json\njson.loads('[' * 10_000_000)", ("RE",)),
    Case("descriptor exhaustion", "kept = [open('/dev/null') for _ in range(10_000)]\nprint(6)", ("RE",)),
    Case("memory files", "import os\nfor _ in range(64):\n    os.write(os.memfd_create('x'), bytes(64 << 20))",
         ("RE", "MLE")),
    Case("full /tmp", "with open('/tmp/x', 'wb') as f:\n    for _ in range(200): f.write(bytes(1 << 20))\nprint(6)",
         ("RE", "MLE", "OLE")),
    Case("10,000 files", "for i in range(10_000): open(f'/tmp/{i}', 'w').close()\nprint(6)", ("RE",)),
    Case("huge integer to text", "import sys\nsys.set_int_max_str_digits(0)\nprint(str(3 ** 10_000_000))", ("TLE",)),
    Case("catastrophic regex", "import re\nre.match(r'(a+)+b', 'a' * 60)", ("TLE",)),
    Case("catches every signal", "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, lambda *a: None)\n"
         "    except (OSError, ValueError): pass\nwhile True: pass", ("TLE",)),
    Case("swallows every exception", "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
         ("TLE",)),
    Case("garbage collection storm", "import gc\nx = [[] for _ in range(100_000)]\nwhile True: gc.collect()", ("TLE",)),
    Case("zip file as source", "PK\x03\x04\x14\x00\x00\x00\x08\x00", ("CE",)),
    Case("compile bomb of brackets", "(" * 100_000 + ")" * 100_000, ("CE",)),
    Case("compile bomb of signs", "-" * 1_000_000 + "1", ("CE", "TLE")),
    Case("compile bomb of sums", "x = 1\ny = " + "+".join(["x"] * 300_000), ("CE", "TLE")),
    Case("compile bomb of statements", "x = [0]\n" * 1_500_000, ("CE", "TLE")),
]

FRAME_HUNT = """
import gc, sys
mark = "".join(reversed("-terces"))
found, frame = set(), sys._getframe()
while frame:
    found |= {v for v in [*frame.f_locals.values(), *frame.f_globals.values()] if isinstance(v, str) and mark in v}
    frame = frame.f_back
for thing in gc.get_objects():
    for value in gc.get_referents(thing):
        if isinstance(value, (str, bytes)) and mark in str(value):
            found.add(str(value))
ours = {v for v in found if len(v) < 40}
"""

HACKS = [
    called("object equal to everything", "class A:\n    def __eq__(self, o): return True\ndef f(x): return A()", "RE"),
    called("int subclass", "class A(int):\n    def __eq__(self, o): return True\ndef f(x): return A(1)", "RE"),
    called("str subclass", "class A(str):\n    def __eq__(self, o): return True\ndef f(x): return A('s')", "RE"),
    called("list subclass", "class A(list):\n    def __eq__(self, o): return True\ndef f(x): return A()", "RE"),
    called("subclass inside a list", "class A(int): pass\ndef f(x): return [[A(1)]]", "RE"),
    expecting_secret("hunt in frames and gc", FRAME_HUNT + "print(*ours)", "WA"),
    called("hunt in frames and gc in a function", f"def f(x):\n{FRAME_HUNT.replace(chr(10), chr(10) + '    ')}\n"
           "    return max(ours, default='')", "WA"),
    expecting_secret("os._exit(0)", "import os\nos._exit(0)", "WA"),
    expecting_secret("sys.exit(0)", "import sys\nsys.exit(0)", "WA"),
    called("SystemExit at import", "raise SystemExit(0)\ndef f(x): return 1", "WA"),
    called("os._exit(0) in a function", "import os\ndef f(x): os._exit(0)", "WA"),
    called("patched json", "import json\nreal = json.dumps\njson.dumps = lambda v, *a, **k: '\"AC\"'\n"
           "json.loads = lambda *a, **k: True\ndef f(x): return 'x'", "WA"),
    called("patched builtins", "import builtins\nbuiltins.type = lambda *a: str\n"
           "builtins.isinstance = lambda *a: True\nbuiltins.len = lambda *a: 0\ndef f(x): return 'x'", "WA", "RE"),
    expecting_secret("patched print", "import builtins\nbuiltins.print = lambda *a: True\nprint('x')", "WA"),
    expecting_secret("forged result frame", "import json, os, struct\nhead = json.dumps({'exit': 0, 'killed': '', "
                     "'cpu_s': 0.0, 'wall_s': 0.0, 'memory_mb': 1.0, 'sizes': [2, 0, 0], 'probes': 0}).encode()\n"
                     "body = struct.pack('<I', len(head)) + head + b'AC'\n"
                     "for fd in range(1, 64):\n    try: os.write(fd, struct.pack('<BI', 114, len(body)) + body)\n"
                     "    except OSError: pass", "WA"),
    called("forged value", "import os\ndef f(x):\n    os.write(3, b'\"AC\"')\n    os._exit(0)", "WA"),
    called("second value", "import os\ndef f(x):\n    os.write(3, b'true,')\n    return True", "WA", output="true"),
    expecting_secret("prints verdict lines", "print('AC')\nprint('{\"status\":\"AC\",\"passed\":1}')", "WA"),
    Case("right output, then a crash", "print(6, flush=True)\n1 / 0", ("RE",)),
    Case("right output, then exit code 1", "import sys\nprint(6)\nsys.exit(1)", ("RE",)),
    Case("right output, then a segmentation fault", "import ctypes\nprint(6, flush=True)\nctypes.string_at(0)",
         ("RE",), message="SIGSEGV"),
    Case("nan", "print('nan')", ("WA",)),
    called("nan as value", "def f(x): return float('nan')", "WA", output="6"),
    called("infinity as value", "def f(x): return float('inf')", "WA", output="6"),
    Case("replaces sys.stdout", "import io, sys\nsys.stdout = io.StringIO()\nprint(6)", ("WA",)),
    Case("closes stdout", "import os\nos.close(1)\nprint(6)", ("RE", "WA")),
    Case("looks for the tests", "import os\nprint(os.listdir('.'), os.listdir('/tmp'))", ("AC",), output="[] []\n",
         writes_files=True),
    Case("asserts count", "assert False\nprint(6)", ("RE",)),
    called("a tuple key", "def f(x): return {(1, 2): 3}", "RE", output="{}"),
    called("a set", "def f(x): return {1, 2}", "RE", output="[1,2]"),
    called("a value that contains itself", "def f(x):\n    a = []\n    a.append(a)\n    return a", "RE", output="[]"),
    called("True is not 1.5", "def f(x): return True", "WA", output="1.5"),
]

INFRASTRUCTURE = [
    Case("kills its parent, process 1 and everybody", "import os\nfor pid in (os.getppid(), 1, -1):\n"
         "    try: os.kill(pid, 9)\n    except OSError: pass\nprint(6)", ("AC",)),
    Case("double-fork daemon", "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: "
         "time.sleep(300)\n    os._exit(0)\nprint(6)", ("RE",)),
    Case("pipe held open", "import threading, time\nthreading.Thread(target=time.sleep, args=(300,), daemon=True)"
         ".start()\nprint(6)", ("AC",)),
    Case("stops itself", "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nprint(6)", ("TLE",), message="idle",
         limits=BRIEF),
    Case("invalid UTF-8", "import os\nos.write(1, b'\\xff\\xfe\\xc3(')", ("WA",)),
    Case("NUL", "print('\\0' * 10)", ("WA",)),
    Case("a line of 10 MB", "print('x' * 10_000_000)", ("WA",), limits=ROOMY),
    Case("a line of 20 MB", "print('x' * 20_000_000)", ("OLE",), limits=ROOMY),
    Case("syntax error", "def f(:\n    pass", ("CE",), message="line 1"),
    Case("null byte in the source", "print(6)\0", ("CE",)),
    Case("empty source", "", ("WA",)),
    Case("1 MB of source", "x = 'y'\n" * 125_000 + "print(6)", ("AC",), limits=ROOMY),
    Case("surrogate characters in the source", "print('\ud800')", ("CE",)),
    Case("surrogate characters in the output", "print('\\ud800')", ("RE",)),
    called("surrogate characters in the value", "def f(x): return '\\ud800'", "WA", "RE"),
    Case("surrogate characters in the error", "raise ValueError('\\ud800')", ("RE",)),
    called("no such function", "def g(x): return 1", "RE", message="f"),
    called("wrong number of arguments", "def f(): return 1", "RE"),
    Case("writes where input comes from", "import os\ntry: os.write(0, b'7')\nexcept OSError: pass\nprint(6)", ("AC",)),
]

HONEST = [
    Case("input()", "a, b = map(int, input().split())\nprint(a * b)", ("AC",)),
    Case("sys.stdin.buffer.readline", "import sys\na, b = map(int, sys.stdin.buffer.readline().split())\nprint(a * b)",
         ("AC",)),
    Case("sys.stdin.buffer.readlines", "import sys\nprint(*[a * b for a, b in [map(int, l.split()) for l in "
         "sys.stdin.buffer.readlines()]])", ("AC",)),
    Case("iterates over sys.stdin", "import sys\nfor line in sys.stdin:\n    a, b = map(int, line.split())\n    "
         "print(a * b)", ("AC",)),
    Case("open(0).read()", "a, b = map(int, open(0).read().split())\nprint(a * b)", ("AC",)),
    Case("open('/dev/stdin') is not promised", "try:\n    s = open('/dev/stdin').read()\nexcept OSError:\n    "
         "s = open(0).read()\na, b = map(int, s.split())\nprint(a * b)", ("AC",)),
    Case("os.read(0)", "import os\na, b = map(int, os.read(0, 100).split())\nprint(a * b)", ("AC",)),
    Case("fileinput", "import fileinput\nfor line in fileinput.input():\n    a, b = map(int, line.split())\n    "
         "print(a * b)", ("AC",)),
    Case("global", "count = 0\ndef f():\n    global count\n    count += 6\nf()\nprint(count)", ("AC",)),
    Case("os.write", "import os\nos.write(1, b'6\\n')", ("AC",)),
    Case("sys.stdout.buffer.write", "import sys\nsys.stdout.buffer.write(b'6\\n')", ("AC",)),
    Case("sys.stdout.write without a newline", "import sys\nsys.stdout.write('6')", ("AC",)),
    Case("quit()", "print(6)\nquit()\nprint(7)", ("AC",)),
    Case("exit()", "print(6)\nexit()", ("AC",)),
    Case("exit(0) in a function", "import sys\ndef f():\n    print(6)\n    sys.exit(0)\nf()", ("AC",)),
    Case("raise SystemExit", "print(6)\nraise SystemExit", ("AC",)),
    Case("os._exit after a flush", "import os\nprint(6, flush=True)\nos._exit(0)", ("AC",)),
    Case("atexit", "import atexit\natexit.register(lambda: print(6))", ("AC",)),
    Case("recursion 20,000 deep", "import sys\nsys.setrecursionlimit(1 << 20)\ndef f(n): return 0 if n == 0 else 1 + "
         "f(n - 1)\nprint(f(20_000) // 20_000 * 6)", ("AC",), limits=ROOMY),
    Case("recursion 100,000 deep", "import sys\nsys.setrecursionlimit(1 << 20)\ndef f(n): return 0 if n == 0 else 1 + "
         "f(n - 1)\nprint(f(100_000) // 100_000 * 6)", ("AC",), limits=ROOMY),
    Case("a thread with a large stack", "import sys, threading\nsys.setrecursionlimit(1 << 20)\n"
         "threading.stack_size(64 << 20)\ndef f(n): return 0 if n == 0 else 1 + f(n - 1)\n"
         "def main(): print(f(30_000) // 30_000 * 6)\nt = threading.Thread(target=main)\nt.start()\nt.join()", ("AC",),
         limits=ROOMY),
    Case("threads", "import threading\nr = []\nt = [threading.Thread(target=r.append, args=(i,)) for i in range(4)]\n"
         "[x.start() for x in t]\n[x.join() for x in t]\nprint(sum(r))", ("AC",)),
    Case("a thread pool", "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(3) as pool:\n"
         "    print(sum(pool.map(int, '123')))", ("AC",)),
    Case("a thread that outlives main", "import threading\nthreading.Timer(0.05, lambda: print(6)).start()", ("AC",)),
    Case("if __name__ == '__main__'", 'def main():\n    print(6)\nif __name__ == "__main__":\n    main()', ("AC",)),
    Case("pickles its own class", "import pickle\nclass A: pass\nprint(6 if pickle.loads(pickle.dumps(A())) else 0)",
         ("AC",)),
    Case("dataclass", "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nprint(P(6).x)", ("AC",)),
    Case("150 kB of output", "print('x' * 150_000)", ("AC",), output="x" * 150_000 + "\n"),
    Case("5 MB of output in lines", "for i in range(100_000): print('y' * 49)", ("AC",),
         output=("y" * 49 + "\n") * 100_000, limits=ROOMY),
    Case("5 MB of input", "import sys\nprint(len(sys.stdin.read()))", ("AC",), input="z" * 5_000_000,
         output="5000000\n", limits=ROOMY),
    Case("input() at the end of input", "input()\ntry:\n    input()\nexcept EOFError:\n    print(6)", ("AC",)),
    Case("uncaught EOFError", "input()\ninput()", ("RE",), message="EOFError"),
    Case("prompt text lands on stdout", "input('Enter: ')\nprint(6)", ("WA",)),
    Case("stderr is free", "import sys\nprint('debug', file=sys.stderr)\nprint(6)", ("AC",)),
    Case("unicode in and out", "print(input()[::-1])", ("AC",), input="häß→\n", output="→ßäh\n"),
    Case("a file in /tmp", "with open('/tmp/a', 'w') as f: f.write('6')\nprint(open('/tmp/a').read())", ("AC",),
         writes_files=True),
    Case("a file in the working directory", "with open('a', 'w') as f: f.write('6')\nprint(open('a').read())", ("AC",),
         writes_files=True),
    Case("tempfile", "import tempfile\nwith tempfile.TemporaryFile() as f:\n    f.write(b'6')\n    f.seek(0)\n    "
         "print(f.read().decode())", ("AC",), writes_files=True),
    Case("its own signal handler", "import signal\nsignal.signal(signal.SIGALRM, lambda *a: None)\nprint(6)", ("AC",)),
    Case("standard library", "import bisect, collections, decimal, fractions, functools, heapq, itertools, math, re, "
         "string, statistics, typing, zlib, hashlib, struct, random, datetime, zoneinfo, array, copy, csv, textwrap\n"
         "print(6)", ("AC",), limits=ROOMY),
    Case("nonlocal, walrus, match", "match (n := 6):\n    case int():\n        print(n)", ("AC",)),
    Case("future annotations", "from __future__ import annotations\ndef f(x: Nope) -> Nope: return x\nprint(f(6))",
         ("AC",)),
    Case("sys.argv and __file__", "import sys\nprint(6 if len(sys.argv) == 1 and __file__ else 0)", ("AC",)),
    Case("hashes do not change from run to run", "print(hash('a') == hash('a'), len({'a', 'b'}))", ("AC",),
         output="True 2\n"),
    Case("CRLF in the source", "a = 6\r\nif a:\r\n    print(a)\r\n", ("AC",)),
    Case("a byte order mark in the source", "\ufeffprint(6)", ("AC",)),
    Case("tabs", "if True:\n\tprint(6)", ("AC",)),
]
