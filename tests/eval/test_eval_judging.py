"""Verdicts for rollouts that lack one, by the real sandbox."""

import json
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from dc_tools.core.records import Line, Problem, Status, Verdict
from dc_tools.eval.judging import NO_CODE, Grader, Judging
from dc_tools.sandbox.judge import JudgePool

SQUARE = "print(int(input()) ** 2)"


@pytest.fixture(scope="module")
def pool() -> Iterator[JudgePool]:
    with JudgePool(1) as made:
        yield made


def line(id: str, *rollouts: object) -> tuple[Line, Problem]:
    made = Line(json.dumps({"id": id, "tests": [{"input": "3", "output": "9"}], "rollouts": rollouts}).encode())
    return made, made.decode(Problem)


def through(grader: Grader, *items: tuple[Line, Problem], in_flight: int = 4) -> list[dict[str, object]]:
    return [json.loads(line.to_bytes()) for line, _ in Judging(grader, in_flight).lines(iter(items))]


def test_what_lacks_a_verdict_is_judged_and_the_rest_stays(pool: JudgePool) -> None:
    kept = {"status": "WA", "passed": 0, "total": 7}
    [found] = through(pool, line(
        "a", {"text": f"So:\n```python\n{SQUARE}\n```"}, {"code": "print(8)", "mine": [1]}, {"text": "no"},
        {"code": SQUARE, "verdict": kept},
    ))
    rollouts = found["rollouts"]
    assert isinstance(rollouts, list)
    assert [r["verdict"]["status"] for r in rollouts] == ["AC", "WA", "CE", "WA"]
    assert rollouts[0]["code"] == SQUARE + "\n"
    assert rollouts[1]["mine"] == [1]
    assert rollouts[2]["verdict"]["message"] == NO_CODE
    assert rollouts[3]["verdict"] == kept


def test_a_line_with_all_its_verdicts_keeps_its_bytes(pool: JudgePool) -> None:
    raw = b'{"id":"a", "tests":[],  "rollouts":[{"verdict":{"status":"AC","passed":1,"total":1}}]}'
    judged = list(Judging(pool, 1).lines(iter([(Line(raw), Line(raw).decode(Problem))])))
    assert judged[0][0].to_bytes() == raw


def test_a_rollout_lost_by_the_engine_is_left_alone(pool: JudgePool) -> None:
    [found] = through(pool, line("a", {"finish": "error", "error": "HTTP 500"}))
    assert found["rollouts"] == [{"finish": "error", "error": "HTTP 500"}]


def test_lines_come_in_order_and_few_are_read_ahead() -> None:
    """A grader that settles nothing by itself: what has been submitted is what was read ahead."""

    class Slow:
        def __init__(self) -> None:
            self.futures: list[Future[Verdict]] = []

        def submit(self, problem: Problem, code: str, lang: str = "python") -> "Future[Verdict]":
            self.futures.append(Future())
            return self.futures[-1]

    slow = Slow()
    read = 0

    def items() -> Iterator[tuple[Line, Problem]]:
        nonlocal read
        for index in range(10):
            read += 1
            if read == 3:
                for future in slow.futures:
                    future.set_result(Verdict(Status.AC, 1, 1))
            yield line(str(index), {"code": "a"}, {"code": "b"}, {"code": "a"})

    lines = Judging(slow, in_flight=7).lines(items())
    assert next(lines)[1].id == "0"
    assert read == 3, "three lines of three rollouts reach seven"
    assert len(slow.futures) == 6, "the same code on one line is judged once"


def test_internal_errors_are_counted() -> None:
    class Broken:
        def submit(self, problem: Problem, code: str, lang: str = "python") -> "Future[Verdict]":
            lost: Future[Verdict] = Future()
            lost.set_result(Verdict(Status.IE, 0, 1))
            return lost

    judging = Judging(Broken(), 4)
    list(judging.lines(iter([line("a", {"code": "x"}, {"code": "x"}, {"code": "y"})])))
    assert judging.faults == 3
