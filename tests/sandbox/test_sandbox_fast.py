"""The fast path: it accepts what a process of its own would, and no program spoils it for the next one."""

from concurrent.futures import wait

import pytest
from programs import ESCAPES, EXHAUSTION, HACKS, HONEST, INFRASTRUCTURE, Case, one_look

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Entry, Limits, Mode, Problem, Test
from dc_tools.sandbox.judge import JudgePool, Program, Rules
from dc_tools.sandbox.local import LocalWorker

ECHO = Problem(id="echo", tests=[Test(f"{n}\n", f"{n}\n") for n in range(4)], limits=Limits(time_s=1.0, memory_mb=256))
HONEST_ECHO = "print(input())"
CASES = sorted([*ESCAPES, *HACKS, *INFRASTRUCTURE, *HONEST, *EXHAUSTION], key=lambda case: not case.is_idle)


@pytest.fixture(scope="module")
def pool():
    with JudgePool(1) as made:
        yield made


@pytest.fixture(scope="module")
def isolating():
    with JudgePool(1, rules=Rules(isolate=True)) as made:
        yield made


@pytest.fixture(scope="module")
def usual():
    made = LocalWorker()
    yield made
    made.close()


@pytest.fixture(scope="module", params=["namespaces", "landlock", "seccomp"])
def worker(request):
    try:
        made = LocalWorker([request.param])
    except CannotRun as error:
        pytest.skip(f"not on this machine: {error}")
    yield made
    made.close()


def fast_outputs(worker: LocalWorker, code: str, *inputs: str, **more: object) -> list[str | None]:
    """What a program answers on the fast path, None where it has to be run in a process of its own."""
    with worker.session(Program(code, **more), fast=True) as session:
        runs = [session.run(text) for text in inputs]
    return [run and run.output for run in runs]


# -- fast and isolated are one judge ----------------------------------------------------------------------------------


def thrice(case: Case) -> Problem:
    problem = case.problem
    problem.tests = problem.tests * 3
    return problem


@pytest.fixture(scope="module")
def both():
    with JudgePool(2) as fast, JudgePool(2, rules=Rules(isolate=True)) as isolated:
        futures = {c.name: [p.submit(thrice(c), c.code) for p in (fast, isolated)] for c in CASES}
        with one_look():
            wait(future for case in CASES if case.is_idle for future in futures[case.name])
        yield {name: [future.result() for future in pair] for name, pair in futures.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fast_and_isolated_agree(case, both):
    fast, isolated = both[case.name]
    assert isolated.status in case.statuses, isolated.message
    assert (fast.status, fast.passed) == (isolated.status, isolated.passed), fast.message


# The classic template for quick input and output: its streams are no streams of the interpreter's.
FAST_IO = """
import os, sys
from io import BytesIO, IOBase
class FastIO(IOBase):
    newlines = 0
    def __init__(self, file):
        self._fd = file.fileno()
        self.buffer = BytesIO()
        self.writable = "x" in file.mode or "r" not in file.mode
        self.write = self.buffer.write if self.writable else None
    def readline(self):
        while self.newlines == 0:
            b = os.read(self._fd, max(os.fstat(self._fd).st_size, 8192))
            self.newlines = b.count(b"\\n") + (not b)
            ptr = self.buffer.tell()
            self.buffer.seek(0, 2), self.buffer.write(b), self.buffer.seek(ptr)
        self.newlines -= 1
        return self.buffer.readline()
    def flush(self):
        if self.writable:
            os.write(self._fd, self.buffer.getvalue())
            self.buffer.truncate(0), self.buffer.seek(0)
class IOWrapper(IOBase):
    def __init__(self, file):
        self.buffer = FastIO(file)
        self.flush = self.buffer.flush
        self.writable = self.buffer.writable
        self.write = lambda s: self.buffer.write(s.encode("ascii"))
        self.readline = lambda: self.buffer.readline().decode("ascii")
sys.stdin, sys.stdout = IOWrapper(sys.stdin), IOWrapper(sys.stdout)
input = lambda: sys.stdin.readline().rstrip("\\r\\n")
print(input())
"""
STREAMS = {
    "the template": FAST_IO,
    "a class that can only write": (
        "import sys\nclass Out:\n    def write(self, text): sys.__stdout__.write(text)\n    def flush(self): pass\n"
        "sys.stdout = Out()\nprint(input())"
    ),
    "text kept until the end": (
        "import atexit, io, sys\nsys.stdout = io.StringIO()\n"
        "atexit.register(lambda: sys.__stdout__.write(sys.stdout.getvalue()))\nprint(input())"
    ),
    "a wrapper around stdout": (
        "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, line_buffering=True)\nprint(input())"
    ),
    "no stdout at the end": "import sys\nprint(input(), flush=True)\ndel sys.stdout",
    "stdout closed": "import sys\nprint(input())\nsys.stdout.close()",
    "descriptor 1 as another file": "out = open(1, 'w')\nprint(input(), file=out)",
    "stdin closed": "import sys\nprint(input())\nsys.stdin.close()",
    "printed when dropped": "class A:\n    def __del__(self): print(input())\na = A()\na.itself = a",
    "printed by a generator that is closed": (
        "def g():\n    try: yield\n    finally: print(input())\nkept = g()\nnext(kept)"
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams_of_its_own_are_accepted_on_both_paths(name, pool, isolating):
    for judge in (pool, isolating):
        verdict = judge.judge(ECHO, STREAMS[name])
        assert verdict.status == "AC", verdict.message


SURPLUS = {
    "exit with an object that equals 0": (
        "class Zero:\n    def __eq__(self, other): return True\nprint(input())\nraise SystemExit(Zero())", "RE"
    ),
    "more output when a cycle is dropped": (
        "class A:\n    def __del__(self): print('more')\na = A()\na.itself = a\nprint(input())", "WA"
    ),
    "stdout reconfigured by an earlier test": (
        "import sys\nn = input()\nif n == '0': sys.stdout.reconfigure(errors='ignore')\nprint(n)\n"
        "if n == '2': print('\\ud800', end='')", "RE"
    ),
    "digits of an integer set free by an earlier test": (
        "import sys\nn = input()\nif n == '0': sys.set_int_max_str_digits(0)\nprint(n)\nif n == '2': str(10 ** 5000)",
        "RE",
    ),
}


@pytest.mark.parametrize("name", SURPLUS)
def test_what_a_process_of_its_own_would_not_get_accepted_is_not(name, pool, isolating):
    code, status = SURPLUS[name]
    assert [judge.judge(ECHO, code).status for judge in (pool, isolating)] == [status, status]


GUESSES = "import os\ninput()\ntry:\n    os.fstat(54)\n    print('YES')\nexcept OSError: print('NO')"


@pytest.mark.parametrize(("expected", "status"), [("YES YES", "AC"), ("NO NO", "AC"), ("YES NO", "WA")])
def test_what_is_accepted_was_accepted_by_one_path_alone(expected, status, pool):
    problem = Problem(id="guess", tests=[Test("0", word) for word in expected.split()])
    assert pool.judge(problem, GUESSES).status == status


def test_a_guess_is_not_made_twice(pool):
    problem = Problem(id="guess", tests=[Test("", "0") for _ in range(1)])
    guess = "import os\nprint(os.urandom(1)[0] & 1)"
    accepted = sum(pool.judge(problem, guess).status == "AC" for _ in range(200))
    assert accepted < 135  # 75 in 100 where an isolated run alone decides, 53 where it has to agree with itself


# -- what is fast, and what is not ------------------------------------------------------------------------------------


def test_an_accepted_program_is_one_process_for_all_its_tests(pool, isolating):
    counting = "import sys\nsys.modules.setdefault('seen', []).append(1)\nprint(len(sys.modules['seen']))"
    problem = Problem(id="count", tests=[Test("", f"{n}") for n in (1, 2, 3, 4, 5)])
    assert (pool.judge(problem, counting).status, isolating.judge(problem, counting).passed) == ("AC", 1)


def test_a_cell_is_made_for_each_program(worker):
    pids = {fast_outputs(worker, "import os\nprint(os.getpid())", "", "", "")[0] for _ in range(5)}
    assert len(pids) == 5


UNDONE = {
    "os._exit": "import os\nprint(input(), flush=True)\ngetattr(os, '_ex' + 'it')(0)",
    "a thread": "import _thread\n_thread.start_new_thread(int, ())\nprint(input())",
    "a file": "with open('/tmp/a', 'w') as out: out.write(input())\nprint(open('/tmp/a').read())",
    "a handler": "import _signal\n_signal.signal(14, lambda *a: None)\nprint(input())",
    "a folder": "import os\nos.chdir('/usr')\nprint(input())",
    "a limit": "r = __import__('res' + 'ource')\nr.setrlimit(r.RLIMIT_NOFILE, (20, 20))\nprint(input())",
    "a mask": "import os\nos.umask(0)\nprint(input())",
    "a descriptor's flags": "import os\nos.set_blocking(0, False)\nprint(input())",
    "a builtin": "import builtins, sys\nbuiltins.input = lambda: sys.stdin.readline().strip()\nprint(input())",
    "a new builtin": "import builtins\nassert not hasattr(builtins, 'mine')\nbuiltins.mine = 1\nprint(input())",
    "all descriptors closed": "import os\nprint(input())\nos.closerange(3, 1000)",
}


@pytest.mark.parametrize("name", UNDONE)
def test_what_cannot_be_undone_is_left_to_a_process_of_its_own_and_accepted(name, usual, pool):
    assert fast_outputs(usual, UNDONE[name], "0\n", "1\n")[1] is None
    verdict = pool.judge(ECHO, UNDONE[name])
    assert (verdict.status, verdict.passed) == ("AC", 4), verdict.message


def test_no_state_of_the_interpreter_leaks_from_test_to_test(worker):
    program = """
import gc, os, sys, random
frame, depth = sys._getframe(), 0
while frame: frame, depth = frame.f_back, depth + 1
state = [sorted(globals()), sys.getrecursionlimit(), random.random(), os.getcwd(), sys.argv, len(sys.path), depth,
         sys.stdout.errors, sys.stdout.line_buffering, sys.get_int_max_str_digits(), sys.gettrace(), sys.getprofile(),
         input(), sys.stdin.closed, gc.isenabled()]
print(state)
print([os.dup(0) for _ in range(9)])
mark = 1
sys.setrecursionlimit(9000)
sys.argv.append('x')
sys.path.append('x')
sys.set_int_max_str_digits(0)
sys.stdout.reconfigure(errors='ignore', line_buffering=True)
sys.settrace(lambda *a: None)
sys.setprofile(lambda *a: None)
__name__ = 'x'
"""
    first, *rest = fast_outputs(worker, program, *["7\nleft over\n"] * 4)
    assert first is not None
    assert rest == [first] * 3


def test_time_is_measured_from_outside(worker):
    burn = """
import time
end = time.process_time() + 0.06
while time.process_time() < end: pass
time.process_time = time.perf_counter = time.monotonic = lambda: 0.0
import sys
del sys.modules['time']
"""
    with worker.session(Program(burn), fast=True) as session:
        times = [session.run("").time_s for _ in range(3)]
    assert all(0.055 < time_s < 0.2 for time_s in times), times


def test_cpu_used_between_two_tests_counts_for_the_second(worker):
    ahead = """
import os, time
os.write(54, b"k")
end = time.process_time() + 0.06
while time.process_time() < end: pass
os.read(54, 1)
"""
    with worker.session(Program(ahead), fast=True) as session:
        assert session.run("").time_s < 0.05
        assert 0.055 < session.run("").time_s < 0.2


def test_a_time_limit_below_what_the_fast_path_grants_holds(pool):
    problem = Problem(id="short", tests=[Test("", "6")], limits=Limits(time_s=0.1))
    burn = "import time\nend = time.process_time() + 0.15\nwhile time.process_time() < end: pass\nprint(6)"
    assert pool.judge(problem, burn).status == "TLE"


def test_all_tests_are_judged_when_asked_for():
    sometimes = "n = int(input())\nprint(n if n != 1 else 7)\nassert n != 3"
    for isolate in (False, True):
        with JudgePool(1, rules=Rules(isolate=isolate, all_tests=True)) as made:
            verdict = made.judge(ECHO, sometimes)
        assert [test.status for test in verdict.tests] == ["AC", "WA", "AC", "RE"]
        assert (verdict.status, verdict.passed, verdict.total) == ("WA", 2, 4)


# -- what a program does to the path itself ---------------------------------------------------------------------------

SPOILERS = {
    "an order left unread": "import os, time\nprint(input(), flush=True)\nos.write(54, b'k')\ntime.sleep(0.3)",
    "many answers at once": "import os\nprint(input(), flush=True)\nos.write(54, b'k' * 50)\nos._exit(0)",
    "a flood on the control socket": "import os\nwhile True: os.write(54, b'x' * 4096)",
    "a control socket that does not block": "import os\nos.set_blocking(54, False)\nprint(input())",
    "the same by a request": "import fcntl\nfcntl.ioctl(54, 0x5421, b'\\1\\0\\0\\0')\nprint(input())",
    "files that append": "import fcntl, os\nfor fd in (50, 51): fcntl.fcntl(fd, 4, os.O_APPEND)\nprint(input())",
    "sealed files": "import fcntl\nfor fd in (50, 51, 52, 53): fcntl.fcntl(fd, 1033, 8)\nprint(input())",
    "a place far behind in the input": (
        "import os\nprint(input(), flush=True)\nos.write(54, b'k')\nwhile True:\n    for fd in (50, 51):\n"
        "        os.lseek(fd, 2**63 - 1, 0)"
    ),
    "an input without an end": "import os\nprint(input(), flush=True)\nos.ftruncate(50, 16 << 20)\nos.close(54)",
    "signals from the control socket": (
        "import fcntl, os, struct\nfor request in (0x8901, 0x8902):\n"
        "    fcntl.ioctl(54, request, struct.pack('i', os.getppid()))\nfcntl.fcntl(54, 4, os.O_ASYNC)\nprint(input())"
    ),
    "other files over the private ones": "import os\nfor fd in range(50, 57): os.dup2(0, fd)\nprint(input())",
    "a locked file": "import fcntl\nfor fd in (50, 51): fcntl.flock(fd, 2)\nprint(input())",
    "a lease": "import fcntl\nfcntl.fcntl(51, 1024, 0)\nprint(input())",
    "outputs in shared memory": (
        "import mmap, os\nkept = []\nfor fd in (51, 52, 53):\n    os.ftruncate(fd, 1 << 20)\n"
        "    kept.append(mmap.mmap(fd, 1 << 20))\n    kept[-1].write(b'x' * (1 << 20))\nprint(input())"
    ),
}


@pytest.mark.parametrize("name", SPOILERS)
def test_what_a_program_does_to_the_fast_path_the_next_one_does_not_notice(name, worker):
    fast_outputs(worker, SPOILERS[name], "0\n", "1\n")
    for _ in range(2):
        assert fast_outputs(worker, HONEST_ECHO, "2\n", "3\n", "4\n") == ["2\n", "3\n", "4\n"]


def test_orders_that_are_never_read_do_not_end_the_worker(worker):
    deaf = """
import os, time
for n in range(2000):
    while not (text := os.pread(50, 100, 0)) or int(text) != n: pass
    os.pwrite(51, text, 0)
    os.write(54, b"k")
"""
    fast_outputs(worker, deaf, *(f"{n}\n" for n in range(2000)))
    assert fast_outputs(worker, HONEST_ECHO, "2\n") == ["2\n"]


def test_a_large_input_is_not_kept_after_its_program(worker):
    fast_outputs(worker, "print(6)", "x" * (8 << 20))
    assert fast_outputs(worker, "import os\nprint(os.fstat(50).st_size)", "") == ["0\n"]
    fast_outputs(worker, "import os\nos._exit(0)", *["x" * (1 << 20)] * 4)
    held = fast_outputs(worker, "import os\nprint([os.fstat(fd).st_blocks for fd in (50, 51, 52, 53)])", "")
    assert held == ["[0, 0, 0, 0]\n"]


HUNT = """
import ctypes, os
libc = ctypes.CDLL(None)
libc.sbrk.restype = ctypes.c_void_p
libc.write.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
reading, writing = os.pipe()
mark, found, pages = b"deadbeef" + b"cafe", 0, 0
def looks(at):
    global found, pages
    if libc.write(writing, at, 4096) != 4096: return False
    found, pages = found + (mark * 2 in os.read(reading, 4096)), pages + 1
    return True
at = (libc.sbrk(0) & ~4095) - 4096
while looks(at): at -= 4096
library = ctypes.cast(libc.read, ctypes.c_void_p).value & ~4095
for at in range(library - (48 << 20), library + (4 << 20), 4096): looks(at)
print(found, pages > 300)
"""


@pytest.mark.parametrize("size", [100, 1000, 5000, 100_000])
def test_no_earlier_source_or_input_is_in_the_memory_that_a_program_inherits(size, pool):
    secret = "deadbeefcafe" * size
    problem = Problem(id="secret", tests=[Test(secret, "6"), Test("", "6")])
    assert pool.judge(problem, f"x = '{secret}'\nprint(6)").status == "AC"
    assert pool.judge(Problem(id="f", tests=[Test(f'["{secret}"]', "1")], mode=Mode.FUNCTION, entry=Entry("f")),
                      "def f(x): return 1").status == "AC"
    assert pool.execute(Program(HUNT), [""]).runs[0].output == "0 True\n"


def test_folders_buried_deep_are_swept_and_harm_nobody(pool):
    buried = "import os\nprint(input())\nfor _ in range(500):\n    os.mkdir('a')\n    os.chdir('a')"
    assert pool.judge(ECHO, buried).status == "AC"
    assert pool.judge(ECHO, HONEST_ECHO).status == "AC"
