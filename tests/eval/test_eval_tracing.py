"""Traces of programs, made by the real sandbox; steps are worked by hand."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_tools.core.records import Entry, Mode, Problem, Status, Test, TestVerdict, Verdict, encode
from dc_tools.eval.shown import shown
from dc_tools.eval.tracing import OUTPUT, Step, Trace, failing_test, submit_trace
from dc_tools.sandbox.judge import JudgePool

LARGEST = 60_000
"""Bytes of a trace as JSON, whatever the program."""


@pytest.fixture(scope="module")
def pool() -> Iterator[JudgePool]:
    with JudgePool(1) as made:
        yield made


def traced(pool: JudgePool, code: str, given: str = "", entry: Entry | None = None, **more: Any) -> Trace:
    mode = Mode.FUNCTION if entry else Mode.STDIN
    problem = Problem(id="a", tests=[Test("[]", ""), Test(given, "")], mode=mode, entry=entry, **more)
    trace = submit_trace(pool, problem, code, 1).result()
    assert len(encode(trace)) < LARGEST
    return trace


def brief(steps: list[Step]) -> list[tuple[Any, ...]]:
    """Line, depth, what changed; of what is not a line the value, too."""
    return [(s.line, s.depth, s.changed) if s.event == "line" else (s.line, s.depth, s.changed, s.event, s.value)
            for s in steps]


def test_a_loop_with_one_turn_too_few(pool: JudgePool) -> None:
    code = "n = int(input())\ntotal = 0\nfor i in range(1, n):\n    total += i\n    print(i)\nprint(total)\n"
    trace = traced(pool, code, "3\n")
    assert brief(trace.steps) == [
        (1, 0, {}), (2, 0, {"n": "3"}), (3, 0, {"total": "0"}),
        (4, 0, {"i": "1"}), (5, 0, {"total": "1"}), (3, 0, {}),
        (4, 0, {"i": "2"}), (5, 0, {"total": "3"}), (3, 0, {}),
        (6, 0, {}), (6, 0, {}, "return", ""),
    ]
    assert [step.output for step in trace.steps] == [0, 0, 0, 0, 0, 2, 2, 2, 4, 4, 6]
    assert (trace.output, trace.end, trace.total, trace.skipped) == ("1\n2\n3\n", "ended", 11, 0)


def test_recursion_has_a_depth_and_values(pool: JudgePool) -> None:
    code = "def fact(n):\n    if n == 0:\n        return 1\n    return n * fact(n - 1)\n"
    trace = traced(pool, code, "[2]", Entry("fact"))
    assert brief(trace.steps[2:]) == [
        (2, 0, {"n": "2"}), (4, 0, {}), (2, 1, {"n": "1"}), (4, 1, {}), (2, 2, {"n": "0"}), (3, 2, {}),
        (3, 2, {}, "return", "1"), (4, 1, {}, "return", "1"), (4, 0, {}, "return", "2"),
    ]
    assert {step.function for step in trace.steps[2:]} == {"fact"}
    assert trace.end == "returned 2"


def test_an_exception_is_a_step_where_it_is_raised(pool: JudgePool) -> None:
    code = "def last(a):\n    return a[len(a)]\ndef f(a):\n    try:\n        last([])\n    except IndexError:\n"
    trace = traced(pool, code + "        return last(a)\n", "[[1, 2]]", Entry("f"))
    assert brief(trace.steps[3:]) == [
        (4, 0, {"a": "[1, 2]"}), (5, 0, {}), (2, 1, {"a": "[]"}),
        (2, 1, {}, "raise", "IndexError: list index out of range"), (6, 0, {}), (7, 0, {}),
        (2, 1, {"a": "[1, 2]"}), (2, 1, {}, "raise", "IndexError: list index out of range"),
    ]
    assert trace.end == "raised IndexError: list index out of range at line 2"


def test_a_method_gets_nodes_and_its_object_is_seen_to_change(pool: JudgePool) -> None:
    code = (
        "class Solution:\n    def total(self, head: Optional[ListNode]) -> int:\n        self.sum = 0\n"
        "        while head:\n            self.sum += head.val\n            head = head.next\n        return self.sum\n"
    )
    trace = traced(pool, code, "[[1, 2]]", Entry("total", "Solution", arg_types=["ListNode"]))
    at = next(i for i, step in enumerate(trace.steps) if step.function == "Solution.total")
    assert brief(trace.steps[at:]) == [
        (3, 0, {"self": "<Solution>", "head": "<ListNode val=1 next=<ListNode val=2 next=None>>"}),
        (4, 0, {"self": "<Solution sum=0>"}), (5, 0, {}), (6, 0, {"self": "<Solution sum=1>"}),
        (4, 0, {"head": "<ListNode val=2 next=None>"}), (5, 0, {}), (6, 0, {"self": "<Solution sum=3>"}),
        (4, 0, {"head": "None"}), (7, 0, {}), (7, 0, {}, "return", "3"),
    ]


def test_a_generator_goes_on_with_what_it_had(pool: JudgePool) -> None:
    trace = traced(pool, "def count():\n    n = 1\n    yield n\n    n = 2\nfor x in count(): pass\n")
    assert brief(trace.steps) == [
        (1, 0, {}), (5, 0, {}), (2, 1, {}), (3, 1, {"n": "1"}), (3, 1, {}, "return", "1"),
        (5, 0, {"x": "1"}), (4, 1, {"n": "1"}), (4, 1, {"n": "2"}, "return", "None"), (5, 0, {}, "return", ""),
    ]


def test_a_name_that_is_gone_is_told(pool: JudgePool) -> None:
    trace = traced(pool, "a = 1\ndel a\nb = 2\n")
    assert [step.changed for step in trace.steps] == [{}, {"a": "1"}, {"a": ""}, {"b": "2"}]


def test_what_changes_far_behind_in_a_list_is_told(pool: JudgePool) -> None:
    code = "d = [0] * 100\nd[57] = 3\nd[57] = 4\nx = 1\ng = [[0] * 10 for _ in range(10)]\ng[7][1], g[8][2] = 5, 6\n"
    trace = traced(pool, code)
    assert [step.changed for step in trace.steps] == [
        {}, {"d": f"[{'0, ' * 19}… 81 more]"}, {"d": f"[{'0, ' * 15}… 85 more], [57] = 3"},
        {"d": f"[{'0, ' * 15}… 85 more], [57] = 4"}, {"x": "1"},
        {"g": f"[[{'0, ' * 9}0], [0, 0, … 8 more], [0, … 9 mor…, … 7 more]"},
        {"g": f"[[{'0, ' * 5}… 5 more], [0, … 9 mo…, … 8 more], [7][1] = 5, [8][2] = 6"},
    ]


READS = [
    "a = input()\nprint(a + input())", "import sys\nfor line in sys.stdin: print(line, end='')",
    "import sys\nprint(sys.stdin.buffer.read())", "print(open(0).read())", "import os\nprint(os.read(0, 9))",
    "import sys\nif __name__ == '__main__':\n    print(sys.stdin.readlines())\n    sys.exit()",
    "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.readline())", "import os\nos.write(1, b'x')",
    "import threading\nt = threading.Thread(target=lambda: print(input()))\nt.start()\nt.join()",
    "import io, sys\nsys.stdout = io.StringIO()\nprint(1)\nsys.__stdout__.write(sys.stdout.getvalue())",
    "import sys\nprint('a')\nsys.stdout.buffer.write(b'b')\nprint(sorted(globals()), __file__)",
    "input()\ninput()\ninput()", "import sys\nprint(*sys.stdin.buffer)\nsys.exit('no')", "print('é', end='')",
]


@pytest.mark.parametrize("code", READS)
def test_a_program_reads_and_writes_as_it_does_untraced(pool: JudgePool, code: str) -> None:
    from dc_tools.sandbox.judge import Program

    (run,) = pool.execute(Program(code), ["12\n\udcff3"]).runs
    trace = traced(pool, code, "12\n\udcff3")
    assert trace.output == run.output
    assert trace.end.startswith("ended" if run.status == "OK" else run.message if run.exit_code == 3 else "")
    assert trace.steps[-1].output <= len(run.output)


def test_characters_are_counted_and_not_bytes(pool: JudgePool) -> None:
    trace = traced(pool, "import sys\nprint('é€😀', flush=True)\nsys.stdout.buffer.write(b'\\xff')\nx = 1\n")
    assert [step.output for step in trace.steps] == [0, 0, 4, 5, 5]
    assert trace.output == "é€😀\n\ufffd"


def test_what_a_function_prints_is_kept(pool: JudgePool) -> None:
    trace = traced(pool, "def f(x):\n    print('é', x)\n    return [x]\n", "[7]", Entry("f"))
    assert (trace.output, trace.end) == ("é 7\n", "returned [7]")
    assert [step.output for step in trace.steps[-3:]] == [0, 4, 4]


def test_what_a_benchmark_puts_behind_a_program_is_no_step(pool: JudgePool) -> None:
    glue = "\n\ndef f_of_literal(literal):\n    from ast import literal_eval\n    return f(*literal_eval(literal))\n"
    trace = traced(
        pool, "def f(x):\n    return x\n", json.dumps(["((1, 2),)"]), Entry("f_of_literal"), meta={"glue": glue}
    )
    assert brief(trace.steps[2:]) == [(2, 0, {"x": "(1, 2)"}), (2, 0, {}, "return", "(1, 2)")]
    assert trace.end == "returned [1, 2]"


COUNTS = "def f(n):\n    return n and 1 + f(n - 1)\n"


@pytest.mark.parametrize(
    ("code", "total", "end"),
    [
        ("while True:\n    try:\n        x = 1\n    except BaseException:\n        pass\n", None, "stopped after"),
        ("s = 0\nfor i in range(10**7):\n    s += i\n", None, "stopped after"),
        ("def f(n):\n    return f(n + 1)\nf(0)\n", None, "raised RecursionError: maximum recursion depth exceeded"),
        ("a = []\nwhile True:\n    a.append(bytearray(10**7))\n", None, "MLE: over 1024 MiB"),
        ("while True:\n    print('x' * 10**6)\n", None, "OLE: over 16 MiB of output"),
        ("print('x' * 10**7)\n", 2, "ended"),
        ("import os\na = 1\nos._exit(0)\n", 3, "ended; the trace breaks off at line 3"),
        ("import os\na = 1\nos.kill(os.getpid(), 9)\n", 3, "killed by SIGKILL"),
        ("import sys\na = 1\nsys.settrace(None)\nb = 2\n", 3, "ended; the trace breaks off at line 3"),
        ("import sys\nsys.stdout.close()\na = 1\n", 4, "ended"),
        ("if\n", 0, "SyntaxError: invalid syntax"), ("a\0b", 0, ""), ("x = '\ud800'", 0, ""),
        ("raise ValueError('a\\nb')\n", 2, "raised ValueError: a\nb at line 1"),
        ("import sys\nsys.exit(3)\n", 3, "exit code 3"),
        (f"import sys\nsys.setrecursionlimit(10**6)\n{COUNTS}f(20000)\n", 40_007, "ended"),
        ("w = sys = __import__('sys').stdout.write.__self__.buffer\nw[:] = b'\\xff' * len(w)\n", 3, "ended"),
    ],
    ids=str,
)
def test_whatever_a_program_does_there_is_a_trace(pool: JudgePool, code: str, total: int | None, end: str) -> None:
    trace = traced(pool, code)
    assert trace.end.startswith(end)
    assert total is None or trace.total == total
    assert len(trace.output) <= OUTPUT and len(trace.steps) <= 300 and trace.total <= 100_000
    assert trace.skipped == trace.total - len(trace.steps)


def test_the_first_and_the_last_steps_are_kept(pool: JudgePool) -> None:
    trace = traced(pool, "for i in range(500):\n    pass\nx = 1\n")
    assert (trace.total, len(trace.steps), trace.skipped, trace.skipped_after) == (1003, 300, 703, 150)
    assert brief(trace.steps[147:151]) == [(2, 0, {"i": "73"}), (1, 0, {}), (2, 0, {"i": "74"}), (2, 0, {"i": "426"})]
    assert brief(trace.steps[-3:]) == [(1, 0, {}), (3, 0, {}), (3, 0, {"x": "1"}, "return", "")]


HOSTILE = """\
class Meta(type):
    def __hash__(self): print("hash"); return 1
    def __eq__(self, other): print("eq"); return True
    def __getattribute__(self, name): print("get"); return type.__getattribute__(self, name)
class Evil(metaclass=Meta):
    def __repr__(self):
        while True: pass
    def __getattribute__(self, name): print("attribute")
    def __hash__(self): print("hash"); return 1
    __dict__ = property(lambda self: print("dict"))
class Sub(list):
    __iter__ = __len__ = __repr__ = lambda self: print("sub")
a = Evil()
b = [a, Sub([1])]
b.append(b)
c = 10 ** 100_000
d = "x" * 10 ** 7
e = list(range(10 ** 5))
f = dict.fromkeys(e, b)
g = -10 ** 300
h = ((1,), set(), {}, None, 1.5, b"q", {2: [3]})
i = [[[[[5]]]]]
"""


def test_no_code_of_the_program_runs_to_show_a_value(pool: JudgePool) -> None:
    trace = traced(pool, HOSTILE)
    found = {name: text for step in trace.steps for name, text in step.changed.items() if step.depth == 0}
    assert trace.output == ""
    assert all(len(text) <= 80 for text in found.values())
    assert found == {
        "a": "<Evil>", "b": "[<Evil>, <Sub>, [<Evil>, <Sub>, [<Evil>, <Sub>, [<Evil>, … 2 more]]]]",
        "c": "<int of 332193 bits>",
        "d": "'" + "x" * 78 + "…",
        "e": "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, … 99983 more]",
        "f": found["f"], "g": "-1000000000000000000… (302 digits)",
        "h": "((1,), set(), {}, None, 1.5, b'q', {2: [3]})", "i": "[[[[[…]]]]]",
    }


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)


@given(PLAIN, st.integers(20, 200))
def test_a_value_is_shown_in_the_room_there_is_and_as_python_does_where_that_is_enough(value: Any, room: int) -> None:
    text = shown(value, room)
    assert len(text) <= room
    assert "…" in text or text == repr(value)


def test_threads_are_traced(pool: JudgePool) -> None:
    code = "import threading\ndef main():\n    n = int(input())\n    print(n)\nt = threading.Thread(target=main)\n"
    trace = traced(pool, code + "t.start()\nt.join()\n", "7")
    assert brief([step for step in trace.steps if step.function == "main"]) == [
        (3, 0, {}), (4, 0, {"n": "7"}), (4, 0, {}, "return", "None")
    ]


def test_a_sandbox_that_fails_is_told() -> None:
    def connect() -> Any:
        raise OSError("no room")

    with JudgePool(1, connect=connect) as pool:
        assert traced(pool, "") == Trace(end="not run: no room")


def test_the_failing_test_is_the_first_one_that_is_not_accepted() -> None:
    problem = Problem(id="a", tests=[Test("", "")] * 3)

    def verdict(*statuses: Status, total: int = 3) -> Verdict:
        return Verdict(Status.WA, 0, total, [TestVerdict(status) for status in statuses])

    assert failing_test(verdict(Status.AC, Status.WA), problem) == 1
    assert failing_test(verdict(Status.TLE, Status.AC, Status.RE), problem) == 0
    assert failing_test(verdict(Status.CE), problem) is None
    assert failing_test(verdict(Status.AC, Status.IE), problem) is None
    assert failing_test(verdict(Status.AC, Status.AC, Status.AC, Status.WA, total=4), problem) is None
    assert failing_test(verdict(Status.WA, total=2), problem) is None
    assert failing_test(verdict(), problem) is None


NAMES = st.sampled_from("xyz")
VALUES = NAMES | st.integers(-9, 9).map(str) | st.sampled_from(["[x]", "str(y)", "x == z", "x * 2", "1 / 0", "len(z)"])
SIMPLE = st.builds("{} = {}".format, NAMES, VALUES) | st.builds("print({}, {})".format, NAMES, VALUES)
STATEMENTS = st.recursive(SIMPLE, lambda inner: st.builds(
    lambda head, body: "\n".join([head, *("    " + line for each in body for line in each.split("\n"))]),
    st.sampled_from(["for x in range(3):", "if x:", "def f():", "class C:", "with open(0) as y:"]),
    st.lists(inner, min_size=1, max_size=3),
), max_leaves=8)


@settings(deadline=None, max_examples=40)
@given(st.lists(STATEMENTS, max_size=6))
def test_tracing_does_not_change_what_a_program_prints(pool: JudgePool, statements: list[str]) -> None:
    from dc_tools.sandbox.judge import Program

    code = "\n".join(["x = y = z = 'a'", *statements])
    (run,) = pool.execute(Program(code), ["in\n"]).runs
    trace = traced(pool, code, "in\n")
    assert trace.output == run.output[:OUTPUT]
    assert (run.status == "OK") == trace.end.startswith("ended")
    assert run.message in trace.end
    assert all(1 <= step.line <= len(code.split("\n")) for step in trace.steps)
