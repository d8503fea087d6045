"""What statements say of how they can be judged: dialogues, several answers, an order that is free."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from dc_tools.core.records import Line, Problem
from dc_tools.curate import filters, sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.formats import Format
from dc_tools.curate.reasons import Reason
from dc_tools.curate.statements.freedom import fixes_items_inside, freedom_of
from dc_tools.curate.statements.statement import tolerance_of, unusable

DATA = Path(__file__).parents[2].parent / "shared" / "data"
LEETCODE = DATA / "raw" / "leetcode_dataset_v0.3.1_test.jsonl.gz"
CODEFORCES = DATA / "raw" / "rllm_codeforces_test.json.gz"
HUMANEVAL = DATA / "eval" / "HumanEval.jsonl.gz"


@pytest.mark.parametrize(
    "statement",
    [
        "This is an interactive problem.",
        "Note that this problem is interactive.",
        "Guess p.\n\nInteraction\n\nStart by reading n.",
        "Guess p.\n\n## Interaction Protocol\n\nStart by reading n.",
        "The interactor is not adaptive.",
        "Do not forget to print the end of line and flush the output.",
        "You must flush\nstdout.",
        "Flush the output after each query.",
        "For that use fflush(stdout) in C++.",
    ],
)
def test_a_dialogue_with_the_judge_is_recognised(statement: str) -> None:
    refusal = unusable(statement)
    assert refusal is not None
    assert refusal.reason is Reason.INTERACTIVE


@pytest.mark.parametrize(
    "statement",
    [
        '"Flush": five cards of the same suit',
        "The interaction between two particles is their product.",
        "Flush the toilet after each use.",
        "Users of an interactive website are counted.",
    ],
)
def test_words_that_dialogues_use_are_no_dialogue_alone(statement: str) -> None:
    assert unusable(statement) is None


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("If there are multiple possible answers, output any;", "output any"),
        ("If there are several solutions, you may output any of them.", "output any"),
        ("If there are multiple answers, you can print any.", "print any"),
        ("any valid answer will be accepted", "any valid answer will be accepted"),
        ("Any method that requires n or less shifts will be accepted.",
         "Any method that requires n or less shifts will be accepted"),
        ("Any of them is fine.", "Any of them is fine"),
        ("Your task is to construct any permutation p of length n.", "construct any"),
        ("Find any such permutation.", "Find any"),
        ("Print one line containing any permutation.", "Print one line containing any"),
        ("Print n integers \u2014 any suitable matrix b, or -1.", "Print n integers \u2014 any suitable"),
        ("Output an arbitrary solution.", "Output an arbitrary "),
        ("If there are several answers, print one of them.", "print one of them"),
        ("If there are several correct answers, you may choose any of them.",
         "answers, you may choose any"),
        ("There are multiple possible answers for that test.", "There are multiple possible answers"),
        ("The answer is not always unique.", "The answer is not always unique"),
        ("Explanation: [2, 1] would also be accepted.", "also be accepted"),
        ("Note that there are other possible answers.", "other possible answers"),
        ("Any other positive number will also be recognized as 1.", "also be recognized"),
    ],
)  # fmt: skip
def test_statements_allow_several_answers_in_many_words(statement: str, words: str) -> None:
    freedom = freedom_of(statement)
    assert freedom is not None
    assert (freedom.words, freedom.order_only) == (words.strip(), False)


@pytest.mark.parametrize(
    "statement",
    [
        "If there are multiple answers, return the lexicographically smallest one.",
        "Any answer with an error less than 10^-5 will be accepted.",
        'You can print each letter in any case: "yEs" will also be recognized as a positive answer.',
        "If several minima are there, Yelisey can choose any of them.",
        "Find any two adjacent numbers that are not coprime, and replace them.",
        "He cannot find any shelter. Do not print any extra spaces.",
        "Choose any index i and increase a_i. Print any number of spaces.",
        "In one second she can choose arbitrary position in any word.",
        "Determine whether any subarray is valid.",
        "There are no other valid answers.",
        "A permutation holds the integers from 1 to n in arbitrary order.",
        "Return the minimum distance of any valid pair.",
    ],
)
def test_words_like_any_are_not_several_answers_alone(statement: str) -> None:
    assert freedom_of(statement) is None


@pytest.mark.parametrize(
    ("statement", "order_only"),
    [
        ("You may return the answer in any order.", True),
        ("Return the two numbers (in any order).", True),
        ("The order that the days are returned in does not matter.", True),
        ("You can return the answer in any order.\nExplanation: [9, 4] is also accepted.", True),
        ("Return it in any arbitrary order. Any permutation of [1, 2] is accepted.", True),
        ("If there are several, return any of them, in any order.", False),
    ],
)
def test_an_order_that_is_free_is_told_from_another_answer(statement: str, order_only: bool) -> None:
    freedom = freedom_of(statement)
    assert freedom is not None
    assert freedom.order_only is order_only


def test_the_parts_of_a_list_s_items_have_an_order_or_none() -> None:
    assert fixes_items_inside("Return the k closest points [x, y] in any order.")
    assert fixes_items_inside("answer[i] = [name, id]. It can be returned in any order.")
    assert not fixes_items_inside("You may return the combinations in any order.")
    assert not fixes_items_inside("Return all edges of shortest paths in any order.")


def _problems(file: Path, holding: bytes = b"") -> list[Problem]:
    """The problems of the rows that hold the word."""
    if not file.exists():
        pytest.skip(f"{file.name} is not here")
    text = gzip.decompress(file.read_bytes())
    rows = text.splitlines() if ".jsonl" in file.name else [json.dumps(row).encode() for row in json.loads(text)]
    drafts = [sources.draft(Line(row), Format.AUTO) for row in rows if holding in row]
    return [draft.problem for draft in drafts if isinstance(draft, Draft)]


def test_leetcode_s_lists_in_any_order_are_judged_without_order() -> None:
    problems = _problems(LEETCODE, b"in any order")
    assert {one.id.split("/")[1]: filters.checker_for_order(one) is not one.checker for one in problems} == {
        "find-indices-of-stable-mountains": True,
        "the-two-sneaky-numbers-of-digitville": True,
        "remove-methods-from-project": True,
        "frequencies-of-shortest-supersequences": True,
        "rearrange-k-substrings-to-form-target-string": False,
        "minimum-cost-to-make-arrays-identical": False,
    }


def test_codeforces_statements_with_several_answers_are_found() -> None:
    found = Counter(filters.one_answer(one) is not None for one in _problems(CODEFORCES))
    assert found == {True: 43, False: 333}


def test_humaneval_has_one_answer_to_each_problem_and_no_dialogue() -> None:
    problems = _problems(HUMANEVAL)
    assert len(problems) == 163
    assert [one.id for one in problems if filters.one_answer(one) or filters.self_contained(one)] == []


def test_the_error_that_a_statement_allows_is_its_tolerance() -> None:
    assert tolerance_of("Answers within 10-5 of the actual answer will be accepted.") == 1e-5
    assert tolerance_of("Answers within 10^{-4} of the correct value are accepted.") == 1e-4
    assert tolerance_of("with absolute or relative error at most 1e-9") == 1e-9
    assert tolerance_of("a small relative error is allowed") == 1e-6
    assert tolerance_of("within 10-5 steps") is None


def test_a_dialogue_with_a_picture_is_a_dialogue() -> None:
    refusal = unusable("This is an interactive problem. ![a ruler](x.png)")
    assert refusal is not None
    assert refusal.reason is Reason.INTERACTIVE
