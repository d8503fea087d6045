"""Ids that come twice: the table of hashes against a dict, and the second row dropped, also by a resumed run."""

import json
import signal
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from processes import BIN, end, run, started, wait_until

from dc_tools.core.records import Line
from dc_tools.core.run import Dropped, Kept, Outcome, Rejected
from dc_tools.curate.examination import Settings
from dc_tools.curate.formats import Format
from dc_tools.curate.seen import FIRST_SIZE, Seen
from dc_tools.curate.stage import curate, remember

CODE = "def f(x):\n    return x + {}\n"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=3) | st.sampled_from(["", "\ud800", "a", "b", "\0"]), max_size=60))
def test_it_says_what_a_dict_says(names: list[str]) -> None:
    seen = Seen()
    known: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        assert seen.first(name, number) == known.get(name)
        known.setdefault(name, number)


def test_it_grows_and_forgets_nothing() -> None:
    count = 8 * FIRST_SIZE
    seen = Seen()
    assert [seen.first(f"name {i}", i) for i in range(count)] == [None] * count
    assert [seen.first(f"name {i}", 0) for i in range(count)] == list(range(count))


def test_a_number_is_kept_whole_and_the_first_one_stays() -> None:
    seen = Seen()
    assert seen.first("x", 2**60 + 1) is None
    assert [seen.first("x", 5), seen.first("x", 6)] == [2**60 + 1] * 2


def record(name: str, i: int = 0, **more: Any) -> dict[str, Any]:
    tests = [{"input": f"[{x}]", "output": str(x + i)} for x in range(5)]
    entry = {"fn_name": "f"}
    return {"id": name, "mode": "function", "entry": entry, "tests": tests, "solutions": [CODE.format(i)], **more}


ROWS: list[Any] = [
    record("a"), record("b", solutions=["def f(x): return 7"]), {"id": "bad", "tests": 3}, record("a", 1), record("c"),
    record("b"), record("a"), record("bad"),
]  # fmt: skip


def lines() -> list[Line]:
    return [Line(json.dumps(row).encode(), "rows", index + 1, index) for index, row in enumerate(ROWS)]


def told(outcomes: list[Outcome]) -> list[str]:
    """What became of each."""
    words = []
    for each in outcomes:
        if isinstance(each, Dropped):
            words.append(json.loads(each.line.to_bytes())["curation"]["detail"][:44])
        else:
            words.append("kept" if isinstance(each, Kept) else "rejected")
    assert sum(isinstance(each, Rejected) for each in outcomes) == words.count("rejected")
    return words


WHOLE = [
    "kept", "WA on test 1 of 5 (input [0]): value: expect", "rejected", "row 1 of the input has the id a, too", "kept",
    "row 2 of the input has the id b, too", "row 1 of the input has the id a, too", "kept",
]  # fmt: skip


def test_the_second_row_of_an_id_is_dropped_with_the_number_of_the_first() -> None:
    for workers in (1, 2):
        assert told(list(curate(lines(), Settings(), workers))) == WHOLE


def test_rows_of_an_earlier_run_are_remembered() -> None:
    for done in (1, 4):
        seen = Seen()
        for line in lines()[:done]:
            remember(line, Format.AUTO, seen)
        assert told(list(curate(lines()[done:], Settings(), 1, seen=seen))) == WHOLE[done:]


def test_a_resumed_run_drops_the_second_row_of_what_it_did_not_read_again(tmp_path: Path) -> None:
    slow = record("slow", solutions=["def f(x):\n    for _ in range(4_000_000): pass\n    return x\n"])
    rows = [record("a"), record("b", 1), slow, record("b", 2), record("c"), record("a", 3)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    argv = [BIN / "dc-curate", "in.jsonl", "-o", "out/", "--dropped", "dropped", "--workers", "1"]
    argv += ["--shard-records", "1", "--min-coverage", "0", "--resume"]
    with started(argv, cwd=tmp_path) as process:
        journal = tmp_path / "out" / ".journal"
        wait_until(lambda: journal.exists() and journal.read_bytes().count(b"\n") > 1)
        assert end(process, signal.SIGKILL)[0] == -signal.SIGKILL
    again = run(argv, cwd=tmp_path)
    assert again.code == 0, again.err
    assert "going on after" in again.err
    dropped = [json.loads(line) for line in (tmp_path / "dropped").read_bytes().splitlines()]
    assert [(each["id"], each["curation"]["detail"]) for each in dropped] == [
        ("b", "row 2 of the input has the id b, too"), ("a", "row 1 of the input has the id a, too"),
    ]  # fmt: skip
