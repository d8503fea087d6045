"""Folding, the cut to the body, and shingle sets, by hand and against plain Python."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dc_tools.dedup.settings import Unit
from dc_tools.dedup.text import batches, body_of, fold, shingle_sets, squeezed, words_of


@pytest.mark.parametrize(
    "text", ["10^{4}", "10⁴", "$10^4$", "\\(10^{4}\\)", "10<sup>4</sup>", "$10 ^ {4}$", "10 ^ 4", "1\uff10^4"]
)
def test_raised_digits_fold_to_one_spelling(text):
    assert fold(text) == "10^4"


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("$1 \\leq N \\le 10^{5}$", "1 <= n <= 10^5"),
        ("1 ≤ N ≤ 10⁵", "1 <= n <= 10^5"),
        ("\\texttt{abc} and $\\mathbf{x}_{i}$", "abc and x_i"),
        ("a_{i} \\neq a_{j}", "a_i != a_j"),
        ("a_{i}", "a_i"),
        ("the set \\{1, 2\\}", "the set {1, 2}"),
        ("Stra\u00dfe \ufb01ne \u2019s\xa0x", "strasse fine 's x"),
        ("cost $5", "cost 5"),
        ("plain ASCII {x: 1}", "plain ascii {x: 1}"),
        ("x⁻¹", "x^-1"),
    ],
)
def test_what_reads_the_same_folds_to_the_same(text, folded):
    assert fold(text) == folded


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="aZ \n$\\^_{}()<>sup/10,leqtx", max_size=60))
@example("$" * 40 + "{" * 40)
def test_folding_is_blind_to_case_in_any_latex(text):
    assert fold(text.upper()) == fold(text)


@pytest.mark.parametrize(
    ("heading", "is_cut"),
    [
        ("Example 1:", True), ("Examples", True), ("**Example 1:**", True), ("### Examples", True),
        ("<p><strong>Example 1:</strong></p>", True), ("Input", True), ("-----Input-----", True), ("Input:", True),
        ("Output Format", True), ("Constraints:", True), ("Note", True), ("Note: be quick", True),
        ("Follow-up: can you?", True), ("Follow up:", True), ("Sample Input 1", True), ("Explanation", True),
        ("Example of a tree", False), ("Note that x is odd", False), ("Output the sum of all", False),
        ("Input numbers are sorted.", False), ("For example:", False), ("Hinting is allowed", False),
    ],
)
def test_body_ends_at_a_heading_only(heading, is_cut):
    folded = fold(f"Add two numbers.\n{heading}\n1 2 3")
    assert (body_of(folded) == "add two numbers.") is is_cut


def test_body_is_the_whole_statement_where_nothing_precedes_the_heading():
    assert body_of("input\n1 2") == "input\n1 2"
    assert body_of("***\ninput\n1 2") == "***\ninput\n1 2"
    assert body_of("") == ""


def test_headings_are_found_quickly_in_hostile_text():
    for hostile in ("\n" * 200_000, "\n" + "-" * 200_000, "\n<a>" * 50_000, "\n" + " " * 200_000 + "x"):
        assert body_of(hostile + "y") == hostile + "y"


def test_words_of_mixed_scripts():
    assert words_of(fold("x_1<=10 Größe, 数组是 naïve! Ελλάδα\uff1b中")) == [
        "x_1", "10", "grösse", "数", "组", "是", "naïve", "ελλάδα", "中",
    ]


def plain_sets(texts, unit, k):
    """Shingle sets by plain Python, from the texts' words or characters."""
    found = []
    for text in texts:
        words = words_of(text)
        tokens = words if unit is Unit.WORD else list(" ".join(text.split()))
        if not text.split():
            found.append(set())
        elif len(tokens) < k:
            found.append({("short", *(words or text.split()))})
        else:
            found.append({tuple(tokens[i : i + k]) for i in range(len(tokens) - k + 1)})
    return found


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.text(alphabet="ab _1,\n\téß数字дж🙂", max_size=25), max_size=8),
    st.sampled_from(Unit),
    st.integers(1, 5),
)
@example(["", " ", "!!", "a", "a b", "a  b", "A"], Unit.WORD, 3)
@example(["x" * 40, "x" * 41, "x" * 8, "x" * 9], Unit.WORD, 1)
def test_shingle_sets_have_the_sizes_and_overlaps_of_plain_python(texts, unit, k):
    sizes, hashes = shingle_sets(texts, unit, k)
    ends = np.cumsum(sizes).tolist()
    sets = [set(hashes[end - size : end].tolist()) for end, size in zip(ends, sizes.tolist(), strict=True)]
    expected = plain_sets(texts, unit, k)
    assert [len(each) for each in sets] == [len(each) for each in expected]
    for mine, plain in zip(sets, expected, strict=True):
        assert [len(mine & other) for other in sets] == [len(plain & other) for other in expected]


def test_sets_do_not_depend_on_the_batch():
    texts = ["one two three four", "größer als zwei drei", "", "x", "one two three five six"]
    sizes, hashes = shingle_sets(texts, Unit.WORD, 3)
    alone = [shingle_sets([text], Unit.WORD, 3) for text in texts]
    assert sizes.tolist() == [int(size[0]) for size, _ in alone]
    assert hashes.tolist() == np.concatenate([each for _, each in alone]).tolist()


def test_short_texts_match_only_as_a_whole():
    sizes, hashes = shingle_sets(["a b", "a  b!", "a b c", "b a", "ab"], Unit.WORD, 3)
    assert sizes.tolist() == [1, 1, 1, 1, 1]
    assert hashes[0] == hashes[1]
    assert len(set(hashes.tolist())) == 4


def test_no_two_words_of_a_large_vocabulary_share_a_hash():
    words = [f"{stem}{i}" for i in range(4000) for stem in ("v", "longer_word_", "größe_mit_länge_")]
    sizes, hashes = shingle_sets([" ".join(words)], Unit.WORD, 1)
    assert sizes.tolist() == [12000] == [len(set(hashes.tolist()))]


def test_statement_keys_ignore_case_space_and_latex_but_not_signs():
    keys = [squeezed(fold(text)) for text in ["A  $10^4$\n b", " a 10⁴ b ", "a + b", "a - b", " \n"]]
    assert keys[0] == keys[1]
    assert keys[2] != keys[3]
    assert keys[4] == b""


def test_batches_are_bounded_by_number_and_by_length():
    assert [len(batch) for batch in batches(iter(["x"] * 5), 2)] == [2, 2, 1]
    assert [len(batch) for batch in batches(iter(["aaa", "bbb", "c" * 50, "d"]), 9, size=6)] == [2, 1, 1]
    assert re.fullmatch("a+", "".join(*batches(iter(["a", "aa"]), 9)))


def test_an_operator_between_spaces_is_a_word_and_other_signs_are_none():
    assert words_of("print a + b") != words_of("print a - b")
    assert words_of("a <= b") != words_of("a >= b")
    assert words_of("non-negative *bold* (a, b).") == ["non", "negative", "bold", "a", "b"]
    assert words_of("\n- an item\n* another") == ["an", "item", "another"]
