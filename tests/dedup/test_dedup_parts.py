"""The small parts of the join against plain Python: heads of sets, sums of meetings, forests, lines on the disk."""

import random
from collections import Counter
from contextlib import ExitStack
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_tools.core.records import Line
from dc_tools.dedup import spool
from dc_tools.dedup.arrays import chunks, distinct, ranges, sort_slices
from dc_tools.dedup.pairs.components import Forest
from dc_tools.dedup.pairs.join import Meetings
from dc_tools.dedup.pairs.order import SAMPLE, SHARE, Order, sampled
from dc_tools.dedup.shared import nameless_file

WORDS = st.integers(0, (1 << 52) - 1)


def packed(sets):
    sizes = np.array([len(each) for each in sets], dtype=np.int64)
    return sizes, np.array([x for each in sets for x in sorted(each)], dtype=np.uint64)


@settings(deadline=None)
@given(st.lists(st.sets(st.sampled_from([i << 42 for i in range(40)]), max_size=12), max_size=8), st.data())
def test_heads_are_the_first_of_each_set_in_the_learned_order(sets, data):
    elements = packed(sets)[1]
    order = Order.learn([elements], len(elements))
    lengths = np.array([data.draw(st.integers(0, len(each))) for each in sets], dtype=np.int64)
    found = order.heads(*packed(sets), lengths).tolist()
    times = Counter(x for each in sets for x in each)
    for each, length in zip(sets, lengths.tolist(), strict=True):
        wanted = sorted(each, key=lambda x: (times[x].bit_length(), x))[:length]
        assert sorted(found[:length]) == sorted(wanted)
        found = found[length:]
    assert found == []


def test_the_order_of_unknown_shingles_is_by_hash_and_they_come_first():
    sampled = [np.repeat(np.array([x << 44], dtype=np.uint64), times) for x, times in ((7, 8), (9, 2))]
    order = Order.learn(sampled, 10)
    members = np.array([1 << 44, 7 << 44, 9 << 44, 11 << 44], dtype=np.uint64)
    for length, wanted in enumerate([[], [1], [1, 11], [1, 9, 11], [1, 7, 9, 11]]):
        found = order.heads(np.array([4]), members, np.array([length]))
        assert [x >> 44 for x in found.tolist()] == wanted


@pytest.mark.parametrize("count", [0, 1, SAMPLE, SAMPLE + 1, 40 * SAMPLE])
def test_the_order_is_learned_from_all_parts_of_the_input(count):
    numbers = sampled(count)
    assert len(numbers) == min(count, max(SAMPLE, count // SHARE))
    assert (np.diff(numbers) > 0).all()
    if count:
        assert np.histogram(numbers, 100, (0, count))[0].max() <= len(numbers) / 100 + 2


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), max_size=8), max_size=5), st.integers(1, 4))
def test_meetings_add_up_whole_or_in_lots(parts, count):
    made, wanted = [], Counter()
    for part in parts:
        own = Counter()
        for pair, times in part:
            own[pair] += times
        wanted.update(own)
        pairs = sorted(own)
        made.append(Meetings(np.array(pairs, dtype=np.uint64), np.array([own[p] for p in pairs], dtype=np.int64)))
    whole = Meetings.tally(made)
    assert dict(zip(whole.pairs.tolist(), whole.times.tolist(), strict=True)) == wanted
    lots = [Meetings.tally(lot) for lot in zip(*(each.slices(count) for each in made), strict=True)]
    found = [pair for lot in lots for pair in zip(lot.pairs.tolist(), lot.times.tolist(), strict=True)]
    assert sorted(found) == sorted(wanted.items())


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=20), st.integers(1, 5))
def test_forests_merged_are_the_forest_of_all(pairs, step):
    wanted = list(range(15))
    for _ in wanted:
        for a, b in pairs:
            wanted[a] = wanted[b] = min(wanted[a], wanted[b])
    a, b = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    forests = [Forest.of(a[i : i + step], b[i : i + step]) for i in range(0, len(pairs), step)] or [Forest.of(a, b)]
    assert Forest.merged(*forests).labels(15).tolist() == wanted
    assert Forest.merged(Forest.merged(*forests[::2]), *forests[1::2]).labels(15).tolist() == wanted


@settings(deadline=None)
@given(st.lists(st.lists(WORDS, max_size=6), max_size=6))
def test_small_tools(lists):
    lengths = np.array([len(each) for each in lists], dtype=np.int64)
    words = np.array([x for each in lists for x in each], dtype=np.uint64)
    found, times = distinct(words)
    assert dict(zip(found.tolist(), times.tolist(), strict=True)) == Counter(words.tolist())
    assert found.tolist() == sorted(found.tolist())
    sort_slices(words, lengths)
    assert words.tolist() == [x for each in lists for x in sorted(each)]
    starts = np.arange(len(lists)) * 100
    expected = [100 * i + j for i, each in enumerate(lists) for j in range(len(each))]
    assert ranges(starts, lengths).tolist() == expected
    pieces = list(chunks(lengths, 5, 3))
    assert [i for start, stop in pieces for i in range(start, stop)] == list(range(len(lists)))
    assert all(stop - start <= 3 for start, stop in pieces)
    assert all(lengths[start:stop].sum() <= 5 or stop - start == 1 for start, stop in pieces)


def test_lines_come_back_as_they_came_in_any_order():
    rng = random.Random(5)
    texts = [rng.randbytes(rng.choice([1, 40, 3000])).hex().encode() for _ in range(300)]
    lines = [Line(text, f"file{i // 70}", i + 1, i) for i, text in enumerate(texts)]
    with ExitStack() as stack, patch.object(spool, "BUFFER", 2000):
        kept = spool.Lines(stack.enter_context(nameless_file()))
        for line in lines:
            kept.add(line)
        kept.flush()
        places = rng.sample(range(300), 300)
        for found, line in [*((kept.line(i), lines[i]) for i in places), *zip(kept.lines(7), lines[7:], strict=True)]:
            assert (found.raw, found.file, found.number, found.index) == (line.raw, line.file, line.number, line.index)
        assert len(kept) == 300
