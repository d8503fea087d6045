"""Programs that go for the judge itself: whatever they do, they get their own verdict and the next program its own."""

import resource

import pytest
from msgspec import structs

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Checker, CheckerType, Entry, Limits, Mode, Problem, Test
from dc_tools.sandbox.compare import difference, value_difference
from dc_tools.sandbox.judge import JudgePool, Program

LEVELS = ("namespaces", "landlock")
SIX = Problem(id="six", tests=[Test("", "6\n"), Test("", "6\n")], limits=Limits(time_s=1.0, memory_mb=256))
HONEST = "print(6)"
FLOAT = Checker(type=CheckerType.FLOAT, tolerance=1e-6)
FRAMES = """
import sys
def cells():
    frame = sys._getframe()
    while frame:
        for value in list(frame.f_locals.values()):
            if type(value).__name__ == "Cell":
                yield value
        frame = frame.f_back
"""
ATTACKS = {
    "unset the flag that says it was compiled": FRAMES + "for cell in cells(): cell.compiled[0] = 0\nprint(7)",
    "end by a signal that has no name": "import os\nos.kill(os.getpid(), 40)",
    "interrupt the process above": "import os, signal\nos.kill(os.getppid(), signal.SIGINT)\nprint(7)",
    "have the kernel signal the process above": (
        "import fcntl, os, signal\nr, w = os.pipe()\nfcntl.fcntl(r, fcntl.F_SETOWN, os.getppid())\n"
        "fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC)\nos.write(w, b'x')"
    ),
    "choose the signal that the kernel sends": "import fcntl, signal\nfcntl.fcntl(0, fcntl.F_SETSIG, signal.SIGKILL)",
    "limit the process above": "import os, resource\nresource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (3, 3))",
    "bury /tmp under deep folders": (
        "import os\nfor _ in range(30):\n    os.mkdir('a' * 255)\n    os.chdir('a' * 255)\nprint(7)"
    ),
    "flood with blank lines": "import sys\nsys.stdout.write('\\n' * (15 << 20))",
    "flood with words": "import sys\nsys.stdout.write('6 ' * (7 << 20))",
}


@pytest.fixture(scope="module", params=LEVELS)
def pool(request):
    with JudgePool(1, (request.param,)) as made:
        try:
            made.judge(SIX, HONEST)
        except CannotRun as error:
            pytest.skip(f"not on this machine: {error}")
        yield made


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_gets_its_own_verdict_and_spares_the_next_program(pool, name):
    verdict = pool.judge(SIX, ATTACKS[name])
    assert verdict.status in {"WA", "RE"}, f"{verdict.status}: {verdict.message}"
    after = pool.judge(SIX, HONEST)
    assert (after.status, after.passed) == ("AC", 2), after.message


def test_a_flood_does_not_fill_the_judges_memory(pool):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for attack in ("flood with blank lines", "flood with words"):
        assert pool.judge(SIX, ATTACKS[attack]).status == "WA"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10


def test_a_value_that_cannot_be_compared_is_wrong(pool):
    half = Problem(id="half", tests=[Test("[]", "0.5")], mode=Mode.FUNCTION, entry=Entry("f"), checker=FLOAT)
    assert pool.judge(half, "def f(): return 10 ** 400").status == "WA"
    nested = "import os\ndef f():\n    os.write(3, b'[' * 987 + b']' * 987)\n    os._exit(0)"
    assert pool.judge(half, nested).status == "WA"
    assert pool.judge(half, "def f(): return 0.5").status == "AC"


def test_infinity_is_near_nothing():
    assert difference("1e999", "7", FLOAT) is not None
    assert value_difference("1.5", "1" + "0" * 400, FLOAT) is not None


def test_what_the_judge_could_not_do_is_not_the_programs_fault(pool):
    impossible = structs.replace(SIX, limits=Limits(time_s=1.0, memory_mb=10**13))
    assert pool.judge(impossible, HONEST).status == "IE"
    assert pool.judge(SIX, HONEST).status == "AC"


def test_no_earlier_program_is_in_the_memory_that_a_program_inherits(pool):
    secret = "'" + "deadbeefcafe" * 4000 + "'"
    hunt = """
import ctypes, gc
found = sum("deadbeefcafe" * 3 in repr(each) for each in gc.get_objects() if isinstance(each, (str, bytes, dict)))
libc = ctypes.CDLL(None)
libc.sbrk.restype = ctypes.c_void_p
top = libc.sbrk(0)
marks, page, here = [("deadbeefcafe" * 3).encode(), ("deadbeefcafe" * 3).encode().hex().encode()], 4096, top - 4096
resident = ctypes.create_string_buffer(1)
while here > top - (8 << 20) and libc.mincore(ctypes.c_void_p(here), page, resident) == 0:
    data = ctypes.string_at(here, page)
    found += sum(mark in data for mark in marks[1:])
    here -= page
print(found)
"""
    assert pool.judge(SIX, f"x = {secret}\nprint(6)").status == "AC"
    assert pool.execute(Program(hunt), [""]).runs[0].output == "0\n"


HONEST_ODDITIES = {
    "stdout closed at the end": "import sys\nprint(6)\nsys.stdout.close()",
    "stdout set to None": "import sys\nprint(6)\nsys.stdout.flush()\nsys.stdout = None",
    "a file on descriptor 1 left open": "out = open(1, 'w')\nout.write('6\\n')",
    "stdout replaced with text pending": "import io, sys\nprint(6)\nsys.stdout = io.StringIO()",
    "output when an object is dropped": "class A:\n    def __del__(self): print(6)\na = A()",
    "asyncio": "import asyncio\nasync def main(): print(6)\nasyncio.run(main())",
    "an unlimited stack": (
        "import resource\nresource.setrlimit(resource.RLIMIT_STACK, (resource.RLIM_INFINITY,) * 2)\nprint(6)"
    ),
    "990 calls deep": "def f(n): return n and f(n - 1)\nf(990)\nprint(6)",
    "a failing hook of its own": (
        "import os, sys\nsys.excepthook = lambda *_: (print(6, flush=True), os._exit(0))\n1 / 0"
    ),
}


@pytest.mark.parametrize("name", HONEST_ODDITIES)
def test_an_odd_but_honest_program_is_accepted(pool, name):
    if name == "an unlimited stack" and resource.getrlimit(resource.RLIMIT_STACK)[1] != resource.RLIM_INFINITY:
        pytest.skip("the hard limit of this machine's stack is not unlimited")
    verdict = pool.judge(SIX, HONEST_ODDITIES[name])
    assert verdict.status == "AC", verdict.message


def test_stderr_without_a_newline_is_kept(pool):
    run = pool.execute(Program("import sys\nsys.stderr.write('abc')"), [""]).runs[0]
    assert run.stderr == "abc"
