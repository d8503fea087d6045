"""The join finds exactly the pairs that brute force finds, whatever the corpus, threshold, K and batch size."""

import random
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from joining import OF_SETS, all_pairs, brute_force_pairs, brute_force_sets, joined_pairs

from dc_tools.dedup import spool
from dc_tools.dedup.pairs import families, heads, join, verify
from dc_tools.dedup.settings import Backend, Metric, Unit
from dc_tools.dedup.shared import words_file

WORDS = ["a", "b", "sum", "array", "minimum", "lexicographically", "größe", "数", "x_1", "10", "ένα", "naïve_long_word"]


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


@settings(max_examples=120, deadline=None)
@given(
    corpora(), st.sampled_from(Unit), st.integers(1, 6), st.sampled_from(OF_SETS),
    st.sampled_from([0.01, 0.3, 0.5, 2 / 3, 0.75, 0.8, 0.9, 0.95, 1.0]), st.integers(1, 5),
)
@example(["", " ", "a", "a"], Unit.WORD, 3, Metric.EITHER, 0.95, 2)
def test_join_equals_brute_force(texts, unit, k, metric, threshold, batch):
    expected = brute_force_pairs(brute_force_sets(texts, unit, k), metric, threshold)
    assert all_pairs(texts, unit, k, metric, threshold, batch) == expected


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
    monkeypatch.setattr(spool, "READ_AT_A_TIME", 10 * chunk)
    monkeypatch.setattr(heads, "AT_A_TIME", 10 * chunk)
    texts = long_corpus(seed=3)
    sets = brute_force_sets(texts, Unit.WORD, 3)
    for threshold in (0.6, 0.8, 0.95):
        expected = brute_force_pairs(sets, metric, threshold)
        assert all_pairs(texts, Unit.WORD, 3, metric, threshold, 50) == expected
        assert len(expected) > 10


def test_filter_leaves_few_candidates():
    pairs, _, candidates = joined_pairs(long_corpus(seed=5, texts=600), Unit.WORD, 3, Metric.JACCARD, 0.95, 100)
    assert len(pairs) > 5
    assert candidates < 60


def test_pairs_of_two_references_are_left_out():
    texts = ["x a b c", "a b c d", "a b c d e", "a b c d"]
    pairs, nodes, _ = joined_pairs(texts[1:3], Unit.WORD, 3, Metric.CONTAINMENT, 0.5, 9, references=texts)
    assert nodes == [0, 1, 2, 1, 1, 2]
    assert [(a, b) for a, b, _ in pairs] == [(0, 1), (0, 2), (1, 2)]
    pairs, _, _ = joined_pairs(["q r s"], Unit.WORD, 3, Metric.CONTAINMENT, 0.5, 9, references=texts)
    assert pairs == []


@pytest.mark.parametrize(
    ("metric", "threshold", "expected"),
    [
        (Metric.JACCARD, 0.25, [(0, 1, 2), (0, 2, 1), (1, 2, 1)]), (Metric.JACCARD, 0.5, [(0, 1, 2)]),
        (Metric.JACCARD, 0.51, []), (Metric.CONTAINMENT, 0.5, [(0, 1, 2), (0, 2, 1), (1, 2, 1)]),
        (Metric.CONTAINMENT, 0.51, [(0, 1, 2)]),
    ],
)
def test_common_counts_by_hand(metric, threshold, expected):
    # {abc bcd cde} {abc bcd cdf} {xab abc}: Jaccard 2/4, 1/4, 1/4; containment 2/3, 1/2, 1/2
    texts = ["a b c d e", "a b c d f", "x a b c"]
    assert joined_pairs(texts, Unit.WORD, 3, metric, threshold, 2)[0] == expected


def partition(pairs, count):
    """The connected components of the texts, as a set of frozensets."""
    groups = {i: {i} for i in range(count)}
    for a, b, *_ in pairs:
        if groups[a] is not groups[b]:
            groups[a] |= groups[b]
            groups.update(dict.fromkeys(groups[b], groups[a]))
    return {frozenset(group) for group in groups.values()}


@settings(max_examples=100, deadline=None)
@given(
    corpora(), st.sampled_from(OF_SETS), st.sampled_from([0.3, 0.6, 0.8, 0.95]), st.integers(1, 3),
    st.permutations(range(14)), st.integers(0, 4),
)
def test_long_runs_leave_the_components_of_brute_force(texts, metric, threshold, longest, places, references):
    """With leaders every match is still connected to all that it should be, nothing false is added, and all pairs of
    references and records are there."""
    texts = list(dict.fromkeys(texts[i] for i in places if i < len(texts) and texts[i].split()))
    known, texts = texts[:references], texts[references:]
    with patch.object(join, "LONG_RUN", longest):
        pairs, nodes, _ = joined_pairs(texts, Unit.WORD, 2, metric, threshold, 3, known)
    expected = brute_force_pairs(brute_force_sets(known + texts, Unit.WORD, 2), metric, threshold)
    expected = [  # a text that equals an earlier one has its node, so a pair may come the other way round
        (*sorted((nodes[a], nodes[b])), met) for a, b, met in expected if nodes[a] != nodes[b] and b >= len(known)
    ]
    assert set(pairs) <= set(expected)
    ours = [pair for pair in expected if pair[0] >= len(known)]
    assert partition([p for p in pairs if p[0] >= len(known)], 14) == partition(ours, 14)
    assert {p for p in pairs if p[0] < len(known)} == {p for p in expected if p[0] < len(known)}


@pytest.mark.parametrize("metric", [Metric.JACCARD, Metric.CONTAINMENT])
def test_a_large_family_of_near_equals_is_compared_with_its_leader(metric):
    """Of 3,000 texts that differ in their last word 4.5 million pairs could be made."""
    common = " ".join(f"w{i}" for i in range(60))
    texts = [f"{common} n{i}" for i in range(3000)]
    pairs, _, candidates = joined_pairs(texts, Unit.WORD, 3, metric, 0.9, 500)
    assert candidates < 10_000
    assert len(partition(pairs, 3000)) == 1


def test_a_large_family_just_below_the_threshold_gives_no_pairs_and_is_looked_at_in_pieces():
    common = " ".join(f"w{i}" for i in range(40))
    texts = [f"{common} n{i} m{i}" for i in range(700)]
    with patch.object(families, "AT_ONCE", 50_000), patch.object(verify, "FEW", 100):
        pairs, _, candidates = joined_pairs(texts, Unit.WORD, 3, Metric.JACCARD, 0.95, 500)
    assert (pairs, candidates) == ([], 700 * 699 // 2 + 699)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sets(st.integers(0, 30)), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), min_size=1, max_size=30),
)
def test_matrices_and_sorting_count_the_same(sets, pairs):
    pairs = [(a % len(sets), b % len(sets)) for a, b in pairs if a % len(sets) != b % len(sets)]
    assume(pairs)
    sizes = np.array([len(each) for each in sets])
    hashes = np.array([x for each in sets for x in sorted(each)], dtype=np.uint64)
    a, b = np.array(pairs).T
    expected = [len(sets[x] & sets[y]) for x, y in pairs]
    assert verify.count_common(sizes, hashes, a, b).tolist() == expected
    with patch.object(verify, "CELLS", 40):
        assert verify.count_by_matrices(sizes, hashes, a, b).tolist() == expected


def test_sets_are_read_as_they_were_added():
    rng = np.random.default_rng(3)
    sizes = rng.integers(0, 40, 50)
    hashes = rng.integers(0, 1 << 52, int(sizes.sum()), dtype=np.uint64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    with words_file() as words, patch.object(spool, "READ_AT_A_TIME", 100):
        sets = spool.Sets(words)
        sets.add(sizes[:20], words.append(hashes[: starts[20]]))
        words.append(np.zeros(9, dtype=np.uint64))
        sets.add(sizes[20:], words.append(hashes[starts[20] :]))
        numbers = np.array([0, 1, 2, 7, 30, 31, 49])
        found, members = sets.gather(numbers)
        assert found.tolist() == sizes[numbers].tolist()
        assert members.tolist() == np.concatenate([hashes[starts[n] : starts[n + 1]] for n in numbers]).tolist()
        assert sets.elements(numbers) == len(members)
        pieces = list(sets.pieces(np.arange(50)))
        assert len(pieces) > 5
        for whole, parts in zip((np.arange(50), sizes, hashes), zip(*pieces, strict=True), strict=True):
            assert np.concatenate(parts).tolist() == whole.tolist()
        pieces = list(sets.pieces(numbers))
        assert np.concatenate([each for each, _, _ in pieces]).tolist() == numbers.tolist()
        assert np.concatenate([each for _, _, each in pieces]).tolist() == members.tolist()


@pytest.mark.parametrize("backend", [Backend.NATIVE, Backend.DATASKETCH])
@pytest.mark.parametrize(("metric", "threshold"), [(Metric.JACCARD, 0.9), (Metric.JACCARD, 0.8), (Metric.EITHER, 0.95)])
def test_bands_find_what_the_exact_join_finds(backend, metric, threshold):
    texts = long_corpus(seed=8, texts=400)
    exact, nodes, _ = joined_pairs(texts, Unit.WORD, 3, metric, threshold, 100)
    found, same, _ = joined_pairs(texts, Unit.WORD, 3, metric, threshold, 100, is_approximate=True, backend=backend)
    assert nodes == same
    assert set(found) <= set(exact)
    lengths = {i: len(text.split()) for i, text in enumerate(texts)}
    near = {p for p in exact if min(lengths[p[0]], lengths[p[1]]) >= 0.9 * max(lengths[p[0]], lengths[p[1]])}
    assert near <= set(found)
    assert len(near) > 5
