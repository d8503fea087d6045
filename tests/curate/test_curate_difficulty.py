"""Difficulty by earlier rollouts: what is counted, where the bounds lie, and the command with it."""

import json
from pathlib import Path

import pytest
from processes import BIN, run

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.core.records import Line
from dc_tools.curate.difficulty import Difficulty, Tried, counted, read_difficulty

TESTS = [{"input": str(n), "output": str(n)} for n in range(5)]


def judged(name: str, *statuses: str) -> bytes:
    verdicts = [{"verdict": {"status": s, "passed": 0, "total": 1}} if s else {"text": "x"} for s in statuses]
    return json.dumps({"id": name, "tests": [], "rollouts": verdicts}).encode()


def test_rollouts_are_counted_over_all_lines_of_a_problem_and_what_was_our_fault_is_not():
    lines = [judged("a", "AC", "WA", "IE", ""), judged("b", "IE"), judged("a", "AC", "TLE")]
    assert counted(Line(raw) for raw in lines) == {"a": Tried(2, 4)}


@pytest.mark.parametrize(("accepted", "kept"), [(0, False), (1, True), (19, True), (20, False)])
def test_bounds_are_inclusive(accepted, kept):
    difficulty = Difficulty({"a": Tried(accepted, 20)}, 0.05, 0.95)
    assert (difficulty.refusal("a") is None) is kept
    assert difficulty.refusal("never tried") is None


@pytest.mark.parametrize("rates", ["0.5", "a:b", "0.9:0.1", "-1:1", "0:2", "0:1:1"])
def test_rates_that_are_none_are_a_usage_error(rates, tmp_path: Path):
    with pytest.raises(UsageError, match="--keep-rate"):
        read_difficulty(str(tmp_path), rates)


def test_a_file_that_holds_no_records_cannot_be_used(tmp_path: Path):
    file = tmp_path / "judged.jsonl"
    file.write_bytes(b'{"id": "a", "rollouts": 7}')
    with pytest.raises(CannotRun, match="rollouts"):
        read_difficulty(str(file), "0:1")


def test_the_command_drops_what_everybody_or_nobody_solves(tmp_path: Path):
    file = tmp_path / "judged.jsonl"
    file.write_bytes(b"\n".join([judged("easy", *["AC"] * 8), judged("hard", *["WA"] * 8), judged("apt", "AC", "WA")]))
    rows = [{"id": name, "tests": TESTS, "solutions": ["print(input())"]} for name in ("easy", "hard", "apt", "new")]
    data = b"\n".join(json.dumps(row).encode() for row in rows)
    dropped = tmp_path / "dropped.jsonl"
    done = run([BIN / "dc-curate", "--difficulty-from", file, "--dropped", dropped], stdin=data)
    assert done.code == 0, done.err
    kept = {row["id"]: row["curation"] for row in map(json.loads, done.lines)}
    assert list(kept) == ["apt", "new"]
    assert (kept["apt"]["difficulty"], "difficulty" in kept["new"]) == ({"accepted": 1, "judged": 2}, False)
    gone = {row["id"]: row["curation"] for row in map(json.loads, dropped.read_bytes().splitlines())}
    assert {name: found["reason"] for name, found in gone.items()} == {"easy": "difficulty", "hard": "difficulty"}
    assert gone["easy"]["detail"] == "8 of 8 rollouts were accepted, 5% to 95% are asked for"
