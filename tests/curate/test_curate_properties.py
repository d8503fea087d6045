"""What holds of dc-curate for any rows, with the real command and sandbox: none is lost, their order is no matter."""

import contextlib
import copy
import json
import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import BIN, end, run, started
from small_rows import ROWS, UNSOLVED

from dc_tools.core.errors import BadLine
from dc_tools.core.records import Line, Problem, encode
from dc_tools.curate import sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.formats import Format
from dc_tools.curate.reasons import Refusal

pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
CURATE = BIN / "dc-curate"
BAD = [b"[1]", b"{", b"7", b"null", b'{"id": "\xff"}', b"{}", b'{"problem": "q", "tests": 3}']
DROPPED = [
    {**ROWS["taco"], "input_output": "{'inputs': open('x')}"}, {**ROWS["apps"], "problem_id": 2, "solutions": ["("]},
    {**ROWS["mbpp"], "task_id": 12, "test_list": ["assert double(1) > 0"]},
    {**ROWS["plain"], "id": "p3", "solutions": ["print(0)"]}, {**ROWS["plain"], "id": "p4", "tests": []},
    {**ROWS["codecontests"], "name": "2_A", "description": "![](picture.png) Double x."},
]  # fmt: skip
GOOD = [json.dumps(row).encode() for row in [*ROWS.values(), *DROPPED]]
BAG = [raw.replace(b"Double x", b"Double x %d" % number) for number, raw in enumerate(GOOD)] + BAD
"""Rows of all formats, good and bad; each good one has a number in its statement."""
NUMBER = re.compile(rb"Double x (\d+)")
FILES = ("out", "dropped", "rejects")
ARGV = (CURATE, "in.jsonl", "-o", "out", "--dropped", "dropped", "--rejects", "rejects", "--max-rejects", "99")


def curated(folder: Path, raws: list[bytes], *flags: str) -> dict[str, list[bytes]]:
    """The lines of the three files that a run over these lines makes."""
    folder.mkdir()
    (folder / "in.jsonl").write_bytes(b"".join(raw + b"\n" for raw in raws))
    ended = run([*ARGV, *flags], cwd=folder)
    assert ended.code == 0, ended.err
    return {name: (folder / name).read_bytes().splitlines() for name in FILES}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    """What becomes of the bag, with one worker."""
    return curated(tmp_path_factory.mktemp("bag") / "one", BAG, "--workers", "1")


def numbers_of(lines: list[bytes]) -> list[int]:
    found = [set(NUMBER.findall(line)) for line in lines]
    assert all(len(each) == 1 for each in found)
    return [int(each.pop()) for each in found]


def test_every_row_is_kept_dropped_or_rejected_exactly_once(made: dict[str, list[bytes]]) -> None:
    kept, dropped = numbers_of(made["out"]), numbers_of(made["dropped"])
    assert sorted(kept + dropped) == list(range(len(GOOD)))
    assert (sorted(kept), sorted(dropped)) == (kept, dropped)
    assert kept == [number for number, name in enumerate(ROWS) if name not in UNSOLVED]
    rejects = [json.loads(line) for line in made["rejects"]]
    assert [each["line"] for each in rejects] == list(range(len(GOOD) + 1, len(BAG) + 1))
    assert [each["raw"] for each in rejects] == [raw.decode("utf-8", "replace") for raw in BAD]


def test_the_number_of_workers_does_not_matter(made: dict[str, list[bytes]], tmp_path: Path) -> None:
    assert curated(tmp_path / "three", BAG, "--workers", "3") == made


def test_the_order_of_rows_matters_to_no_record(made: dict[str, list[bytes]], tmp_path: Path) -> None:
    again = curated(tmp_path / "shuffled", random.Random(7).sample(BAG, len(BAG)), "--workers", "2")
    assert again["out"] != made["out"]
    for name in ("out", "dropped"):
        assert sorted(again[name]) == sorted(made[name])
    assert placeless(again["rejects"]) == placeless(made["rejects"])


def placeless(rejects: list[bytes]) -> Counter[tuple[str, str]]:
    entries = [json.loads(line) for line in rejects]
    return Counter((each["error"], each["raw"]) for each in entries)


def test_curating_what_was_curated_changes_nothing(made: dict[str, list[bytes]], tmp_path: Path) -> None:
    again = curated(tmp_path / "twice", made["out"], "--workers", "2")
    assert again == {"out": made["out"], "dropped": [], "rejects": []}


def test_killed_at_random_moments_and_resumed_it_makes_the_same_bytes(tmp_path: Path) -> None:
    rows = [{**ROWS[name], "id": f"{name} {i}"} for i in range(6) for name in ("plain", "plain call")]
    bag = [json.dumps({**row, "theirs": "x" * 40_000}).encode() for row in rows] + BAG
    for name in ("once", "often"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "in.jsonl").write_bytes(b"\n".join(bag))
    argv = [*ARGV, "--shard-records", "4", "--workers", "2", "--resume"]
    argv[argv.index("out")] = "out/"
    began = time.monotonic()
    assert run(argv, cwd=tmp_path / "once").code == 0
    whole_s = time.monotonic() - began
    chance, kills = random.Random(3), 0
    for _ in range(2):
        with started(argv, cwd=tmp_path / "often") as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=chance.uniform(0.4, 0.9) * whole_s)
            kills += end(process, signal.SIGKILL)[0] == -signal.SIGKILL
    assert kills >= 1
    assert run(argv, cwd=tmp_path / "often").code == 0
    assert files_of(tmp_path / "often") == files_of(tmp_path / "once")
    assert len(files_of(tmp_path / "once")) == 4 + -(-(len(rows) + len(ROWS) - len(UNSOLVED)) // 4)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file's content; of the manifest, the counts."""
    found = {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}
    counts = json.loads(found["out/manifest.json"])["counts"]
    return {**found, "out/manifest.json": json.dumps(counts).encode()}


NUMBERS = [0, -1, 1, 2**31, 2**64, 10**30, 10**400, 253402300800, 1e18, 1.5, 1e308, 5e-324, float("nan"), float("inf")]
MANY = "9" * 400
LONG = f"0x{'f' * 5000}"
"""A number that Python reads and does not write."""
WORD = re.compile(r"'[^']*'|\"[^\"]*\"|\w+")
PIECES = [
    "", "\0", "\ud800", "\\ud800", "\ufeff", "\r\n", "\\", '"', "'", "[", "{", "(", ")", "]", "}", ":", ",", "```",
    "None", "NaN", "-Infinity", "1e999", MANY,
    "9" * 5000, f"0x{MANY}", LONG, "'\\ud800'", '"\\ud800"', "-" * 3000, "[" * 3000, "1_0",
    "__import__('os')", "open", "lambda: 0", "[x for x in y]", 'f"{1}"', "(1,)", "{1}", 'b"x"', "1j", "...",
    "\u00b2", "\u0663", "print 1\n", "    ", "\t", "if 1:\n", "async ", "class X: pass\n", "candidate", "approx", "*a",
    "**b", "assert f(1) == 1\n", "def check(candidate):\n", "assert round(candidate(1), -400) == 1\n",
    "assert abs(candidate(1) - 1) < 1e999\n", f"assert abs(candidate(1) - {MANY}) < 1\n", "Solution().x",
    "@pytest.mark.parametrize(1, [])\n", "import pytest\n", '{"seconds": 1e999}', f"{{'seconds': {MANY}}}", " seconds",
    "[]", "{}", '[{"input": 1}]', "{'inputs': 1}", "true",
]  # fmt: skip
OTHERS = [None, True, [], {}, [[]], [{}], {"": None}, [None], [1, "a"], {"input": 1}, {"seconds": 10**400}]
VALUES = [*NUMBERS, *PIECES, *OTHERS]


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Ways to everything inside."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*place, key)
        yield from places(value[key], (*place, key))


@st.composite
def damaged_rows(draw: st.DrawFn) -> bytes:
    """A row of some format with up to three fields missing, of other types, or with other words in its texts."""
    row: Any = copy.deepcopy(ROWS[draw(st.sampled_from(sorted(ROWS)))])
    for _ in range(draw(st.integers(1, 3))):
        *way, key = draw(st.sampled_from([*places(row)] or [("id",)]))
        holder = row
        for each in way:
            holder = holder[each]
        match draw(st.sampled_from(["drop", "replace", "splice", "word", "word"])):
            case "drop" if key in holder or isinstance(holder, list):
                del holder[key]
            case "splice" if isinstance(holder[key], str):
                at, length = draw(st.integers(0, len(holder[key]))), draw(st.sampled_from([0, 0, 1, 5, 1000]))
                holder[key] = holder[key][:at] + draw(st.sampled_from(PIECES)) + holder[key][at + length :]
            case "word" if isinstance(holder[key], str) and WORD.search(holder[key]):
                word = draw(st.sampled_from([*WORD.finditer(holder[key])]))
                piece = draw(st.sampled_from(PIECES))
                holder[key] = holder[key][: word.start()] + piece + holder[key][word.end() :]
            case _:
                holder[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    return json.dumps(row).encode()


def change(name: str, **fields: Any) -> bytes:
    return json.dumps({**ROWS[name], **fields}).encode()


def with_assert(text: str) -> bytes:
    return change("mbpp", test_list=[text])


ONCE_RAISED = [
    change("taco", tags="['\\ud800']"), change("taco call", input_output="{'fn_name': '\\ud800', 'inputs': []}"),
    change("taco", skill_types="['\\ud800']"), change("synthetic1", metadata="{'difficulty': '\\ud800'}"),
    change("synthetic1", verification_info="{'test_cases': [], 'language': '\\ud800'}"),
    change("deepcoder call", tests='[{"\\ud800": 1}]'), change("deepcoder call", metadata='{"\\ud800": 1}'),
    change("deepcoder", tests='[{"input": "1", "output": "1", "type": "\\ud800"}]'),
    change("codecontests", cf_rating=2**70),
    change("codeforces", contest_start=10**18), change("codeforces", contest_start=-(10**18)),
    change("taco", picture_num="9" * 5000), change("taco", picture_num=1e300),
    change("codecontests", memory_limit_bytes=10**400), change("codecontests", time_limit={"seconds": 10**400}),
    change("taco", input_output=f"{{'inputs': [{LONG}], 'outputs': [1]}}"),
    change("taco call", input_output=f"{{'fn_name': 'double', 'inputs': [[{LONG}]], 'outputs': [1]}}"),
    change("taco call", input_output=f"{{'fn_name': 'double', 'inputs': [{LONG}], 'outputs': [1]}}"),
    change("mbpp", code=f"def double(x={LONG}):\n    return x"), change("kodcode", test=f"x = {LONG}"),
    change("leetcode", completion=ROWS["leetcode"]["completion"].replace("-> int", f"-> {LONG}")),
    change("kodcode", test="@mark.parametrize(1, [])\ndef test_it(x):\n    assert double(x) == 2"),
    change("kodcode", test="@mark.parametrize('x', [*a])\ndef test_it(x):\n    assert double(x) == 2"),
    with_assert(f"assert double({LONG}) == 1"), with_assert(f"assert double(1) > {LONG}"),
    with_assert("assert round(double(1), -400) == 1"), with_assert("assert abs(double(1) - 1) < 1e999"),
    with_assert(f"assert abs(double(1) - 1) < {MANY}"), with_assert(f"assert abs(double(1) - {MANY}) < 0.1"),
    with_assert(f"assert abs(double(1) - 0.5) < 0.1 and abs(double(2) - [{MANY}]) < 0.1"),
]  # fmt: skip


@pytest.mark.parametrize("raw", ONCE_RAISED, ids=range(len(ONCE_RAISED)))
def test_what_once_ended_a_run(raw: bytes) -> None:
    assert_read(raw)


@settings(max_examples=500, derandomize=True, database=None, deadline=None)
@given(damaged_rows())
def test_a_damaged_row_gives_a_draft_that_can_be_written_a_refusal_or_a_bad_line(raw: bytes) -> None:
    assert_read(raw)


def assert_read(raw: bytes) -> None:
    """The row gives a draft that a record can hold, a refusal that one can quote, or a bad line."""
    try:
        found = sources.draft(Line(raw, "train.jsonl"), Format.AUTO)
    except BadLine as error:
        assert error.error
        return
    if isinstance(found, Refusal):
        assert found.detail.encode()
    elif found.own is None:
        assert msgspec.json.decode(encode(found.problem), type=Problem).tests == found.problem.tests
    else:
        assert isinstance(found, Draft)
