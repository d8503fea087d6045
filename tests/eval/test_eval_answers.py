"""Answers that are whole numbers: read by hand-made rules, and as math-verify reads them."""

import json
import sys
from pathlib import Path

import pytest

from dc_tools.core.errors import CannotRun
from dc_tools.eval.answers import final_answer, majority, verified, whole_number

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "eval"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{025}", "025"), (r"First \boxed{100}. Then \boxed{ 204 }.", " 204 "),
        (r"<think>\boxed{5}</think> hmm \boxed{116}", "116"), (r"<think>\boxed{5} and then", None),
        (r"\boxed{5}</think> the answer is 7.", "7"), (r"\boxed{\frac{408}{2}}", r"\frac{408}{2}"),
        (r"\boxed {12", "12"), ("\\boxed{12\nand so on", "12"), (r"\fbox{104}", "104"),
        ("The answer is 31. No, the answer is: **204**.", "204"), ("Final answer: $204$", "204"),
        ("answer is 1,000.", "1,000"), ("204", None), ("", None), ("the answer is yes, of 12", None),
    ],
)
def test_the_last_box_counts_and_else_the_last_answer_that_is_said(text: str, answer: str | None) -> None:
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("073", 73), ("0", 0), ("000", 0), ("0999", 999), (" $12$ ", 12), ("1000", None), ("-3", None), ("3.0", None),
        ("m+n=116", None), (r"204 \text{ minutes}", None), ("", None), (None, None), ("٣", None),
    ],
)
def test_nothing_but_a_whole_number_up_to_999_is_an_answer(answer: str | None, number: int | None) -> None:
    assert whole_number(answer) == number


def is_right(text: str, gold: str) -> bool:
    return whole_number(final_answer(text)) == int(gold)


def test_leading_zeros_change_nothing() -> None:
    assert is_right(r"\boxed{73}", "073") and is_right(r"\boxed{073}", "73") and not is_right(r"\boxed{7}", "73")


def test_the_majority_is_of_numbers_and_the_first_seen_wins_a_tie() -> None:
    assert majority(["7", "007", "12", None, "x", "x", "x"]) == 7
    assert majority(["12", "7", "7", "12"]) == 12
    assert majority([None, "x"]) is None


@pytest.fixture
def cases() -> list[dict]:
    file = DATA / "aime_answer_cases.jsonl"
    if not file.exists():
        pytest.skip(f"{file} is not here")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_the_strict_rule_differs_from_math_verify_where_it_is_known_to(cases: list[dict]) -> None:
    differ = [case["pred"] for case in cases if is_right(case["pred"], case["gold"]) != case["correct"]]
    assert differ == [
        r"\boxed{\frac{408}{2}}", r"\boxed{204 \text{ minutes}}", r"First \boxed{100}. Then \boxed{204}.",
        r"\boxed{m+n=116}", r"\boxed{1,000}", r"\fbox{104}",
    ]


def test_the_second_opinion_is_math_verify(cases: list[dict]) -> None:
    pytest.importorskip("math_verify", reason="math-verify is not installed")
    assert [verified(case["pred"], case["gold"]) for case in cases] == [case["correct"] for case in cases]


def test_without_math_verify_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "math_verify", None)
    with pytest.raises(CannotRun, match=r"math-verify.*dc-tools\[math\]"):
        verified("1", "1")
