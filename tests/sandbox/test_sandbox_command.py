"""The command from outside: bad and enormous input, its flags, the same bytes again, the service as a process."""

import json
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest
from processes import BIN, Ended, end, run, started

COMMAND = BIN / "dc-sandbox"
MEASURED = re.compile(rb'"(time_s|memory_mb)":[0-9.e-]+')
PRODUCT = "a, b = map(int, input().split())\nprint(a * b)"


def sandbox(*flags: object, lines: list[object], **variables: str) -> Ended:
    data = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    return run([COMMAND, *map(str, flags)], stdin=data, **variables)


def record(name: str, *tests: tuple[str, str], code: str = PRODUCT, **more: object) -> dict[str, object]:
    made = [{"input": given, "output": wanted} for given, wanted in tests or [("2 3", "6")]]
    return {"id": name, "tests": made, "rollouts": [{"code": code}], **more}


def verdicts(done: Ended) -> list[dict[str, object]]:
    """The verdict on each rollout and solution; every line of stdout must be JSON."""
    rows = [json.loads(line) for line in done.lines]
    return [entry["verdict"] for row in rows for entry in [*row.get("solutions", []), *row.get("rollouts", [])]]


# -- bad input --------------------------------------------------------------------------------------------------------


def test_what_cannot_be_judged_is_rejected_with_its_place_or_gets_a_verdict_and_the_rest_goes_on():
    done = sandbox(lines=[
        record("a", limits={"time_s": 0}), record("b", limits={"memory_mb": -1}), record("c", limits={"time_s": 1e9}),
        record("d", limits={"memory_mb": 10**12}), record("e", checker={"type": "psychic"}),
        record("f", checker={"type": "custom"}), {"id": "g", "tests": [], "rollouts": [{"code": PRODUCT}]},
        {"id": "h", "tests": [{"input": "2 3", "output": "6"}], "solutions": [{"code": "x", "lang": "cobol"}]},
        b'{"id":"i","tests":[{"input":"2 3","output":"6"}],"rollouts":[{"code":"\xff"}]}', record("j"),
    ])
    assert done.code == 1
    for place in ("-:1: Expected `float` > 0.0 - at `$.limits.time_s`", "-:2:", "-:3:", "-:4:", "$.limits.memory_mb",
                  "-:5: Invalid enum value 'psychic' - at `$.checker.type`"):
        assert place in done.err
    found = verdicts(done)
    assert "7 lines rejected" in done.err or "rejected 7" in done.err
    assert [v["message"] for v in found] == [
        "the problem has no tests", "programs in 'cobol' cannot be run here; python and cpp can", "",
    ]
    assert [v["status"] for v in found] == ["IE", "IE", "AC"]


@pytest.mark.slow
def test_a_test_of_a_hundred_megabytes_is_judged():
    size = 100 << 20
    code = "import sys\nprint(sum(len(line) for line in sys.stdin.buffer))"
    line = record("huge", ("x" * 79 + "\n", "80"), code=code)
    raw = json.dumps(line).replace(json.dumps("x" * 79 + "\n"), json.dumps(("x" * 79 + "\n") * (size // 80)))
    wrong, right = sandbox(lines=[raw.encode()]), sandbox(lines=[raw.replace('"80"', f'"{size}"').encode()])
    assert (verdicts(wrong)[0]["status"], wrong.code) == ("WA", 0)
    assert (verdicts(right)[0]["status"], verdicts(right)[0]["message"]) == ("AC", "")


def test_an_expected_output_of_fifty_megabytes_is_compared():
    lines = 12 << 18
    line = record("long", ("", "@"), code=f"print('1234567890123456\\n' * {lines // 4 - 1})")
    raw = json.dumps(line).replace('"@"', json.dumps("1234567890123456\n" * lines))
    done = sandbox(lines=[raw.encode()])
    assert verdicts(done)[0]["status"] == "WA"


@pytest.mark.parametrize(("code", "status"), [
    ("import os\nos.write(1, bytes(range(256)) * 1000)", "WA"), ("import os\nos.write(1, b'\\xff\\xfe6')", "WA"),
    ("# " + "x" * (1 << 20) + "\n" + PRODUCT, "AC"), ("x = '" + "y" * (1 << 20) + "'\n" + PRODUCT, "AC"),
    ("\x00", "CE"), ("", "WA"),
])
def test_odd_programs_get_a_verdict_and_stdout_stays_json(code, status):
    done = sandbox(lines=[record("odd", code=code)])
    assert verdicts(done)[0]["status"] == status


# -- flags ------------------------------------------------------------------------------------------------------------


def test_two_runs_give_the_same_bytes_but_for_times_whatever_the_workers_and_the_path():
    lines = [record(str(n), *[(f"{n} {k}", str(n * k)) for k in range(4)],
                    code=PRODUCT if n % 3 else "print(6 / 0)") for n in range(12)]
    outputs = {
        MEASURED.sub(rb'"\1":0', sandbox("--workers", workers, *flags, lines=lines).out)
        for workers in (1, 3) for flags in ((), (), ("--isolate-tests",))
    }
    assert len(outputs) == 1


def test_flags_choose_tests_limits_and_comparison():
    many = record("many", ("1 1", "1"), ("2 2", "wrong"), ("11 11", "121"))
    assert verdicts(sandbox(lines=[many]))[0]["passed"] == 1
    full = verdicts(sandbox("--all-tests", lines=[many]))[0]
    assert (full["passed"], full["total"], len(full["tests"])) == (2, 3, 3)
    longest = verdicts(sandbox("--max-tests", 1, lines=[many]))[0]
    assert (longest["status"], longest["total"]) == ("AC", 1)
    first = verdicts(sandbox("--max-tests", 2, "--select", "first", lines=[many]))[0]
    assert (first["status"], first["total"]) == ("WA", 2)
    loop = record("loop", code="while True: pass", limits={"time_s": 60})
    assert verdicts(sandbox("--time", 0.2, lines=[loop]))[0]["message"] == "over 0.2 s of CPU"
    greedy = record("greedy", code="a = bytearray(300 << 20)\n" + PRODUCT)
    assert verdicts(sandbox("--memory", 128, lines=[greedy]))[0]["status"] == "MLE"
    assert verdicts(sandbox("--level", "namespaces", lines=[many]))[0]["isolation"] == "namespaces"


def test_only_what_has_no_verdict_is_judged_and_on_demand_what_was_our_fault():
    rollouts = [
        {"code": PRODUCT, "verdict": {"status": "IE", "passed": 0, "total": 1, "message": "out of reach"}},
        {"code": PRODUCT, "verdict": {"status": "WA", "passed": 0, "total": 1, "message": "by somebody else"}},
        {"text": "", "finish": "error", "error": "no engine"}, {"code": PRODUCT},
    ]
    line = {**record("mixed"), "rollouts": rollouts}
    once = sandbox(lines=[line])
    assert ([v["status"] for v in verdicts(once)], once.code) == (["IE", "WA", "IE", "AC"], 1)
    again = sandbox("--retry-errors", lines=once.lines)
    assert [v["status"] for v in verdicts(again)] == ["AC", "WA", "IE", "AC"]
    assert verdicts(again)[1]["message"] == "by somebody else"


@pytest.mark.parametrize(("flags", "told"), [
    (("--backend", "fog"), "--backend fog: local, docker, remote:https://HOST or together"),
    (("--backend", "local,local"), "--backend names each backend once"), (("--select", "best"), "--select best"),
    (("--level", "paper"), "--level paper"), (("--time", "0"), "--time"), (("--max-tests", "0"), "--max-tests"),
    (("--compare", "fuzzy"), "--compare fuzzy"),
])
def test_a_flag_that_makes_no_sense_is_a_usage_error(flags, told):
    done = sandbox(*flags, lines=[record("a")])
    assert (done.code, done.out) == (2, b"")
    assert told in done.err


@pytest.mark.parametrize(("flags", "told"), [
    (("--backend", "docker"), "docker does not answer"), (("--backend", "together"), "TOGETHER_API_KEY"),
    (("--package", "no_such_thing"), "no_such_thing"),
])
def test_a_backend_that_is_not_there_is_exit_code_3_and_one_line(flags, told, tmp_path: Path):
    done = sandbox(*flags, lines=[record("a")], DOCKER_HOST=f"unix://{tmp_path}/none.sock", TOGETHER_API_KEY="")
    assert (done.code, done.out) == (3, b"")
    assert told in done.err and "Traceback" not in done.err


def test_the_doctor_prints_one_record_and_tells_people():
    done = run([COMMAND, "--doctor"])
    assert done.code == 0
    (report,) = map(json.loads, done.lines)
    assert report["level"] in {"namespaces", "landlock", "seccomp"}
    assert f"programs are held by: {report['level']}" in done.err


# -- several judges, and the service ----------------------------------------------------------------------------------


def test_a_service_is_started_judges_for_another_command_and_ends_by_a_signal():
    argv = [COMMAND, "serve", "--port", "0", "--workers", "1"]
    with started(argv, stderr=subprocess.PIPE) as service:
        url = re.search(rb"http://[0-9.:]+", service.stderr.readline())[0].decode()
        with urllib.request.urlopen(f"{url}/v1/ping", timeout=30) as answer:
            assert b"pong" in answer.read()
        lines = [record("a"), record("b", code="print(7)"), record("c", ("", "@"), code="print(open(0).read())")]
        done = sandbox("--backend", f"local,remote:{url}", lines=lines, NO_PROXY="127.0.0.1")
        assert [v["status"] for v in verdicts(done)] == ["AC", "WA", "WA"]
        assert all("others" not in v for v in verdicts(done))
        code, err = end(service, signal.SIGTERM)
    assert code == 143, err
    assert "Traceback" not in err
