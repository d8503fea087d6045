"""Bands miss as seldom as they say, whatever the size of a set; datasketch, by its own ways, finds the same pairs."""

from collections import defaultdict
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_tools.dedup import bands
from dc_tools.dedup.bands import Bands, band_keys, datasketch_keys, lowest_jaccard, plan, sketches
from dc_tools.dedup.settings import Metric

HASH = st.one_of(st.integers(0, 30), st.integers(0, (1 << 52) - 1))
SETS = st.lists(st.sets(HASH, max_size=12), max_size=12)


def packed(sets):
    """Sizes and hashes of Python sets."""
    hashes = np.array([each for members in sets for each in sorted(members)], dtype=np.uint64)
    return np.array([len(members) for members in sets], dtype=np.int64), hashes


def rows(sets):
    """Sizes and hashes of sets of one size, given as a matrix."""
    return np.full(len(sets), sets.shape[1]), np.sort(sets, axis=1).ravel()


def part_of_each(rng, pairs, size, part):
    """Random sets of `size`, and of each a subset of `part` members: their Jaccard similarity is part / size."""
    sets = rng.integers(0, 1 << 52, (pairs, size), dtype=np.uint64)
    return rows(sets), rows(sets[:, :part])


def planted_corpus(rng, similarities, copies, size):
    """Random sets of `size`; to each similarity, `copies` pairs of a set and a part of it. Packed; and the pairs."""
    sets = []
    for similarity in np.repeat(similarities, copies):
        members = rng.integers(0, 1 << 52, size).tolist()
        sets += [set(members), set(members[: round(similarity * size)])]
    return packed(sets), [(i, i + 1) for i in range(0, len(sets), 2)]


def sharing(keys):
    """All pairs of sets that share a key."""
    holders = defaultdict(list)
    for number, mine in enumerate(keys.tolist()):
        for key in {*mine} - {bands.NO_KEY}:
            holders[key].append(number)
    return sorted({pair for numbers in holders.values() for pair in combinations(numbers, 2)})


def miss_of_some(shared, total, some):
    """Chance that `some` random ones of a pair's `total` keys are not shared, over pairs that share `shared` each."""
    return np.mean([comb(total - each, some) / comb(total, some) for each in shared.tolist()])


@pytest.mark.parametrize(
    ("threshold", "metric", "wanted"),
    [
        (0.95, Metric.JACCARD, Bands(16, 10)),  # .95^10 = .599, .401^16 = 4.5e-7; .95^11 = .569, .431^16 = 1.4e-6
        (0.8, Metric.JACCARD, Bands(14, 2)),  # .36^14 = 6.1e-7, .36^13 = 1.7e-6; .8^3 = .512, .488^16 = 1.0e-5
        (0.6, Metric.JACCARD, Bands(16, 1)),  # .4^16 = 4.3e-7, .4^15 = 1.1e-6
        (0.95, Metric.CONTAINMENT, Bands(16, 2)),  # J = .8075 / 1.0425 = .7746, J^2 = .6
        (0.95, Metric.EITHER, Bands(16, 2)),
        (1.0, Metric.JACCARD, Bands(2, 16)),
    ],
)
def test_the_plan_is_the_longest_keys_and_the_fewest_that_miss_one_in_a_million(threshold, metric, wanted):
    assert plan(threshold, metric) == wanted


@settings(deadline=None)
@given(st.floats(0.58, 1.0))
def test_no_longer_key_would_do_and_no_fewer(threshold):
    chosen = plan(threshold, Metric.JACCARD)
    assert chosen.miss(threshold) <= bands.MISS
    assert chosen.r == bands.MAX_R or Bands(bands.MAX_B, chosen.r + 1).miss(threshold) > bands.MISS
    assert chosen.b == bands.MIN_B or Bands(chosen.b - 1, chosen.r).miss(threshold) > bands.MISS


def test_a_threshold_that_no_sixteen_keys_hold_is_refused_with_the_least_they_do():
    with pytest.raises(ValueError, match=r"16 bands find pairs from a Jaccard similarity of 0\.578 on; jaccard at"):
        plan(0.57, Metric.JACCARD)
    with pytest.raises(ValueError, match=r"containment at 0\.7 allows 0\.474"):  # .595 / 1.255
        plan(0.7, Metric.CONTAINMENT)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_no_pair_of_that_containment_and_ratio_is_less_alike_than_the_lowest(a, b, common):
    a, b = sorted((a, b))
    common = min(common, a)
    assert common / (a + b - common) >= lowest_jaccard(common / a, a / b) - 1e-12


@pytest.mark.parametrize(("size", "part"), [(3, 2), (20, 16), (20, 19), (100, 95), (380, 304), (1000, 950)])
def test_a_bin_agrees_as_often_as_the_sets_are_alike_whatever_their_size(size, part):
    pairs, bins = 200_000 // max(size, 160), 160
    one, other = part_of_each(np.random.default_rng(size), pairs, size, part)
    agreed = (sketches(*one, bins) == sketches(*other, bins)).mean(axis=1)
    assert agreed.mean() == pytest.approx(part / size, abs=5 * agreed.std() / pairs**0.5)
    assert agreed.std() < 1.1 * (part / size * (1 - part / size) / bins) ** 0.5


def test_a_single_shingle_fills_all_bins_with_values_of_their_own():
    values = sketches(np.array([0, 1, 1]), np.array([0, (1 << 52) - 1], dtype=np.uint64), bands.MAX_B * bands.MAX_R)
    assert len(np.unique(values[1:])) == 2 * 256
    assert (values[1:] < 1 << 52).all()


@pytest.mark.parametrize(
    ("threshold", "size"), [(0.95, 20), (0.95, 100), (0.95, 380), (0.8, 5), (0.8, 20), (0.8, 100), (0.6, 5), (0.6, 380)]
)
def test_pairs_at_the_threshold_are_missed_no_more_often_than_computed(threshold, size):
    chosen = plan(threshold, Metric.JACCARD)
    one, other = part_of_each(np.random.default_rng(1), 4000, size, round(threshold * size))
    shared = (band_keys(*one, chosen) == band_keys(*other, chosen)).sum(axis=1)
    assert (shared == 0).sum() == 0
    assert shared.mean() == pytest.approx(chosen.b * threshold**chosen.r, rel=0.02)
    for some in (2, 4, 6):
        assert miss_of_some(shared, chosen.b, some) < 1.05 * Bands(some, chosen.r).miss(threshold)


@given(SETS, st.randoms(use_true_random=False), st.sampled_from([Bands(2, 1), Bands(16, 2), Bands(16, 10)]))
@settings(max_examples=40, deadline=None)
def test_equal_sets_have_equal_keys_in_any_company_and_the_empty_set_has_none(sets, random, chosen):
    keys = band_keys(*packed(sets), chosen)
    order = random.sample(range(len(sets)), len(sets))
    assert band_keys(*packed([sets[i] for i in order]), chosen).tolist() == keys[order].tolist()
    for i, members in enumerate(sets):
        assert band_keys(*packed([members]), chosen).tolist() == [keys[i].tolist()]
        assert (keys[i] == bands.NO_KEY).all() if not members else (keys[i] != bands.NO_KEY).all()


def test_a_large_batch_gives_the_keys_that_its_parts_give():
    rng = np.random.default_rng(3)
    sizes = rng.integers(0, 60, 300)
    hashes = np.concatenate([np.sort(rng.integers(0, 1 << 52, size, dtype=np.uint64)) for size in sizes])
    ends = np.concatenate([[0], np.cumsum(sizes)])
    parts = [
        band_keys(sizes[i : i + 10], hashes[ends[i] : ends[i + 10]], Bands(8, 4)) for i in range(0, 300, 10)
    ]
    assert np.concatenate(parts).tolist() == band_keys(sizes, hashes, Bands(8, 4)).tolist()


def test_keys_spread_over_their_range_so_that_parts_of_it_are_alike():
    rng = np.random.default_rng(5)
    keys = band_keys(*rows(rng.integers(0, 1 << 52, (4000, 40), dtype=np.uint64)), Bands(16, 2))
    for shift in (60, 30, 0):
        counts = np.bincount(((keys.ravel() >> np.uint64(shift)) & np.uint64(15)).astype(np.int64), minlength=16)
        assert np.abs(counts - 4000).max() < 5 * 4000**0.5
    assert len(np.unique(keys)) == keys.size


@pytest.mark.parametrize("threshold", [0.95, 0.8])
@pytest.mark.parametrize("keys_of", [band_keys, datasketch_keys])
def test_both_find_every_pair_planted_at_the_threshold_and_no_unlike_one(threshold, keys_of):
    rng = np.random.default_rng(11)
    (sizes, hashes), pairs = planted_corpus(rng, [threshold], 100, 100)
    keys = keys_of(sizes, hashes, plan(threshold, Metric.JACCARD))
    assert sharing(keys) == pairs


def test_datasketch_keys_are_shared_exactly_by_what_its_index_finds():
    from datasketch import MinHash, MinHashLSH

    rng = np.random.default_rng(12)
    (sizes, hashes), _ = planted_corpus(rng, (0.9, 0.7, 0.5, 0.3), 12, 40)
    sizes = np.append(sizes, 0)
    index, sketched = MinHashLSH(num_perm=128, params=(16, 3)), []
    for i, members in enumerate(np.split(hashes, np.cumsum(sizes))[: len(sizes) - 1]):
        sketch = MinHash(num_perm=128, seed=1, hashfunc=lambda each: int(each) >> 20)
        sketch.update_batch(members)
        index.insert(i, sketch)
        sketched.append(sketch)
    wanted = sorted({(i, j) for i, sketch in enumerate(sketched) for j in index.query(sketch) if i < j})
    keys = datasketch_keys(sizes, hashes, Bands(16, 3), num_perm=128)
    assert sharing(keys) == wanted
    assert keys[-1].tolist() == [bands.NO_KEY] * 16
    assert len(wanted) > 24


def test_similarity_is_estimated_as_well_as_datasketch_does():
    from datasketch import MinHash

    (sizes, hashes), pairs = planted_corpus(np.random.default_rng(13), [0.8], 100, 100)
    ours = sketches(sizes, hashes, 256)
    lists = (each.tolist() for each in np.split(hashes >> np.uint64(20), np.cumsum(sizes)[:-1]))
    theirs = MinHash.bulk(lists, num_perm=256, seed=1, hashfunc=int)
    error = (0.8 * 0.2 / 256) ** 0.5
    for estimates in (
        np.array([(ours[a] == ours[b]).mean() for a, b in pairs]),
        np.array([theirs[a].jaccard(theirs[b]) for a, b in pairs]),
    ):
        assert estimates.mean() == pytest.approx(0.8, abs=4 * error / 10)
        assert np.abs(estimates - 0.8).max() < 4.5 * error


def test_more_bins_than_permutations_are_refused():
    with pytest.raises(ValueError, match="num_perm"):
        datasketch_keys(np.array([1]), np.array([5], dtype=np.uint64), Bands(16, 10), num_perm=128)


def test_a_corpus_of_no_sets_has_no_keys_and_no_pairs():
    nothing, none = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
    for keys_of in (band_keys, datasketch_keys):
        keys = keys_of(nothing, none, Bands(4, 2))
        assert keys.shape == (0, 4)
        assert sharing(keys) == []
