"""The join finds exactly the pairs that brute force finds, whatever the corpus, threshold, K and batch size."""

import random
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dc_tools.dedup import join
from dc_tools.dedup.join import ShingleSets, find_pairs
from dc_tools.dedup.settings import Metric, Unit
from dc_tools.dedup.text import shingle_sets

WORDS = ["a", "b", "sum", "array", "minimum", "lexicographically", "größe", "数", "x_1", "10", "ένα", "naïve_long_word"]


def brute_force_sets(texts, unit, k):
    """Shingle sets as Python tuples; the words of these texts are what whitespace separates."""
    found = []
    for text in texts:
        tokens = text.split() if unit is Unit.WORD else list(" ".join(text.split()))
        if len(tokens) < k:
            found.append({("short", *text.split())} if tokens else set())
        else:
            found.append({tuple(tokens[i : i + k]) for i in range(len(tokens) - k + 1)})
    return found


def brute_force_pairs(sets, metric, threshold):
    """(a, b, common) of all pairs at or above the threshold."""
    found = []
    for a, b in combinations(range(len(sets)), 2):
        common = len(sets[a] & sets[b])
        whole = len(sets[a] | sets[b]) if metric is Metric.JACCARD else min(len(sets[a]), len(sets[b]))
        if whole and common / whole >= threshold:
            found.append((a, b, common))
    return found


def joined_pairs(texts, unit, k, metric, threshold, batch):
    """(a, b, common) as the product finds them."""
    sets = ShingleSets()
    for start in range(0, len(texts), batch):
        sets.add(*shingle_sets(texts[start : start + batch], unit, k))
    pairs = find_pairs(sets, metric, threshold)
    return list(zip(pairs.a.tolist(), pairs.b.tolist(), pairs.common.tolist(), strict=True))


@st.composite
def corpora(draw):
    """Texts of a few words each, many of them edits of earlier ones."""
    texts = []
    for _ in range(draw(st.integers(0, 14))):
        if texts and draw(st.booleans()):
            words = draw(st.sampled_from(texts)).split()
            for _ in range(draw(st.integers(0, 3))):
                place = draw(st.integers(0, len(words)))
                words[place : place + draw(st.integers(0, 2))] = draw(st.lists(st.sampled_from(WORDS), max_size=2))
        else:
            words = draw(st.lists(st.sampled_from(WORDS), max_size=30))
        texts.append(" ".join(words))
    return texts


@settings(max_examples=300, deadline=None)
@given(
    corpora(), st.sampled_from(Unit), st.integers(1, 6), st.sampled_from(Metric),
    st.sampled_from([0.01, 0.3, 0.5, 2 / 3, 0.75, 0.8, 0.9, 0.95, 1.0]), st.integers(1, 5),
)
@example(["", " ", "a", "a"], Unit.WORD, 3, Metric.EITHER, 0.95, 2)
def test_join_equals_brute_force(texts, unit, k, metric, threshold, batch):
    expected = brute_force_pairs(brute_force_sets(texts, unit, k), metric, threshold)
    assert joined_pairs(texts, unit, k, metric, threshold, batch) == expected


def long_corpus(seed, texts=160, vocabulary=400):
    """Statements of 40 to 120 words that share boilerplate; a third are edits of another, some are parts of another."""
    rng = random.Random(seed)
    words = [f"w{i}" for i in range(vocabulary)]
    boilerplate = [rng.choices(words, k=12) for _ in range(4)]
    found = []
    for _ in range(texts):
        kind = rng.random()
        if found and kind < 0.35:
            text = list(rng.choice(found))
            for _ in range(rng.randint(0, 6)):
                text[rng.randrange(len(text))] = rng.choice(words)
        elif found and kind < 0.45:
            text = rng.choice(found)
            text = text[: max(len(text) * 2 // 3, 5)]
        else:
            text = rng.choices(words, k=rng.randint(40, 120)) + rng.choice(boilerplate)
        found.append(text)
    return [" ".join(text) for text in found]


@pytest.mark.parametrize("chunk", [64, 1000, 1 << 22])
@pytest.mark.parametrize("metric", [Metric.JACCARD, Metric.CONTAINMENT])
def test_join_equals_brute_force_on_long_texts_whatever_the_chunk_size(monkeypatch, metric, chunk):
    monkeypatch.setattr(join, "CHUNK", chunk)
    texts = long_corpus(seed=3)
    sets = brute_force_sets(texts, Unit.WORD, 3)
    for threshold in (0.6, 0.8, 0.95):
        expected = brute_force_pairs(sets, metric, threshold)
        assert joined_pairs(texts, Unit.WORD, 3, metric, threshold, 50) == expected
        assert len(expected) > 10


def test_filter_leaves_few_candidates():
    texts = long_corpus(seed=5, texts=600)
    sets = ShingleSets()
    sets.add(*shingle_sets(texts, Unit.WORD, 3))
    pairs = find_pairs(sets, Metric.JACCARD, 0.95)
    assert len(pairs.a) > 10
    assert pairs.candidates < 3 * len(pairs.a)


def test_pairs_of_two_references_are_left_out():
    texts = ["a b c d", "a b c d e", "a b c d", "a b c d e"]
    sets = ShingleSets()
    sets.add(*shingle_sets(texts, Unit.WORD, 3))
    pairs = find_pairs(sets, Metric.CONTAINMENT, 1.0, np.array([True, True, False, False]))
    assert list(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)) == [(0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


def test_common_counts_by_hand():
    sets = ShingleSets()
    sets.add(*shingle_sets(["a b c d e", "a b c d f", "x a b c"], Unit.WORD, 3))
    # {abc bcd cde} {abc bcd cdf} {xab abc}: J 2/4, 1/4, 1/4; containment 2/3, 1/2, 1/2
    assert sets.sizes.tolist() == [3, 3, 2]
    pairs = find_pairs(sets, Metric.JACCARD, 0.25)
    assert list(zip(pairs.a.tolist(), pairs.b.tolist(), pairs.common.tolist(), strict=True)) == [
        (0, 1, 2), (0, 2, 1), (1, 2, 1)
    ]
    assert find_pairs(sets, Metric.JACCARD, 0.5).a.tolist() == [0]
    assert find_pairs(sets, Metric.JACCARD, 0.51).a.tolist() == []
    assert find_pairs(sets, Metric.CONTAINMENT, 0.5).b.tolist() == [1, 2, 2]
    assert find_pairs(sets, Metric.CONTAINMENT, 0.51).b.tolist() == [1]


def test_offsets_delimit_sorted_sets():
    sets = ShingleSets()
    for texts in (["c b a d", "", "z"], ["q w e r t y"]):
        sets.add(*shingle_sets(texts, Unit.WORD, 2))
    assert sets.sizes.tolist() == [3, 0, 1, 5]
    for start, stop in pairwise(sets.offsets.tolist()):
        members = sets.hashes[start:stop].tolist()
        assert members == sorted(set(members))
