"""Broken, hostile and monstrous rows, given to dc-curate as it is typed: each its reason, and the run goes on."""

import gzip
import json
import os
import pickle
import sys
import zlib
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from processes import BIN, Ended, run
from small_rows import CALLS, NUMBERS, ROWS, SAMPLES

CURATE = BIN / "dc-curate"
MARK = Path("/tmp/dc-curate-was-made-to-run-this")
ATTACK = f"__import__('pathlib').Path({str(MARK)!r}).touch()"
DEEP = 100_000
MIB = 1 << 20
KEPT = "kept"
MANY = [f"{n}\n" for n in range(100_000)]


class Evil:
    def __reduce__(self) -> Any:
        return os.system, (f"touch {MARK}",)


def row(name: str, **change: Any) -> bytes:
    """A good row with some fields changed."""
    return json.dumps({**ROWS[name], **change}).encode()


def private(packed: bytes) -> bytes:
    """A LiveCodeBench row with these private tests."""
    return row("livecodebench", private_test_cases=b64encode(packed).decode())


def bomb(size: int) -> bytes:
    """That many zeros in a thousandth of it."""
    packer = zlib.compressobj(1)
    return b"".join([*(packer.compress(bytes(MIB)) for _ in range(size // MIB)), packer.flush()])


def taco(inputs: list[Any], outputs: list[Any], **others: Any) -> bytes:
    return row("taco", input_output=json.dumps({"inputs": inputs, "outputs": outputs, **others}))


@dataclass(frozen=True)
class Case:
    """A line, what becomes of it (`kept`, `rejected` or a reason), and a part of the message."""

    raw: bytes
    fate: str
    said: str = ""


def rejected(raw: bytes, said: str) -> Case:
    return Case(raw, "rejected", said)


def unsafe(raw: bytes, said: str) -> Case:
    return Case(raw, "unsafe_payload", said)


def broken(raw: bytes, said: str) -> Case:
    return Case(raw, "parse_error", said)


NAN_CALLS = {**CALLS, "inputs": [[float("nan")], *CALLS["inputs"]], "outputs": [float("nan"), *CALLS["outputs"]]}
CASES = {
    "malicious pickle": unsafe(private(zlib.compress(pickle.dumps(Evil()))), "a pickle that does more"),
    "zip bomb": unsafe(private(bomb(260 * MIB)), "bytes of zlib unpack to more than 268435456"),
    "cut zlib": broken(private(zlib.compress(b"x" * 99)[:-5]), "zlib data that ends early"),
    "code in a literal": unsafe(row("taco", input_output=f"{{'inputs': {ATTACK}}}"), "code where data belongs"),
    "code in a list": unsafe(row("taco", solutions=f"[{ATTACK}]"), "solutions: code where data belongs"),
    "code as a literal": unsafe(row("synthetic1", verification_info=ATTACK), "code where data belongs"),
    "a list": rejected(b"[1, 2]", "a JSON array where one object a line is read"),
    "a number": rejected(b"7", "Expected `object`, got `int`"),
    "a string": rejected(b'"x"', "Expected `object`, got `str`"),
    "null": rejected(b"null", "Expected `object`, got `null`"),
    "half a row": rejected(row("taco")[:-9], "truncated"),
    "two rows": rejected(row("taco") + row("apps"), "trailing characters"),
    "no object's keys": rejected(b"{}", "the row is an empty object"),
    "NaN in JSON": rejected(b'{"id": "x", "tests": [], "meta": {"n": NaN}}', "malformed"),
    "NaN for a program": Case(taco([float("nan"), 1], [1, float("inf")]), "few_tests", "2 distinct tests"),
    "NaN for a function": Case(row("taco call", id=1, input_output=json.dumps(NAN_CALLS)), KEPT),
    "not UTF-8": rejected(b'{"id": "\xff", "tests": []}', "not UTF-8: byte 8"),
    "not UTF-8 out of sight": rejected(b'{"id": "x", "tests": [], "theirs": "\xff"}', "not UTF-8: byte 36"),
    "deep JSON": rejected(b'{"tests": %s%s}' % (b"[" * DEEP, b"]" * DEEP), "nested too deeply"),
    "deep JSON out of sight": rejected(b'{"tests": [], "theirs": %s%s}' % (b"[" * DEEP, b"]" * DEEP), "too deeply"),
    "deep JSON in text": unsafe(row("taco", input_output='{"inputs": ' + "[" * DEEP), "nested too deeply"),
    "deep literal": unsafe(row("taco", input_output="{'inputs': " + "(" * DEEP), "nested too deeply"),
    "deep code": broken(row("mbpp", code=f"def double(x):\n    return {'-' * DEEP}x"), "nested too deeply"),
    "a key twice": Case(row("plain").replace(b'"id": "p1"', b'"id": "none", "id": "twice"'), KEPT),
    "all null": rejected(json.dumps(dict.fromkeys(ROWS["taco"])).encode(), "got `null` - at `$.question`"),
    "all of a wrong type": rejected(json.dumps({k: [{}] for k in ROWS["taco"]}).encode(), "at `$.question`"),
    "a surrogate": rejected(b'{"id": "\\ud800", "tests": []}', "unexpected end of hex escape"),
    "surrogates in tests": Case(taco(["\ud800"] * 6, ["1"] * 6), "few_tests", "a string with a lone surrogate (6)"),
    "a surrogate in a tag": broken(row("taco", tags="['\\ud800']"), "a value that a record cannot hold"),
    "a surrogate in a program": broken(row("taco", solutions="['\\ud800']"), "a value that a record cannot hold"),
    "a number without end": broken(row("taco", input_output=f"{{'inputs': [0x{'f' * 5000}]}}"), "thousands of digits"),
    "a NUL in a program": broken(row("plain", id="nul", solutions=["print(1)\0"]), "null bytes"),
    "a NUL in a test": Case(
        row("plain", id="nul test", tests=[{"input": "1\0", "output": "2"}, *SAMPLES]), "solution_fails", "RE on test 1"
    ),
    "Python 2": broken(row("plain", id="2", solutions=["print 2 * input()\n"]), "Missing parentheses in call to"),
    "a program of 5 MB": broken(row("mbpp", code="x = 1\n" * 870_000), "5220000 characters, more than 1048576"),
    "100,000 tests": Case(row("rstar", inputs=MANY, outputs=MANY, is_synthesized=None), "no_solution"),
    "no statement": rejected(
        json.dumps({k: v for k, v in ROWS["taco"].items() if k != "question"}).encode(), "no known format"
    ),
    "a good row at the end": Case(row("plain call"), KEPT),
}


@dataclass(frozen=True)
class Curated:
    """What one run made of all lines: by the line's number, its fate, and the message."""

    fates: dict[int, tuple[str, str]]
    ended: Ended


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Curated:
    """One run over a file of all the cases."""
    MARK.unlink(missing_ok=True)
    folder = tmp_path_factory.mktemp("bad")
    (folder / "in.jsonl").write_bytes(b"\n".join(case.raw for case in CASES.values()) + b"\n")
    flags = ["-o", "out", "--dropped", "dropped", "--rejects", "rejects", "--max-rejects", "2", "--workers", "2"]
    ended = run([CURATE, "in.jsonl", *flags], cwd=folder)
    kept = json_lines(folder / "out")
    dropped = [(each["curation"]["reason"], each["curation"]["detail"]) for each in json_lines(folder / "dropped")]
    rejects = {each["line"]: ("rejected", each["error"]) for each in json_lines(folder / "rejects")}
    fates = dict(rejects)
    passed, others = iter(kept), iter(dropped)
    for number, case in enumerate(CASES.values(), 1):
        if number not in rejects:
            fates[number] = (KEPT, next(passed)["id"]) if case.fate == KEPT else next(others)
    assert not [*passed, *others]
    return Curated(fates, ended)


def json_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


@pytest.mark.parametrize("name", CASES)
def test_a_bad_row_has_its_reason_and_the_run_goes_on(name: str, curated: Curated) -> None:
    fate, said = curated.fates[[*CASES].index(name) + 1]
    assert (fate, CASES[name].said in said) == (CASES[name].fate, True), said


def test_more_rejects_than_allowed_are_told_by_the_exit_code_and_nothing_was_run(curated: Curated) -> None:
    assert curated.ended.code == 1
    assert "Traceback" not in curated.ended.err
    fates = [case.fate for case in CASES.values()]
    counts = f"in {len(CASES)}, out 3, dropped {len(CASES) - 3 - fates.count('rejected')}, "
    assert f"{counts}rejected {fates.count('rejected')}" in curated.ended.err
    assert not MARK.exists()


def test_empty_files_byte_order_marks_and_carriage_returns_are_no_rows_and_no_part_of_one(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"")
    text = b"\xef\xbb\xbf" + row("plain") + b"\r\n\r\n[1]\r\n" + row("taco") + b"\r\n"
    (tmp_path / "in.jsonl").write_bytes(text)
    ended = run([CURATE, "empty.jsonl", "in.jsonl", "--max-rejects", "1", "--no-verify"], cwd=tmp_path)
    assert (ended.code, [json.loads(line)["id"][:4] for line in ended.lines]) == (0, ["p1", "taco"])
    assert b"\r" not in ended.out
    assert "dc-curate: in.jsonl:3: a JSON array where one object" in ended.err
    assert "in 3, out 2, dropped 0, rejected 1" in ended.err


def test_a_gz_file_that_breaks_off_is_told_and_whole_again_it_is_another_input(tmp_path: Path) -> None:
    rows = [row("plain", id=f"p{i}", theirs=os.urandom(60).hex()) for i in range(80)]
    whole = gzip.compress(b"\n".join(rows))
    (tmp_path / "in.gz").write_bytes(whole[: len(whole) * 3 // 4])
    argv = [CURATE, "in.gz", "-o", "out", "--no-verify", "-q"]
    ended = run(argv, cwd=tmp_path)
    assert (ended.code, (tmp_path / "out").exists()) == (3, False)
    assert ended.err.startswith("dc-curate: in.gz: broken gzip data: Compressed file ended before")
    made = [json.loads(line)["id"] for line in (tmp_path / "out.partial").read_bytes().splitlines()]
    unpacked = zlib.decompressobj(wbits=31).decompress(whole[: len(whole) * 3 // 4])
    assert made == [f"p{i}" for i in range(unpacked.count(b"\n"))]
    assert len(run([CURATE, "in.gz", "--no-verify", "-q"], cwd=tmp_path).lines) == len(made)
    (tmp_path / "in.gz").write_bytes(whole)
    again = run([*argv, "--resume"], cwd=tmp_path)
    assert (again.code, "the inputs have changed; --force starts over" in again.err) == (3, True)


PEAK = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)
"""Runs a command and prints its peak, KiB. A small process must start it: what is started inherits the peak."""


def test_a_row_of_fifty_megabytes_takes_memory_of_some_times_its_size(tmp_path: Path) -> None:
    size = 50 * MIB
    large = json.dumps({**ROWS["plain"], "tests": [*SAMPLES, {"input": "1\n" + "9" * size, "output": "2\n"}]})
    (tmp_path / "in.jsonl").write_text(f"{large}\n{row('plain call').decode()}\n")
    ended = run([sys.executable, "-c", PEAK, CURATE, "in.jsonl", "-o", "out", "--workers", "1"], cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert int(ended.out) << 10 < 5 * size + 100 * MIB
    first, second = (tmp_path / "out").read_bytes().splitlines()
    assert json.loads(first)["curation"]["reference"]["passed"] == len(NUMBERS) + 1
    assert json.loads(second)["id"] == "p2"
