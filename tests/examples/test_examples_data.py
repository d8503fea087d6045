"""The easy problems: whole, verified, told apart, and never seen in training where they are held out."""

import contextlib
import io
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import CodeType

import msgspec
import pytest

from dc_tools.core.records import Problem, Status
from dc_tools.sandbox.judge import JudgePool

DATA = Path(__file__).parents[2] / "examples" / "data"
GRIDS = {
    "int": [f"{n}\n" for n in range(130)],
    "pair": [f"{a} {b}\n" for a in range(-20, 61, 9) for b in range(-20, 61, 7)],
    "list": [" ".join(map(str, range(a, b, 3))) + "\n" for a in range(-9, 30, 4) for b in range(30, 60, 7)],
    "word": ["apple\n", "reassess\n", "banana\n", "oasis\n", "noon\n", "quartz\n", "io\n"],
}


def load(name: str) -> list[Problem]:
    decoder = msgspec.json.Decoder(Problem)
    return [decoder.decode(line) for line in (DATA / f"{name}.jsonl").read_bytes().splitlines()]


TRAIN, HELDOUT = load("train"), load("heldout")
PROGRAMS = {p.id: compile(p.solutions[0].code, p.id, "exec") for p in TRAIN + HELDOUT}


def run(program: CodeType, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What our own, trusted program prints; it runs in this process."""
    printed = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    with contextlib.redirect_stdout(printed):
        exec(program, {"__name__": "__main__"})
    return printed.getvalue()


def passes(program: CodeType, problem: Problem, monkeypatch: pytest.MonkeyPatch) -> bool:
    return all(run(program, test.input, monkeypatch) == test.output for test in problem.tests)


def test_making_the_data_again_gives_the_same_bytes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, DATA / "make.py", tmp_path], check=True, timeout=60)
    for name in ("train.jsonl", "heldout.jsonl"):
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes()


def test_the_counts_are_those_of_the_family() -> None:
    kinds = Counter(p.tags[1] for p in TRAIN)
    assert (len(TRAIN), len(HELDOUT)) == (309, 92)
    assert 0.6 <= kinds["int"] / len(TRAIN) <= 0.7
    assert all(len(p.tests) == 6 and len({t.input for t in p.tests}) == 6 for p in TRAIN + HELDOUT)
    assert sum((DATA / f"{name}.jsonl").stat().st_size for name in ("train", "heldout")) < 400_000


def test_no_template_id_or_statement_is_in_both_files_or_twice() -> None:
    both = TRAIN + HELDOUT
    assert not {p.tags[0] for p in TRAIN} & {p.tags[0] for p in HELDOUT}
    assert len({p.tags[0] for p in both}) == 33
    assert len({p.id for p in both}) == len({p.statement for p in both}) == len(both)


def test_the_first_forty_problems_are_the_easiest() -> None:
    assert {p.tags[1] for p in TRAIN[:40]} == {"int"}
    assert {"add", "subtract", "multiply", "distance", "power"} <= {p.tags[0] for p in TRAIN[:40]}


def test_the_judge_accepts_every_solution() -> None:
    with JudgePool(2) as pool:
        verdicts = [(p.id, pool.submit(p, p.solutions[0].code)) for p in TRAIN + HELDOUT]
        assert [id for id, verdict in verdicts if verdict.result().status is not Status.AC] == []


def test_neither_a_constant_nor_the_input_itself_is_an_answer() -> None:
    for problem in TRAIN + HELDOUT:
        outputs = Counter(test.output for test in problem.tests)
        assert max(outputs.values()) <= 4, problem.id
        assert any(test.input != test.output for test in problem.tests), problem.id


def test_no_held_out_problem_behaves_like_a_training_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    behaviours: dict[tuple[str, ...], str] = {}
    for problem in TRAIN + HELDOUT:
        kind = problem.tags[1]
        outputs = tuple(run(PROGRAMS[problem.id], text, monkeypatch) for text in GRIDS[kind])
        assert (kind, *outputs) not in behaviours, (problem.id, behaviours[(kind, *outputs)])
        behaviours[(kind, *outputs)] = problem.id


def test_no_training_program_passes_a_held_out_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = ((p, t) for p in HELDOUT for t in TRAIN if p.tags[1] == t.tags[1])
    assert [(p.id, t.id) for p, t in pairs if passes(PROGRAMS[t.id], p, monkeypatch)] == []
