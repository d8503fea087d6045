"""The service under load, with clients of bad manners, and at its end."""

import contextlib
import json
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from processes import descendants, end, started, wait_until
from sandbox_server import metrics, request, wire

from dc_tools.core.records import Limits
from dc_tools.sandbox.execution import program_wall_s
from dc_tools.sandbox.judge import JudgePool, Program
from dc_tools.sandbox.serve_http import Bounds
from dc_tools.sandbox.server import Server

MIB = 1 << 20
ROOT = Path(__file__).parents[2]
DAEMON = """
import sys
from dc_tools.core.command import command
from dc_tools.core.run import Run
from dc_tools.sandbox.judge import JudgePool, Program
from dc_tools.sandbox.server import serve

@command("dc-sandbox", needs_input=lambda flags: False)
def main(run: Run) -> None:
    with JudgePool(2) as pool:
        serve(pool, "127.0.0.1", 0, None, ready=lambda url: print(url, flush=True))

main([])
"""


@pytest.fixture(scope="module")
def pool() -> Iterator[JudgePool]:
    with JudgePool(2) as found:
        yield found


@pytest.fixture(scope="module")
def server(pool: JudgePool) -> Iterator[Server]:
    with Server(pool) as found:
        yield found


def test_200_at_once_are_all_answered_right(pool: JudgePool, server: Server) -> None:
    both_busy = [pool.submit_execute(Program(code="import time\ntime.sleep(0.3)"), [""]) for _ in range(2)]
    assert [found.result().runs[0].status for found in both_busy] == ["OK"] * 2
    before, descriptors = memory_mb(), descriptor_count()
    together = threading.Barrier(200)

    def ask(i: int) -> str:
        with wire(server.url) as client:
            together.wait(60)
            return client.run("print(int(input()) + 1, 'x' * 50_000)", stdin=str(i)).json["run_result"]["stdout"]

    with ThreadPoolExecutor(200) as threads:
        found = list(threads.map(ask, range(200)))
    assert found == [f"{i + 1} {'x' * 50_000}\n" for i in range(200)]
    assert memory_mb() - before < 300
    wait_until(lambda: descriptor_count() <= descriptors + 2, 20)


def test_beyond_the_most_that_may_wait_clients_are_sent_away(pool: JudgePool) -> None:
    with Server(pool, most_waiting=6) as server, contextlib.ExitStack() as stack:
        busy = [stack.enter_context(wire(server.url)) for _ in range(6)]
        for client in busy:
            client.send(request("POST", "/run_code", Content_Length="100"))
        wait_until(lambda: metrics(server.url)["dc_sandbox_waiting"] == 6)
        with wire(server.url) as late:
            reply = late.run("print(1)")
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        for client in busy:
            client.send(json.dumps({"code": "print(1)", "language": "python"}).encode().ljust(100))
        assert [client.reply().status for client in busy] == [200] * 6
        with wire(server.url) as late:
            assert late.run("print(1)").status == 200


def test_beyond_the_most_connections_clients_are_sent_away(pool: JudgePool) -> None:
    with Server(pool, bounds=Bounds(most_connections=2)) as server:
        with wire(server.url) as first, wire(server.url) as second:
            assert first.ask("GET", "/").status == second.ask("GET", "/").status == 200
            with wire(server.url) as third:
                reply = third.reply()
                assert (reply.status, reply.headers["retry-after"], third.ended()) == (503, "1", True)

        def one_gets_in() -> bool:
            with wire(server.url) as client, contextlib.suppress(OSError):
                return client.ask("GET", "/").status == 200
            return False

        wait_until(one_gets_in)


def test_large_bodies_at_once_are_bounded_together(pool: JudgePool) -> None:
    bounds = Bounds(most_held=3 * MIB)
    with Server(pool, bounds=bounds) as server, contextlib.ExitStack() as stack:
        held = [stack.enter_context(wire(server.url)) for _ in range(2)]
        for client in held:
            client.send(request("POST", "/run_code", Content_Length=str(2 * MIB)) + b"x" * (MIB + 1000))
        wait_until(lambda: metrics(server.url)["dc_sandbox_bytes"] >= 2 * MIB)
        with wire(server.url) as late:
            reply = late.run("print(1)", stdin="x" * MIB)
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        for client in held:
            client.socket.close()
        wait_until(lambda: metrics(server.url)["dc_sandbox_bytes"] == 0)
        with wire(server.url) as late:
            assert late.run("print(1)", stdin="x" * MIB).json["status"] == "Success"


def test_work_of_clients_that_hang_up_is_not_begun(pool: JudgePool) -> None:
    with Server(pool) as server:
        before = metrics(server.url).get('dc_sandbox_verdicts_total{status="OK"}', 0)
        body = json.dumps({"code": "import time\ntime.sleep(1)", "language": "python"}).encode()
        clients = [wire(server.url) for _ in range(30)]
        with contextlib.ExitStack() as stack:
            for client in clients:
                stack.enter_context(client).send(request("POST", "/run_code", body))
            wait_until(lambda: metrics(server.url)["dc_sandbox_waiting"] == 26)
        wait_until(lambda: metrics(server.url)["dc_sandbox_waiting"] == 0)
        with wire(server.url) as client:
            assert client.run("print(1)").status == 200
        seen = metrics(server.url)
        assert seen['dc_sandbox_verdicts_total{status="OK"}'] - before <= 5
        assert seen["dc_sandbox_bytes"] == 0


def test_a_slow_header_and_a_slow_body_are_timed_out(pool: JudgePool) -> None:
    bounds = Bounds(header_s=0.3, body_s=0.3, idle_s=0.6)
    with Server(pool, bounds=bounds) as server:
        with wire(server.url) as client:
            client.send(b"GET / HTTP/1.1\r\nX-A: ")
            while not select.select([client.socket], [], [], 0.02)[0]:
                client.send(b"a")
            assert client.reply().status == 408
        with wire(server.url) as client:
            client.send(request("POST", "/run_code", Content_Length="100") + b"{")
            assert client.reply().status == 408
        with wire(server.url) as client:
            assert client.ended()
        with wire(server.url) as client:
            assert client.ask("GET", "/").status == 200
            assert client.ended()


def test_a_client_that_does_not_take_its_answer_is_dropped(pool: JudgePool) -> None:
    with Server(pool, bounds=Bounds(answer_s=0.3)) as server, wire(server.url) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        body = json.dumps({"code": "print('x' * 15_000_000)", "language": "python"}).encode()
        client.send(request("POST", "/run_code", body))
        wait_until(lambda: metrics(server.url).get('dc_sandbox_verdicts_total{status="OK"}') == 1)
        wait_until(lambda: metrics(server.url)["dc_sandbox_bytes"] == 0)


def test_a_program_that_waits_is_run_again_on_a_busy_machine(
    pool: JudgePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu").write_text("some avg10=50.00 avg60=0.00 avg300=0.00 total=1\n")
    monkeypatch.setattr("dc_tools.sandbox.judge.PRESSURE", str(tmp_path / "cpu"))
    monkeypatch.setattr("dc_tools.sandbox.judge.REQUEUES", 1)
    program = Program(code="import time\ntime.sleep(100)", limits=Limits(time_s=0.01))
    began = time.monotonic()
    (run,) = pool.submit_execute(program, [""]).result().runs
    assert (run.status, run.idle) == ("TLE", True)
    assert 2 <= (time.monotonic() - began) / program_wall_s(program.limits) < 2.9


# The end


def test_stopping_finishes_what_is_in_hand_and_drops_the_idle(pool: JudgePool) -> None:
    server = Server(pool)
    server.start()
    with wire(server.url) as working, wire(server.url) as idle:
        assert idle.ask("GET", "/").status == 200
        slow = json.dumps({"code": "import time\ntime.sleep(0.5)\nprint('done')", "language": "python"}).encode()
        working.send(request("POST", "/run_code", slow))
        wait_until(lambda: metrics(server.url)["dc_sandbox_running"] == 1)
        server.stop()
        reply = working.reply()
        assert (reply.json["run_result"]["stdout"], reply.headers["connection"]) == ("done\n", "close")
        assert working.ended() and idle.ended()
    with pytest.raises(ConnectionRefusedError), wire(server.url):
        pass


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_drains_and_ends_the_process(number: signal.Signals, code: int) -> None:
    with started([sys.executable, "-c", DAEMON], stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout
        url = process.stdout.readline().decode().strip()
        with wire(url) as client, wire(url) as endless:
            slow = json.dumps({"code": "import time\ntime.sleep(1)\nprint('done')", "language": "python"}).encode()
            loop = json.dumps({"code": "while True: pass", "language": "python", "run_timeout": 600}).encode()
            client.send(request("POST", "/run_code", slow))
            if number is signal.SIGTERM:
                endless.send(request("POST", "/run_code", loop))
            wait_until(lambda: len(descendants(process.pid)) >= (4 if number is signal.SIGTERM else 3))
            children = descendants(process.pid)
            process.send_signal(number)
            assert client.reply().json["run_result"]["stdout"] == "done\n"
            ended = end(process, signal.SIGCONT)
        assert ended[0] == code, ended[1]
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))


def memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / MIB


def descriptor_count() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
