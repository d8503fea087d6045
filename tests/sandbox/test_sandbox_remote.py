"""The remote backends: the same verdicts as here, from a server of our own and from one that really runs what it gets;
and what becomes of servers that fail.
"""

import base64
import json
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from programs import EXHAUSTION, FRAME_HUNT, HACKS, HONEST, INFRASTRUCTURE, SECRET, Case, expecting_secret
from sandbox_server import Scripted, drops, says, scripted, trickles

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.core.exchange import Exchange
from dc_tools.core.records import Checker, CheckerType, Entry, Limits, Mode, Problem, Test
from dc_tools.sandbox.execution import Execution, Program, WorkerLost
from dc_tools.sandbox.judge import JudgePool
from dc_tools.sandbox.remote import RemoteOptions, connect
from dc_tools.sandbox.remote_fusion import SandboxFusionWorker
from dc_tools.sandbox.remote_together import TogetherWorker
from dc_tools.sandbox.remote_worker import RemoteWorker
from dc_tools.sandbox.server import Server

QUICK = RemoteOptions(concurrency=4, tries=3, pause_s=0.01)
OTHERS_FOLDER = ("looks for the tests",)
"""Cases about a folder that on a server holds the script."""
HARMLESS = [case for case in HACKS if "ctypes" not in case.code and "fd in range" not in case.code]
"""What may run unjailed in the together tests, where the server is a plain interpreter."""
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


def interpret(body: dict[str, Any]) -> object:
    """What Together's interpreter answers, by a plain Python here."""
    code = body["code"].encode()
    done = subprocess.run([sys.executable, "-"], input=code, capture_output=True, timeout=60, check=False)
    outputs = [{"type": "stdout", "data": done.stdout.decode()}, {"type": "stderr", "data": done.stderr.decode()}]
    session_id = body.get("session_id") or f"ses_{secrets.token_hex(4)}"
    return {"errors": None, "data": {"session_id": session_id, "status": "success", "outputs": outputs}}


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


def name(case: Case) -> str:
    return case.name


# The same verdicts


@pytest.mark.parametrize("case", [*HONEST, *HACKS, *INFRASTRUCTURE, *EXHAUSTION[2:7]], ids=name)
def test_a_server_of_ours_gives_the_verdicts_of_the_local_judge(fusion: JudgePool, case: Case) -> None:
    if case.name in OTHERS_FOLDER or "idle" in case.message:
        pytest.skip("not so there, or slow and tested below")
    verdict = fusion.judge(case.problem, case.code)
    assert verdict.status in case.statuses, verdict
    assert case.message in verdict.message
    assert (verdict.backend, verdict.isolation) == ("remote", "sandbox-fusion")


@pytest.mark.parametrize("case", [*HONEST, *HARMLESS], ids=name)
def test_an_interpreter_gives_the_verdicts_of_the_local_judge(together: JudgePool, case: Case) -> None:
    if case.name in OTHERS_FOLDER:
        pytest.skip("the machine's own /tmp is seen there")
    verdict = together.judge(case.problem, case.code)
    assert verdict.status in case.statuses, verdict
    assert case.message in verdict.message
    assert (verdict.backend, verdict.isolation) == ("remote", "together")


@pytest.fixture(params=["fusion", "together"])
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
        ("while True: pass", "TLE", "0.5 s"),
        ("import time\ntime.sleep(100)", "TLE", "idle"),
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
    problem = Problem(id="p", tests=[Test("2 3\n", "6\n")], limits=Limits(time_s=0.5, memory_mb=200))
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


def test_cpp_is_compiled_run_and_judged_on_a_server(fusion: JudgePool, together: JudgePool) -> None:
    problem = Problem(id="p", tests=[Test("2 3\n", "6\n"), Test("4 5\n", "20\n")])
    verdict = fusion.judge(problem, CPP, "cpp")
    assert (verdict.status, verdict.passed) == ("AC", 2), verdict
    assert fusion.judge(problem, CPP.replace("*", "+"), "cpp").status == "WA"
    assert fusion.judge(problem, CPP.replace("main", "open"), "cpp").status == "CE"
    verdict = fusion.judge(problem, CPP.replace("a * b", "c"), "cpp")
    assert verdict.status == "CE" and "was not declared" in verdict.message and ":2:" in verdict.message
    long = "#include <cstdio>\nint main() { for (int i = 0; i < 100000; i++) puts(\"yyyyyyyyyyyyyyyyyyy\"); }"
    assert fusion.judge(Problem(id="p", tests=[Test("", ("y" * 19 + "\n") * 100_000)]), long, "cpp").status == "AC"
    assert together.judge(problem, CPP, "cpp").status == "IE"


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


def test_a_solution_that_prints_a_report_is_not_believed(together: JudgePool) -> None:
    problem = Problem(id="p", tests=[Test("", "6")])
    code = (
        "import os, gc\nfound = [open('/proc/self/cmdline').read(), str(dict(os.environ)), *os.listdir('..')]\n"
        "found += [open(f'../{name}').read() for name in ('script.py',)]\nprint(6, file=open('../output', 'w'))\n"
        "print('mark' in ' '.join(found).replace('job[', '').replace(\"'mark'\", '').replace('\"mark\"', ''))"
    )
    assert together.judge(problem, code).status == "WA"


# Servers that fail


@contextmanager
def worker_of(server: Scripted, kind: Callable[[Exchange], RemoteWorker], **options: Any) -> Iterator[RemoteWorker]:
    exchange = Exchange(server.url, **{"api_key": "sk-secret", "tries": 3, "pause_s": 0.01, **options})
    try:
        yield kind(exchange)
    finally:
        exchange.close()


@contextmanager
def first_run(
    answer: Callable[[dict[str, Any]], object], kind: type[SandboxFusionWorker | TogetherWorker]
) -> Iterator[Callable[[str], Execution]]:
    """Runs an empty program on a scripted server."""
    with scripted(answer) as server, worker_of(server, kind) as worker, worker.session(Program(code="")) as session:
        yield session.run


GOOD = {"status": "Success", "message": "", "run_result": {"status": "Finished", "return_code": 0, "stdout": "6\n"}}
BAD_ANSWERS = [
    pytest.param(says(429, {"detail": "slow down"}, Retry_After="0"), id="429"),
    pytest.param(says(500, b"oops"), id="500"),
    pytest.param(says(503, {"detail": "full"}, Retry_After="0"), id="503"),
    pytest.param(says(200, b"{nonsense"), id="garbage"),
    pytest.param(says(200, b"\xff\xfe"), id="bytes"),
    pytest.param(says(200, {"status": "SandboxError", "message": "the sandbox broke"}), id="SandboxError"),
    pytest.param(says(200, {"errors": ["no machine"], "data": None}), id="errors"),
    pytest.param(drops, id="drops"),
]


@pytest.mark.parametrize("kind", [SandboxFusionWorker, TogetherWorker])
@pytest.mark.parametrize("fault", BAD_ANSWERS)
def test_a_passing_failure_is_waited_out_and_a_lasting_one_loses_the_worker(
    kind: type[SandboxFusionWorker | TogetherWorker], fault: Any
) -> None:
    answer: Callable[[dict[str, Any]], object] = (lambda body: GOOD) if kind is SandboxFusionWorker else interpret
    program = Program(code="print(6)")
    with scripted(answer) as server, worker_of(server, kind) as worker, worker.session(program) as session:
        server.faults.extend([fault, fault])
        run = session.run("")
        assert (run.status, run.output, len(server.bodies)) == ("OK", "6\n", 3)
        server.faults.extend([fault] * 3)
        with pytest.raises(WorkerLost, match="3 tries") as caught:
            session.run("")
        assert len(server.bodies) == 6
        assert "sk-secret" not in str(caught.value)


def test_retry_after_is_honoured() -> None:
    with scripted(lambda body: GOOD) as server, worker_of(server, SandboxFusionWorker) as worker:
        server.faults.append(says(429, {}, Retry_After="0.5"))
        with worker.session(Program(code="")) as session:
            session.run("")
        assert server.times[1] - server.times[0] >= 0.5


def test_an_outage_is_no_fault_of_the_program() -> None:
    with scripted(lambda body: GOOD) as server, worker_of(server, SandboxFusionWorker) as dead:
        pass
    exchange = Exchange(server.url, tries=2, pause_s=0.01)
    try:
        with JudgePool(1, connect=lambda: SandboxFusionWorker(exchange)) as pool:
            verdict = pool.judge(Problem(id="p", tests=[Test("", "6")]), "print(6)")
    finally:
        exchange.close()
    assert verdict.status == "IE"
    assert "2 tries, the last: ConnectError" in verdict.message
    assert dead.backend == "remote"


def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(lambda body: GOOD) as server, worker_of(server, SandboxFusionWorker) as worker:
        server.faults.extend([trickles] * 3)
        with pytest.raises(WorkerLost, match="3 tries, the last: TimeoutError"):
            worker.ask("/run_code", {}, dict, 0.2)


def test_a_wrong_key_is_not_tried_again_and_not_shown() -> None:
    echo = says(401, {"detail": "no such key: sk-secret"})
    with scripted(lambda body: GOOD) as server, worker_of(server, SandboxFusionWorker) as worker:
        server.faults.append(echo)
        with worker.session(Program(code="")) as session, pytest.raises(WorkerLost, match=r"401.*key") as caught:
            session.run("")
        assert (len(server.bodies), server.keys) == (1, ["Bearer sk-secret"])
        assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "Success"}, {"status": "Failed", "run_result": {"status": "Error", "stderr": "no disk"}},
        {"status": "Success", "run_result": {"status": "Finished"}, "files": {"x": "a"}},
    ],
)
def test_an_answer_that_says_nothing_of_the_run_loses_the_worker(answer: dict[str, Any]) -> None:
    lost = pytest.raises(WorkerLost, match="an answer with")
    with first_run(lambda body: answer, SandboxFusionWorker) as run, lost:
        run("")


@pytest.mark.parametrize("outputs", [[], [{"type": "stdout", "data": "x"}], [{"type": "display_data", "data": {}}]])
def test_an_interpreter_that_gives_no_report_loses_the_worker(outputs: list[Any]) -> None:
    answer = {"errors": None, "data": {"session_id": "s", "outputs": outputs}}
    with first_run(lambda body: answer, TogetherWorker) as run, pytest.raises(WorkerLost, match="no report"):
        run("")


def sandbox_fusion_as_published(body: dict[str, Any]) -> object:
    """Ways in which ByteDance's server answers, by what the code says."""
    result: dict[str, Any] = {"status": "Finished", "execution_time": 0.1, "return_code": 0, "stdout": "", "stderr": ""}
    if "late" in body["stdin"]:
        result |= {"status": "TimeLimitExceeded", "return_code": None}
    elif "memory" in body["stdin"]:
        result |= {"return_code": 1, "stderr": "Traceback:\nMemoryError\n"}
    elif "signal" in body["stdin"]:
        result |= {"return_code": 139}
    elif "compile" in body["stdin"]:
        failed = {**result, "return_code": 1, "stderr": "a.cpp: In function\na.cpp:1:2: error: no x\n"}
        return {"status": "Failed", "message": "", "compile_result": failed, "run_result": None, "files": {}}
    name = body["fetch_files"][0]
    files = {name: base64.b64encode(b"y" * 200_000).decode()} if "long" in body["stdin"] else {}
    return {"status": "Success", "message": "", "compile_result": None, "run_result": result, "files": files}


@pytest.mark.parametrize(
    ("stdin", "status", "message"),
    [
        ("late", "TLE", "over 4 s"), ("memory", "MLE", "over 1024 MiB"), ("signal", "RE", "killed by SIGSEGV"),
        ("compile", "CE", "a.cpp:1:2: error: no x"), ("long", "OK", ""), ("", "OK", ""),
    ],
)
def test_answers_of_the_published_server_are_understood(stdin: str, status: str, message: str) -> None:
    with first_run(sandbox_fusion_as_published, SandboxFusionWorker) as first:
        run = first(stdin)
    assert (run.status, run.message) == (status, message)
    assert len(run.output) == (200_000 if stdin == "long" else 0)


# Sharing, stopping, connecting


def test_all_workers_together_keep_to_the_limits() -> None:
    with scripted(lambda body: GOOD) as server:
        exchange = Exchange(server.url, concurrency=2, per_s=50)
        meeting = threading.Barrier(2)
        server.faults.extend([lambda handler: (meeting.wait(20), handler.reply(200, GOOD))] * 2)
        try:
            with JudgePool(6, connect=lambda: SandboxFusionWorker(exchange)) as pool:
                problem = Problem(id="p", tests=[Test("", "6")] * 2)
                verdicts = [pool.submit(problem, f"print(6)  # {i}") for i in range(6)]
                assert [verdict.result().status for verdict in verdicts] == ["AC"] * 6
        finally:
            exchange.close()
    assert (server.busiest, len(server.times)) == (2, 12)
    assert server.times[-1] - server.times[0] >= 11 / 50 - 0.02


def test_a_worker_that_is_killed_stops_waiting() -> None:
    with scripted(lambda body: GOOD) as server, worker_of(server, SandboxFusionWorker) as worker:
        server.faults.append(lambda handler: (worker.kill(), handler.server.released.wait(20), drops(handler))[-1])
        with worker.session(Program(code="")) as session, pytest.raises(WorkerLost, match="stopped"):
            session.run("")
        with worker.session(Program(code="")) as session, pytest.raises(WorkerLost, match="stopped"):
            session.run("")


def test_a_bad_name_a_missing_key_and_a_dead_server_are_said_at_once(server: Server, tmp_path: Path) -> None:
    for bad in ("remote", "remote:", "remote:ftp://x", "elsewhere", "https://x"):
        with pytest.raises(UsageError, match="is no remote"):
            connect(bad)
    with pytest.raises(CannotRun, match="TOGETHER_API_KEY"):
        connect("together")
    with pytest.raises(CannotRun, match=r"401.*DC_SANDBOX_TOKEN"):
        connect(f"remote:{server.url}", QUICK)
    with scripted(lambda body: {**GOOD, "message": ""}) as odd, pytest.raises(CannotRun, match="does not run a simple"):
        connect(f"remote:{odd.url}", QUICK)
    with pytest.raises(CannotRun, match="3 tries, the last: ConnectError"):
        connect(f"remote:{odd.url}", QUICK)
