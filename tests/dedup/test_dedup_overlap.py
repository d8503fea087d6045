"""N-gram overlap: exactly the pairs, counts and shares that brute force finds, and what the rule does to phrases."""

import dataclasses
import gzip
import json
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_tools.dedup import overlap
from dc_tools.dedup.overlap import NgramIndex
from dc_tools.dedup.text import body_of, fold

DATA = Path(__file__).parents[2].parent / "shared" / "data"
WORDS = ["a", "b", "sum", "größe", "數", "minimum_of_all", "x1"]


def brute_force_grams(text, n):
    """The n-grams of a text whose words are what whitespace separates."""
    words = text.split()
    if len(words) < n:
        return {("short", *words)} if words else set()
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def brute_force(references, records, n, most, share):
    """(record, reference, common, share) of all pairs that match."""
    whole = [brute_force_grams(text, n) for text in references]
    times = Counter(gram for grams in {frozenset(grams) for grams in whole} for gram in grams)
    rare = [{gram for gram in grams if times[gram] <= most} for grams in whole]
    counting = [few if 2 * len(few) >= len(grams) else grams for few, grams in zip(rare, whole, strict=True)]
    found = []
    for i, record in enumerate(records):
        grams = brute_force_grams(record, n)
        for j, counted in enumerate(counting):
            common = len(grams & counted)
            if common and common / len(counted) >= share:
                found.append((i, j, common, common / len(counted)))
    return found


def in_batches(texts, batch):
    return [texts[start : start + batch] for start in range(0, len(texts), batch)]


def rows(found, start=0):
    """Overlaps as (record, reference, common, share)."""
    return list(zip(
        (found.records + start).tolist(), found.references.tolist(), found.common.tolist(), found.shares.tolist(),
        strict=True,
    ))


@st.composite
def corpora(draw):
    """References and records of few words each, many of them edits or pieces of earlier ones."""
    texts = []
    for _ in range(draw(st.integers(0, 14))):
        words = draw(st.sampled_from(texts)).split() if texts and draw(st.booleans()) else []
        place = draw(st.integers(0, len(words)))
        words[place : place + draw(st.integers(0, 3))] = draw(st.lists(st.sampled_from(WORDS), max_size=10))
        texts.append(" ".join(words))
    half = draw(st.integers(0, len(texts)))
    return texts[:half], texts[half:]


@settings(max_examples=150, deadline=None)
@given(
    corpora(), st.integers(1, 5), st.integers(1, 4), st.sampled_from([0.0, 0.1, 1 / 3, 0.5, 0.7, 1.0]),
    st.integers(1, 4), st.sampled_from([1, 7, 1 << 22]),
)
def test_overlaps_equal_brute_force(corpus, n, most, share, batch, chunk):
    references, records = corpus
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap, "CHUNK", chunk)
        index = NgramIndex.build(in_batches(references, batch), n, most)
        found = []
        for start, part in zip(range(0, len(records), batch), in_batches(records, batch), strict=True):
            found += rows(index.matches(part, share), start)
    expected = brute_force(references, records, n, most, share)
    assert found == expected
    best = {}
    for record, reference, common, ratio in expected:
        best[record] = max(best.get(record, (0, 0, 0)), (common, ratio, -reference))
    chosen = rows(index.matches(records, share).best())
    assert chosen == [(record, -last, common, ratio) for record, (common, ratio, last) in sorted(best.items())]


def test_counts_and_shares_by_hand():
    index = NgramIndex.build([["a b c d e f", "c d e x"]], n=3)
    # {abc bcd cde def} and {cde dex}
    assert index.sizes.tolist() == [4, 2]
    assert rows(index.matches(["z b c d e z", "c d e", "a c d e f x", "a b z"], share=0.0)) == [
        (0, 0, 2, 0.5), (0, 1, 1, 0.5), (1, 0, 1, 0.25), (1, 1, 1, 0.5), (2, 0, 2, 0.5), (2, 1, 1, 0.5)
    ]
    assert rows(index.matches(["c d e"], share=0.5)) == [(0, 1, 1, 0.5)]
    assert rows(index.matches(["c d e"], share=0.51)) == []


def test_an_ngram_is_counted_once_however_often_it_occurs():
    index = NgramIndex.build([["a b a b a b c"]], n=2)
    assert index.sizes.tolist() == [3]
    assert rows(index.matches(["a b z a b z a b"])) == []
    assert rows(index.matches(["a b a z a b a"])) == [(0, 0, 2, 2 / 3)]


def test_best_is_the_most_in_common_then_the_larger_share_then_the_first():
    index = NgramIndex.build([["a b c d q r s t u", "a b c d z", "a b c", "a b c d z"]], n=2)
    assert rows(index.matches(["a b c d"], share=0.0)) == [
        (0, 0, 3, 0.375), (0, 1, 3, 0.75), (0, 2, 2, 1.0), (0, 3, 3, 0.75)
    ]
    assert rows(index.matches(["a b c d", "q", "b c"], share=0.0).best()) == [(0, 1, 3, 0.75), (2, 2, 1, 0.5)]


def test_a_statement_shorter_than_n_words_matches_the_same_words_only():
    index = NgramIndex.build([["two words", "", "  ", "!"]], n=3)
    assert index.sizes.tolist() == [1, 0, 0, 1]
    assert rows(index.matches(["here are two words as well", "two  words", "two", "", "two words more", "!"])) == [
        (1, 0, 1, 1.0), (5, 3, 1, 1.0)
    ]


@pytest.mark.parametrize("references", [[], [""]])
def test_no_references_or_none_with_text(references):
    index = NgramIndex.build([references] if references else [], n=8)
    assert rows(index.matches(["a b c d e f g h i", ""], share=0.0)) == []
    assert rows(index.matches([]).best()) == []


def test_a_phrase_of_many_references_does_not_count():
    phrase = "you may return them in any order"
    references = [f"task {i} needs the words {'w' * (i + 1)} v{i} {phrase}" for i in range(4)]
    index = NgramIndex.build([references], n=4, most=3)
    # 14 words, 11 n-grams, of which the phrase's 4 are in all references
    assert index.sizes.tolist() == [7] * 4
    assert rows(index.matches([phrase], share=0.0)) == []
    assert NgramIndex.build([references], n=4, most=4).sizes.tolist() == [11] * 4


def test_equal_references_do_not_make_their_ngrams_common():
    releases = ["find the shortest way home"] * 30
    index = NgramIndex.build([releases, ["count the stones"]], n=2, most=1)
    assert index.sizes.tolist() == [4] * 30 + [2]
    assert index.matches(["find the shortest way home"]).references.tolist() == list(range(30))
    assert index.matches(["find the shortest way home"]).best().references.tolist() == [0]


def test_a_reference_made_of_common_ngrams_keeps_them_all():
    docstring = "return the sum of all even numbers"
    languages = [f"{docstring} in {name}" for name in ("go", "rust", "java")]
    index = NgramIndex.build([[*languages, f"a long text of its own that says {docstring}"]], n=3, most=2)
    # 5 of the 7 n-grams of each language are common: all count. Of the last one's 13 the same 5 do not.
    assert index.sizes.tolist() == [7, 7, 7, 8]
    assert rows(index.matches([docstring])) == [(0, 0, 5, 5 / 7), (0, 1, 5, 5 / 7), (0, 2, 5, 5 / 7)]


def test_the_body_of_a_reference_counts_wherever_a_record_quotes_it():
    statement = fold("Given an array, return the sum of its even numbers.\n\nExample 1:\nInput: [1, 2]\nOutput: 2")
    index = NgramIndex.build([[statement]], n=3)
    assert index.sizes.tolist() == [8]
    quoted = fold("Solve this.\n\nInput\n\ngiven an ARRAY return the sum of its even numbers, please")
    assert rows(index.matches([quoted])) == [(0, 0, 8, 1.0)]


def test_an_index_is_its_fields():
    references = [f"find the {word} of all the numbers in a list" for word in WORDS]
    index = NgramIndex.build(in_batches(references, 2), n=3)
    records = [*references, "the sum of all the numbers"]
    expected = rows(index.matches(records, share=0.0))
    assert len(expected) > len(references)
    rebuilt = NgramIndex(**{each.name: getattr(index, each.name) for each in dataclasses.fields(index)})
    assert rows(rebuilt.matches(records, share=0.0)) == expected
    assert rows(pickle.loads(pickle.dumps(index)).matches(records, share=0.0)) == expected
    assert (index.hashes.dtype, index.owners.dtype) == (np.uint64, np.int32)
    assert (np.diff(index.hashes.astype(np.int64)) >= 0).all()
    assert np.bincount(index.owners).tolist() == index.sizes.tolist()


@pytest.mark.parametrize("n", [1, 3])
def test_batches_of_references_make_no_difference(n):
    texts = [f"{a} {b} of {a} and {b}" for a in WORDS for b in WORDS]
    whole = NgramIndex.build([texts], n, most=5)
    for batch in (1, 10):
        parts = NgramIndex.build(in_batches(texts, batch), n, most=5)
        for name in ("hashes", "owners", "sizes"):
            assert getattr(parts, name).tolist() == getattr(whole, name).tolist()


@pytest.fixture(scope="module")
def copies():
    """(statement, the same problem's in another data set), matched by their solutions and not by their texts."""
    first = DATA / "raw" / "leetcode_dataset_v0.1.0_train.jsonl.gz"
    second = DATA / "raw" / "rllm_leetcode_train.json.gz"
    for path in (first, second):
        if not path.exists():
            pytest.skip(f"{path} is not there")
    with gzip.open(second, "rt", encoding="utf-8") as stream:
        others = {"".join(row["solutions"].split()): row["problem"] for row in json.load(stream)}
    with gzip.open(first, "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    pairs = [(row["meta"]["question_title"], others.get("".join(row["completion"].split()))) for row in rows]
    return [(fold(one), fold(other)) for one, other in pairs if other is not None]


@pytest.mark.parametrize("n", [8, 10, 13])
def test_real_copies_are_found_and_other_problems_are_not(copies, n):
    index = NgramIndex.build(in_batches([one for one, _ in copies], 2048), n)
    found = index.matches([other for _, other in copies])
    right = found.records == found.references
    assert right.sum() / len(copies) > 0.99
    assert (~right).sum() < 60
    any_one = index.matches([other for _, other in copies], share=0.0)
    assert (any_one.records != any_one.references).sum() > 10 * (~right).sum()


def test_no_problem_of_humaneval_is_among_leetcodes(copies):
    path = DATA / "eval" / "HumanEval.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        prompts = [fold(json.loads(line)["prompt"]) for line in stream]
    index = NgramIndex.build([prompts], n=8)
    assert all(body_of(prompt) for prompt in prompts)
    assert len(index.matches([other for _, other in copies], share=0.0).records) > 10
    assert len(index.matches([other for _, other in copies], share=0.1).records) == 0
    wrapped = [f"Complete this program and say why.\n\n{prompt}\n\nUse Python." for prompt in prompts]
    assert index.matches(wrapped).best().references.tolist() == list(range(164))
