"""The service as its clients meet it: the PyPI client of SandboxFusion as it is, and raw sockets for the protocol."""

import asyncio
import base64
import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sandbox_fusion as fusion
from processes import wait_until
from sandbox_server import metrics, request, wire

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.sandbox.judge import JudgePool
from dc_tools.sandbox.server import Server

MIB = 1 << 20
ROOT = Path(__file__).parents[2]

@pytest.fixture(scope="module")
def pool() -> Iterator[JudgePool]:
    with JudgePool(2) as found:
        yield found


@pytest.fixture(scope="module")
def server(pool: JudgePool) -> Iterator[Server]:
    with Server(pool) as found:
        fusion.set_endpoint(found.url)
        yield found


def ran(code: str, **more: Any) -> fusion.RunCodeResponse:
    return fusion.run_code(fusion.RunCodeRequest(code=code, language="python", **more), max_attempts=1)


# The client as it is


def test_a_program_reads_stdin_and_its_output_comes_back(server: Server) -> None:
    response = ran("print(int(input()) ** 2)", stdin="12\n")
    assert (response.status, response.message) == (fusion.RunStatus.Success, "")
    assert response.compile_result is None and response.files == {}
    run = response.run_result
    assert (run.status, run.return_code, run.stdout, run.stderr) == ("Finished", 0, "144\n", "")
    assert 0 < run.execution_time < 5


def test_a_program_that_fails_is_failed_and_finished(server: Server) -> None:
    response = ran("import sys\nprint(1)\nsys.exit(3)")
    assert (response.status, response.run_result.status) == ("Failed", "Finished")
    assert (response.run_result.return_code, response.run_result.stdout) == (3, "1\n")
    assert "ZeroDivisionError" in ran("1 / 0").run_result.stderr


def test_a_syntax_error_is_a_failed_run_as_python_has_no_compiler(server: Server) -> None:
    response = ran("def f(:")
    assert (response.status, response.compile_result) == ("Failed", None)
    assert response.run_result.return_code == 1
    assert response.run_result.stderr.startswith("SyntaxError: ")
    assert response.message.startswith("CE: ")


def test_a_loop_ends_at_the_run_timeout(server: Server) -> None:
    response = ran("print(1, flush=True)\nwhile True: pass", run_timeout=0.3)
    assert (response.status, response.run_result.status) == ("Failed", "TimeLimitExceeded")
    assert response.run_result.return_code is None
    assert response.run_result.execution_time == pytest.approx(0.3, abs=0.25)


def test_the_client_sums_up_each_way_to_end(server: Server) -> None:
    mapping = fusion.SummaryMapping(Success="fine", Failed="failed", RunFailed="crashed", RunTimeout="late")
    programs = {"fine": "pass", "crashed": "1 / 0", "late": "while True: pass"}
    for expected, code in programs.items():
        assert fusion.summary_run_code_result(ran(code, run_timeout=0.3), mapping) == expected


def test_memory_over_the_limit_is_a_memory_error(server: Server) -> None:
    with wire(server.url) as client:
        response = client.run("x = bytearray(600 << 20)", memory_limit_MB=300).json
        assert response["status"] == "Failed"
        assert response["message"] == "MLE: over 300 MiB"
        assert response["run_result"]["return_code"] != 0
        assert "MemoryError" in response["run_result"]["stderr"]
        assert client.run("x = bytearray(600 << 20)", memory_limit_MB=-1).json["status"] == "Success"


def test_output_over_the_limit_fails(server: Server) -> None:
    response = ran("while True: print('x' * 10_000)")
    assert response.message == "OLE: over 16 MiB of output"
    assert (response.status, response.run_result.return_code) == ("Failed", 1)


def test_150_kb_of_output_survive(server: Server) -> None:
    assert ran("print('x' * 150_000)").run_result.stdout == "x" * 150_000 + "\n"


def test_run_concurrent_gives_answers_in_order(server: Server) -> None:
    requests = [fusion.RunCodeRequest(code=f"print({i} * 7)", language="python") for i in range(40)]
    found = fusion.run_concurrent(fusion.run_code, args=[[r] for r in requests], concurrency=20)
    assert [r.run_result.stdout for r in found] == [f"{i * 7}\n" for i in range(40)]


def test_the_asynchronous_client_is_answered_too(server: Server) -> None:
    async def ask(i: int) -> str:
        request = fusion.RunCodeRequest(code=f"print({i} + 1)", language="python")
        return (await fusion.run_code_async(request, max_attempts=1)).run_result.stdout

    async def ask_all() -> list[str]:
        return await asyncio.gather(*map(ask, range(20)))

    assert asyncio.run(ask_all()) == [f"{i + 1}\n" for i in range(20)]


@pytest.mark.parametrize("language", ["lua", "klingon"])
def test_a_language_that_is_not_offered_is_unprocessable(server: Server, language: str) -> None:
    with wire(server.url) as client:
        reply = client.run("print(1)", language=language)
    assert reply.status == 422
    assert reply.json["detail"][0]["loc"] == ["body", "language"]
    with pytest.raises(Exception, match="422"):
        fusion.run_code(fusion.RunCodeRequest(code="", language="lua"), max_attempts=1)


def test_cpp_is_compiled_and_run(server: Server) -> None:
    code = "#include <iostream>\nint main() { int a; std::cin >> a; std::cout << a * 2; return a == 7; }"
    good, bad, broken = [
        fusion.run_code(fusion.RunCodeRequest(code=text, language="cpp", stdin=stdin), max_attempts=1)
        for text, stdin in ((code, "4"), (code, "7"), ("int main() { return x; }", ""))
    ]
    assert (good.status, good.compile_result.return_code, good.run_result.stdout) == ("Success", 0, "8")
    assert (bad.status, bad.run_result.return_code) == ("Failed", 1)
    assert (broken.status, broken.run_result, broken.compile_result.return_code) == ("Failed", None, 1)
    assert "was not declared in this scope" in broken.compile_result.stderr


def test_files_go_in_and_come_out(server: Server) -> None:
    content = bytes(range(256))
    code = "data = open('in/a.bin', 'rb').read()\nopen('b.bin', 'wb').write(data[::-1])"
    files = {"in/a.bin": base64.b64encode(content).decode(), "none": None}
    response = ran(code, files=files, fetch_files=["b.bin", "never-made"])
    assert response.status == "Success", response
    assert {name: base64.b64decode(text) for name, text in response.files.items()} == {"b.bin": content[::-1]}


# Requests that are not what they should be


@pytest.mark.parametrize(
    ("body", "place", "words"),
    [
        (b'{"code": 1, "language": "python"}', ["code"], "Expected `str`"),
        (b'{"language": "python"}', [], "missing required field `code`"),
        (b'{"code": "", "language": "python", "files": {"a": 1}}', ["files"], "Expected `str | null`"),
        (b'{"code": "", "language": "python", "files": {"../a": ""}}', ["files"], "not a name inside"),
        (b'{"code": "", "language": "python", "fetch_files": ["/etc/passwd"]}', ["files"], "not a name inside"),
        (b'{"code": "", "language": "python", "files": {"a": "abc"}}', ["files", "a"], "not base64"),
        (b'{"code": "", "language": "python", "run_timeout": 0}', ["run_timeout"], "> 0"),
        (b'{"code": "", "language": "python", "run_timeout": 1e9}', ["run_timeout"], "<= 3600"),
        (b'{"code": "", "language": "python", "memory_limit_MB": 1e99}', ["memory_limit_MB"], "Expected `int`"),
        (b'{"code": ', [], "truncated"),
        (b"\xff", [], "malformed"),
        (b"[" * 100_000, [], ""),
        (b"", [], "truncated"),
    ],
)
def test_a_body_that_is_no_request_is_unprocessable_and_says_where(
    server: Server, body: bytes, place: list[str], words: str
) -> None:
    with wire(server.url) as client:
        reply = client.ask("POST", "/run_code", body)
        assert reply.status == 422
        (detail,) = reply.json["detail"]
        assert detail["loc"] == ["body", *place]
        assert words in detail["msg"]
        assert client.run("print(1)").json["run_result"]["stdout"] == "1\n"


def test_wrong_paths_methods_and_types_are_told_so(server: Server) -> None:
    with wire(server.url) as client:
        assert client.ask("GET", "/nowhere").status == 404
        reply = client.ask("GET", "/run_code")
        assert (reply.status, reply.headers["allow"]) == (405, "POST")
        assert client.ask("GET", "/v1/ping?x=1").json == "pong"
        assert client.ask("GET", "/").body == b'"pong"'
    with wire(server.url) as client:
        assert client.ask("POST", "/v1/ping", b"{}").status == 405
    with wire(server.url) as client:
        assert client.ask("POST", "/run_code", b"{}", Content_Type="text/plain").status == 415
    with wire(server.url) as client:
        client.send(request("HEAD", "/v1/ping"))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.socket.recv(1 << 16).endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"POST /run_code HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /run_code HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", 431),
        (request("POST", "/run_code", Content_Length="", Transfer_Encoding="chunked") + b"zz\r\n", 400),
    ],
)
def test_what_is_not_http_is_refused_and_the_connection_closed(server: Server, data: bytes, status: int) -> None:
    with wire(server.url) as client:
        client.send(data)
        reply = client.reply()
        assert (reply.status, reply.headers["connection"]) == (status, "close")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.ended()


# The protocol


def test_a_connection_serves_many_requests_and_pipelined_ones_in_order(server: Server) -> None:
    bodies = [json.dumps({"code": f"print({i})", "language": "python"}).encode() for i in range(20)]
    with wire(server.url) as client:
        for i in range(5):
            assert client.run(f"print({i})").json["run_result"]["stdout"] == f"{i}\n"
        client.send(b"".join(request("POST", "/run_code", body) for body in bodies))
        assert [client.reply().json["run_result"]["stdout"] for _ in bodies] == [f"{i}\n" for i in range(20)]


def test_chunked_bodies_and_bodies_sent_byte_by_byte_arrive_whole(server: Server) -> None:
    body = json.dumps({"code": "print('é' * 3)", "language": "python"}).encode()
    chunks = b"".join(b"1\r\n" + bytes([byte]) + b"\r\n" for byte in body) + b"0\r\n\r\n"
    with wire(server.url) as client:
        client.send(request("POST", "/run_code", Content_Length="", Transfer_Encoding="chunked") + chunks)
        assert client.reply().json["run_result"]["stdout"] == "ééé\n"
        for byte in request("POST", "/run_code", body):
            client.send(bytes([byte]))
        assert client.reply().json["run_result"]["stdout"] == "ééé\n"


def test_a_client_that_asks_first_is_told_to_go_on_or_refused(server: Server) -> None:
    body = json.dumps({"code": "print(5)", "language": "python"}).encode()
    asking = {"Expect": "100-continue"}
    with wire(server.url) as client:
        client.send(request("POST", "/run_code", Content_Length=str(len(body)), **asking))
        assert client.reply().status == 100
        client.send(body)
        assert client.reply().json["run_result"]["stdout"] == "5\n"
        client.send(request("POST", "/run_code", Content_Length=str(50 * MIB), **asking))
        assert client.reply().status == 413


def test_a_body_of_50_mb_is_refused_unread(server: Server) -> None:
    with wire(server.url) as client:
        client.send(request("POST", "/run_code", Content_Length=str(50 * MIB)))
        assert client.reply().status == 413
    with pytest.raises(Exception, match="413"):
        ran("x" * (50 * MIB))
    with wire(server.url) as client:
        client.send(request("POST", "/run_code", Content_Length="", Transfer_Encoding="chunked"))
        with contextlib.suppress(ConnectionError):
            for _ in range(50):
                client.send(b"100000\r\n" + b"x" * MIB + b"\r\n")
        assert client.reply().status == 413
    assert metrics(server.url)["dc_sandbox_bytes"] == 0


def test_a_body_of_30_mb_is_taken(server: Server) -> None:
    stdin = "x" * (30 * MIB)
    assert ran("import sys\nprint(len(sys.stdin.read()))", stdin=stdin).run_result.stdout == f"{30 * MIB}\n"
    wait_until(lambda: metrics(server.url)["dc_sandbox_bytes"] == 0, 20)


# Who may ask


def test_a_server_for_others_needs_a_token(pool: JudgePool) -> None:
    for host in ("0.0.0.0", "", "::", "192.0.2.1"):
        with pytest.raises(UsageError, match="needs a token"):
            Server(pool, host)
    with pytest.raises(UsageError, match="needs a token"):
        Server(pool, "0.0.0.0", token="")
    with Server(pool, "localhost") as server, wire(server.url) as client:
        assert client.run("print(1)").status == 200


def test_only_the_right_token_is_let_in(pool: JudgePool) -> None:
    with Server(pool, "0.0.0.0", token="sesame-1") as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        for wrong in ("", "Bearer", "Bearer sesame-2", "Bearer sesame-11", "Basic sesame-1", "Bearer s\xe9same"):
            with wire(url) as client:
                reply = client.ask("GET", "/metrics", Authorization=wrong)
                assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
                assert client.ask("GET", "/v1/ping").json == "pong"
        with wire(url) as client:
            assert client.ask("GET", "/metrics", Authorization="Bearer sesame-1").status == 200
        with wire(url) as client:
            client.send(request("POST", "/run_code", Content_Length=str(20 * MIB)))
            assert client.reply().status == 401


def test_a_port_that_is_taken_is_said(server: Server, pool: JudgePool) -> None:
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(CannotRun, match=f"port {port}: "), Server(pool, port=port):
        pass


# /submit


def test_a_record_comes_back_with_its_verdicts(server: Server) -> None:
    record = {
        "id": "a/1", "theirs": {"x": 1.50},
        "tests": [{"input": "2\n", "output": "4\n"}, {"input": "3\n", "output": "9\n"}],
        "solutions": [{"code": "print(int(input()) ** 2)"}, {"code": "print(4)"}],
        "rollouts": [{"text": "```python\nprint(int(input()) * int('2'))\n```"}, {"text": "no code"}],
    }
    with wire(server.url) as client:
        reply = client.ask("POST", "/submit", json.dumps(record, indent=1).encode())
        assert reply.status == 200
        back = reply.json
        again = client.ask("POST", "/submit", reply.body)
    assert [(s["verdict"]["status"], s["verdict"]["passed"]) for s in back["solutions"]] == [("AC", 2), ("WA", 1)]
    assert [r["verdict"]["status"] for r in back["rollouts"]] == ["WA", "CE"]
    assert (back["theirs"], back["tests"]) == (record["theirs"], record["tests"])
    assert again.json == back


def test_a_record_that_is_none_is_unprocessable_and_says_where(server: Server) -> None:
    with wire(server.url) as client:
        reply = client.ask("POST", "/submit", b'{"id": "a", "tests": [{"input": 1, "output": ""}]}')
        assert (reply.status, reply.json["detail"][0]["loc"]) == (422, ["body", "tests", "0", "input"])
    with wire(server.url) as client:
        assert client.ask("POST", "/submit", b"nothing").status == 422


def test_a_judge_that_cannot_work_is_no_fault_of_the_program() -> None:
    with JudgePool(1, levels=()) as broken, Server(broken) as server:
        fusion.set_endpoint(server.url)
        with wire(server.url) as client:
            response = client.run("print(1)").json
            assert (response["status"], response["run_result"]) == ("SandboxError", None)
            assert "cannot isolate" in response["message"]
            record = {"id": "a", "tests": [{"input": "", "output": ""}], "solutions": [{"code": "pass"}]}
            reply = client.ask("POST", "/submit", json.dumps(record).encode())
            assert (reply.status, "cannot isolate" in reply.json["detail"]) == (500, True)
        assert metrics(server.url)['dc_sandbox_verdicts_total{status="IE"}'] == 1
