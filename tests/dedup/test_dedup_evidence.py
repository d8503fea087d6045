"""Evidence: test results as facts about a problem, and the longest common text."""

from difflib import SequenceMatcher

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_tools.core.records import Checker, CheckerType, Mode, Test
from dc_tools.dedup.clusters import contradict
from dc_tools.dedup.evidence import Described, Likeness, explain, results_of, shared_tests
from dc_tools.dedup.spans import common_spans


def problem(*tests, mode=Mode.STDIN, checker=CheckerType.DEFAULT, statement=""):
    made = [Test(input=given_, output=wanted) for given_, wanted in tests]
    return Described("p", statement, made, mode, Checker(checker))


def test_equal_inputs_with_other_outputs_contradict():
    assert contradict(results_of(problem(("1\n", "2\n"), ("5", "6"))), results_of(problem(("1", "3"))))


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (problem(("1 \r\n2\n\n", "3  4\n")), problem(("1\n2", "3 4"))),
        (problem(("[[1, 2]]", "[1,2]"), mode=Mode.FUNCTION), problem(("[[1,2]]", "[1, 2]"), mode=Mode.FUNCTION)),
    ],
)
def test_spelling_of_inputs_and_outputs_does_not_matter(mine, theirs):
    assert results_of(mine) == results_of(theirs)
    assert shared_tests(mine, theirs) == 1


def test_inputs_of_different_modes_never_meet():
    mine, theirs = problem(("[1]", "1")), problem(("[1]", "2"), mode=Mode.FUNCTION)
    assert not contradict(results_of(mine), results_of(theirs))
    assert shared_tests(problem(("[1]", "1")), problem(("[1]", "1"), mode=Mode.FUNCTION)) == 0


def test_blanks_inside_an_input_line_matter():
    assert not contradict(results_of(problem(("a  b", "1"))), results_of(problem(("a b", "2"))))


def test_outputs_that_need_a_checker_prove_nothing():
    assert results_of(problem(("1", "0.5"), checker=CheckerType.FLOAT)) == {}


def test_a_record_that_contradicts_itself_loses_that_input():
    assert len(results_of(problem(("1", "2"), ("1", "3"), ("4", "5")))) == 1


def test_three_shared_tests_are_evidence_and_two_are_not():
    tests = [("1", "1"), ("2", "4"), ("3", "9"), ("4", "16")]
    likeness = Likeness("exact", 1.0, {})
    for count, expected in ((2, None), (3, 3), (4, 4)):
        found = explain("duplicate", problem(*tests), problem(*tests[:count], ("9", "81")), likeness, None)
        assert found.evidence.get("shared_tests") == expected


def span_of(statement, other):
    (found,) = common_spans([(statement, other)])
    return found


def test_span_is_the_longest_common_text_at_its_place():
    statement = "Hello!  Given an Array of $10^{4}$ numbers, print the sum. Bye"
    found = span_of(statement, "task: given an array of 10⁴ NUMBERS print  the sum, or not")
    assert found.text == "Given an Array of $10^{4}$ numbers, print the sum."
    assert statement[found.start : found.end] == found.text
    assert found.words == 10


def test_span_places_words_where_folding_moves_characters():
    statement = "ﬁrst … Straße größer als 10⁴ Meter — Ende"
    found = span_of(statement, "die strasse GRÖSSER als 10^4 meter")
    assert found.text == "Straße größer als 10⁴ Meter"
    assert statement[found.start : found.end] == found.text


def test_there_is_no_span_without_a_common_word():
    assert span_of("a b c", "d e f") is None
    assert span_of("", "d e f") is None


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from("abcd"), max_size=25), st.lists(st.sampled_from("abcd"), max_size=25))
def test_span_is_as_long_as_the_longest_common_run(mine, theirs):
    expected = SequenceMatcher(None, mine, theirs, autojunk=False).find_longest_match()
    found = span_of(" ".join(mine), " ".join(theirs))
    assert (found.words if found else 0) == expected.size
    if found:
        assert (found.start, found.text) == (2 * expected.a, " ".join(mine[expected.a : expected.a + expected.size]))


def test_spans_of_many_pairs_are_those_of_each():
    texts = ["one two three four", "Größe two three", "", "数组 two three four", "\u2460 x one two", "x one", "!!!"]
    pairs = [(a, b) for a in texts for b in texts]
    assert common_spans(pairs) == [span_of(*pair) for pair in pairs]
    assert common_spans([]) == []
