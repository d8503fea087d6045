"""Remote servers that fail, are wrongly named or asked too much: what they do is never held against a program."""

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from remote_servers import interpret, worker_of
from sandbox_server import drops, says, scripted, trickles, wire

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.core.exchange import Exchange
from dc_tools.core.records import Problem, Test
from dc_tools.sandbox.execution import Execution, Program, WorkerLost
from dc_tools.sandbox.judge import JudgePool
from dc_tools.sandbox.remote import RemoteOptions, connect, is_remote
from dc_tools.sandbox.remote_fusion import SandboxFusionWorker
from dc_tools.sandbox.remote_together import TogetherWorker
from dc_tools.sandbox.server import Server

QUICK = RemoteOptions(concurrency=4, tries=3, pause_s=0.01)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.delenv("DC_SANDBOX_TOKEN", raising=False)
    monkeypatch.delenv("TOGETHER_API_KEY", raising=False)


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


def test_an_outage_behind_a_server_is_an_error_of_the_sandbox() -> None:
    exchange = Exchange("http://127.0.0.1:9", tries=1)
    try:
        pool = JudgePool(1, connect=lambda: SandboxFusionWorker(exchange))
        with pool, Server(pool) as server, wire(server.url) as client:
            answer = client.run("print(6)").json
    finally:
        exchange.close()
    assert (answer["status"], answer["run_result"], answer["compile_result"]) == ("SandboxError", None, None)
    assert "the worker was lost" in answer["message"]


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


def test_a_bad_name_a_missing_key_and_a_dead_server_are_said_at_once() -> None:
    names = ("local", "docker", "together", "together:https://x", "remote:https://x")
    assert [name for name in names if not is_remote(name)] == ["local", "docker"]
    for bad in ("remote", "remote:", "remote:ftp://x", "elsewhere", "https://x", "together:", "together:x"):
        with pytest.raises(UsageError, match="is no remote"):
            connect(bad)
    with pytest.raises(UsageError, match="does not belong") as caught:
        connect("remote:https://me:sesame@host")
    assert "sesame" not in str(caught.value)
    with pytest.raises(CannotRun, match="TOGETHER_API_KEY"):
        connect("together")
    wrong_key = pytest.raises(CannotRun, match=r"401.*DC_SANDBOX_TOKEN")
    with JudgePool(1) as pool, Server(pool, token="sesame") as server, wrong_key:
        connect(f"remote:{server.url}", QUICK)
    with scripted(lambda body: {**GOOD, "message": ""}) as odd, pytest.raises(CannotRun, match="does not run a simple"):
        connect(f"remote:{odd.url}", QUICK)
    with pytest.raises(CannotRun, match="3 tries, the last: ConnectError"):
        connect(f"remote:{odd.url}", QUICK)


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DC_SANDBOX_TOKEN", "sesame")
    monkeypatch.setenv("TOGETHER_API_KEY", "tk-2")
    problem = Problem(id="p", tests=[Test("6", "6")])
    with JudgePool(1) as ours, Server(ours, token="sesame") as server, scripted(interpret) as interpreter:
        for name in (f"remote:{server.url}", f"together:{interpreter.url}"):
            with connect(name, QUICK) as remote, JudgePool(1, connect=remote) as pool:
                assert pool.judge(problem, "print(input())").status == "AC"
    assert interpreter.keys == ["Bearer tk-2"]
