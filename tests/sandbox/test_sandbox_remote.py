"""The remote backends: the same verdicts as here, from a server of our own and from two that run what they are sent."""

import base64
import contextlib
import json
import re
from collections.abc import Iterator

import pytest
from programs import EXHAUSTION, FRAME_HUNT, HACKS, HONEST, INFRASTRUCTURE, SECRET, Case, expecting_secret, one_look
from remote_servers import interpret, published, worker_of
from sandbox_server import Scripted, scripted

from dc_tools.core.records import Checker, CheckerType, Entry, Limits, Mode, Problem, Test, Verdict
from dc_tools.sandbox.execution import Program
from dc_tools.sandbox.judge import JudgePool
from dc_tools.sandbox.remote import RemoteOptions, connect
from dc_tools.sandbox.remote_fusion import SandboxFusionWorker
from dc_tools.sandbox.server import Server

ANY = [
    case for case in (*HONEST, *HACKS, *INFRASTRUCTURE, *EXHAUSTION[2:7])
    if case.name != "looks for the tests" and not case.is_idle
]
"""What may run on a server of ours: not what looks into a folder that holds the script there, and nothing slow."""
HARMLESS = [
    case for case in (*HONEST, *HACKS) if not any(part in case.code for part in ("ctypes", "fd in range", "/tmp"))
]
"""What may run unjailed, on the servers that are plain processes here."""
CPP = "#include <iostream>\nint main() { int a, b; std::cin >> a >> b; std::cout << a * b << std::endl; }"
SORTED_LIST = Problem(
    id="list", mode=Mode.FUNCTION, tests=[Test("[[3,1,2]]", "[1,2,3]"), Test("[[]]", "[]")],
    entry=Entry(fn_name="sort", class_name="Solution", arg_types=["ListNode"], return_type="ListNode"),
)
SORTING = """
class Solution:
    def sort(self, head: Optional[ListNode]) -> Optional[ListNode]:
        print("debugging is allowed")
        values = []
        while head:
            values.append(head.val)
            head = head.next
        for value in sorted(values, reverse=True):
            head = ListNode(value, head)
        return head
"""


@pytest.fixture(scope="module", autouse=True)
def surroundings() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.delenv("DC_SANDBOX_TOKEN", raising=False)
        patch.delenv("TOGETHER_API_KEY", raising=False)
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with JudgePool(2) as pool, Server(pool, token="sesame") as found:
        yield found


@pytest.fixture(scope="module")
def fusion(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgePool]:
    """A judge whose programs run on our own server."""
    key = tmp_path_factory.mktemp("key") / "token"
    key.write_text("sesame\n")
    with connect(f"remote:{server.url}", RemoteOptions(key_file=key)) as remote, JudgePool(2, connect=remote) as pool:
        yield pool


@pytest.fixture(scope="module")
def interpreter() -> Iterator[Scripted]:
    with scripted(interpret) as found:
        yield found


@pytest.fixture(scope="module")
def together(interpreter: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgePool]:
    """A judge whose programs run in an interpreter as Together's is."""
    key = tmp_path_factory.mktemp("key") / "key"
    key.write_text("tk-1\n")
    options = RemoteOptions(key_file=key)
    with connect(f"together:{interpreter.url}", options) as remote, JudgePool(2, connect=remote) as pool:
        yield pool


@pytest.fixture(scope="module")
def undrained() -> Iterator[JudgePool]:
    """A judge whose programs run on a server that does what ByteDance's does."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(scripted(published)).url
        remote = stack.enter_context(connect(f"remote:{url}"))
        yield stack.enter_context(JudgePool(2, connect=remote))


def name(case: Case) -> str:
    return case.name


# The same verdicts


def judged(pool: JudgePool, cases: list[Case]) -> dict[str, Verdict]:
    """The verdicts by name, of programs that are handed in at once."""
    futures = {case.name: pool.submit(case.problem, case.code) for case in cases}
    return {name: future.result() for name, future in futures.items()}


@pytest.fixture(scope="module")
def by_fusion(fusion: JudgePool) -> dict[str, Verdict]:
    return judged(fusion, ANY)


@pytest.fixture(scope="module")
def by_together(together: JudgePool) -> dict[str, Verdict]:
    return judged(together, HARMLESS)


@pytest.fixture(scope="module")
def by_undrained(undrained: JudgePool) -> dict[str, Verdict]:
    return judged(undrained, HARMLESS)


@pytest.mark.parametrize("case", ANY, ids=name)
def test_a_server_of_ours_gives_the_verdicts_of_the_local_judge(by_fusion: dict[str, Verdict], case: Case) -> None:
    verdict = by_fusion[case.name]
    assert verdict.status in case.statuses, verdict
    assert case.message in verdict.message
    assert (verdict.backend, verdict.isolation) == ("remote", "sandbox-fusion")


@pytest.mark.parametrize("case", HARMLESS, ids=name)
def test_an_interpreter_gives_the_verdicts_of_the_local_judge(by_together: dict[str, Verdict], case: Case) -> None:
    verdict = by_together[case.name]
    assert verdict.status in case.statuses, verdict
    assert case.message in verdict.message
    assert (verdict.backend, verdict.isolation) == ("remote", "together")


@pytest.mark.parametrize("case", HARMLESS, ids=name)
def test_a_server_that_does_not_drain_pipes_gives_the_same_verdicts(
    by_undrained: dict[str, Verdict], case: Case
) -> None:
    verdict = by_undrained[case.name]
    assert verdict.status in case.statuses, verdict


@pytest.fixture(params=["fusion", "together", "undrained"])
def pool(request: pytest.FixtureRequest) -> JudgePool:
    found: JudgePool = request.getfixturevalue(request.param)
    return found


def test_functions_are_called_and_lists_and_trees_made(pool: JudgePool) -> None:
    verdict = pool.judge(SORTED_LIST, SORTING)
    assert (verdict.status, verdict.passed) == ("AC", 2), verdict
    assert pool.judge(SORTED_LIST, SORTING.replace("reverse=True", "")).status == "WA"


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("while True: pass", "TLE", "0.3 s"),
        ("import time\ntime.sleep(100)", "TLE", ""),
        ("x = bytearray(1 << 30)", "MLE", "over 200 MiB"),
        ("while True: print('x' * 10_000)", "OLE", "over 16 MiB"),
        ("import os\nos.kill(os.getpid(), 11)", "RE", "killed by SIGSEGV"),
        ("def f(:", "CE", "line 1"),
        ("print(6)\0", "CE", "null byte"),
        ("import sys\nsys.exit('no luck')", "RE", "no luck"),
        ("print(7)", "WA", "expected 6, got 7"),
    ],
)
def test_each_way_to_fail_has_its_status(pool: JudgePool, code: str, status: str, words: str) -> None:
    problem = Problem(id="p", tests=[Test("2 3\n", "6\n")], limits=Limits(time_s=0.3, memory_mb=200))
    with one_look():
        verdict = pool.judge(problem, code)
    assert verdict.status == status, verdict
    assert words in verdict.message


def test_files_go_along_and_come_back(pool: JudgePool) -> None:
    content = bytes(range(256)) * 1000
    code = "import sys\ndata = open('a/in.bin', 'rb').read()\nopen('out.bin', 'wb').write(data[::-1])\n"
    program = Program(
        code=code + "print(sys.argv[1:])", argv=["--x", "ü"], files={"a/in.bin": content}, fetch=["out.bin", "absent"]
    )
    run = pool.execute(program, [""]).runs[0]
    assert (run.status, run.output, run.exit_code) == ("OK", "['--x', 'ü']\n", 0), run
    assert run.files == {"out.bin": content[::-1]}


def test_a_custom_checker_runs_there_too(pool: JudgePool) -> None:
    code = "import sys\na, b = (open(name).read().split() for name in sys.argv[2:])\nsys.exit(sorted(a) != sorted(b))"
    problem = Problem(id="p", tests=[Test("", "1 2 3")], checker=Checker(type=CheckerType.CUSTOM, code=code))
    assert pool.judge(problem, "print(3, 1, 2)").status == "AC"
    assert pool.judge(problem, "print(3, 1, 1)").status == "WA"


def test_times_and_limits_are_those_of_the_program(pool: JudgePool) -> None:
    problem = Problem(id="p", tests=[Test("", "1")] * 2, limits=Limits(time_s=5))
    code = "import time\nwhile time.process_time() < 0.4: pass\nprint(1)"
    verdict = pool.judge(problem, code)
    assert verdict.status == "AC"
    assert all(0.2 < test.time_s < 1.5 for test in verdict.tests)


@pytest.mark.parametrize("kind", ["fusion", "undrained"])
def test_cpp_is_compiled_run_and_judged_on_a_server(kind: str, request: pytest.FixtureRequest) -> None:
    pool: JudgePool = request.getfixturevalue(kind)
    problem = Problem(id="p", tests=[Test("2 3\n", "6\n"), Test("4 5\n", "20\n")])
    verdict = pool.judge(problem, CPP, "cpp")
    assert (verdict.status, verdict.passed) == ("AC", 2), verdict
    assert pool.judge(problem, CPP.replace("*", "+"), "cpp").status == "WA"
    assert pool.judge(problem, CPP.replace("main", "open"), "cpp").status == "CE"
    verdict = pool.judge(problem, CPP.replace("a * b", "c"), "cpp")
    assert verdict.status == "CE" and "was not declared" in verdict.message and ":2:" in verdict.message
    long = "#include <cstdio>\nint main() { for (int i = 0; i < 100000; i++) puts(\"yyyyyyyyyyyyyyyyyyy\"); }"
    assert pool.judge(Problem(id="p", tests=[Test("", ("y" * 19 + "\n") * 100_000)]), long, "cpp").status == "AC"


def test_an_interpreter_of_python_runs_no_cpp(together: JudgePool) -> None:
    assert together.judge(Problem(id="p", tests=[Test("", "")]), CPP, "cpp").status == "IE"


# What is sent


def test_expected_outputs_are_never_sent(interpreter: Scripted, together: JudgePool) -> None:
    before = len(interpreter.bodies)
    case = expecting_secret("hunt", FRAME_HUNT + "print(*ours)")
    assert together.judge(case.problem, case.code).status == "WA"
    with scripted(lambda body: {"status": "Success", "run_result": {"status": "Finished", "stdout": SECRET}}) as server:
        with worker_of(server, SandboxFusionWorker) as remote, JudgePool(1, connect=lambda: remote) as pool:
            assert pool.judge(case.problem, case.code).status == "AC"
        bodies = [*interpreter.bodies[before:], *server.bodies]
    assert len(bodies) == 2
    for body in bodies:
        texts = unwrapped(json.dumps(body))
        assert any("terces" in text for text in texts)
        assert not any(SECRET in text for text in texts)


def unwrapped(text: str) -> list[str]:
    """A text and all that is in it as base64, to any depth."""
    found = [text]
    for part in re.findall(r"[A-Za-z0-9+/]{12,}={0,2}", text):
        try:
            inner = base64.b64decode(part, validate=True).decode()
        except ValueError:
            continue
        found += unwrapped(inner) if inner.isprintable() or "\n" in inner else []
    return found


def test_each_solution_has_a_session_of_its_own(interpreter: Scripted, together: JudgePool) -> None:
    before = len(interpreter.bodies)
    problem = Problem(id="p", tests=[Test("1", "1"), Test("2", "2"), Test("3", "3")])
    for _ in range(2):
        assert together.judge(problem, "print(input())").status == "AC"
    sessions = [body.get("session_id") for body in interpreter.bodies[before:]]
    assert sessions[0] is None and sessions[3] is None
    assert sessions[1] == sessions[2] and sessions[4] == sessions[5] and sessions[1] != sessions[4]
    assert set(interpreter.paths) == {"/tci/execute"}
    assert set(interpreter.keys) == {"Bearer tk-1"}


def test_the_mark_of_a_report_is_nowhere_that_a_solution_can_look(interpreter: Scripted, together: JudgePool) -> None:
    code = (
        "import gc, os, sys\nfound = [open('/proc/self/cmdline').read(), str(dict(os.environ)), str(vars(sys))]\n"
        "found += [open(f'../{n}').read() for n in os.listdir('..') if os.path.isfile(f'../{n}') and n != 'output']\n"
        "found += [str(thing) for thing in gc.get_objects() if isinstance(thing, (dict, list, tuple))]\nprint(*found)"
    )
    run = together.execute(Program(code=code), [""]).runs[0]
    mark = re.search(r'"mark": "([0-9a-f]{32})"', interpreter.bodies[-1]["code"])
    assert mark and run.status == "OK"
    assert "become" in run.output and mark[1] not in run.output
