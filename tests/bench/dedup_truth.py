"""What a tool's removals are worth: recall, precision and the evidence, against exactly counted Jaccard."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from dedup_corpus import SHINGLE, Corpus, Ints, Numbers, rolled

WINDOW = 1 << 21
"""Words whose shingles are looked at together."""
BITS = 22
MIXER = np.uint64(0x9E3779B97F4A7C15)
CLOSE = 1e-6
SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


@dataclass(frozen=True)
class Score:
    """`recall`: labelled pairs with a side removed. `precision`: removed texts that have a true neighbour.

    `lost`: labelled pairs, no other near, whose sides are both removed though one ought to be kept.
    """

    removed: int
    recall: float
    precision: float
    lost: int


@dataclass(frozen=True)
class Evidence:
    """Removed records; those whose named match is at or above the threshold; those whose score is the exact one."""

    removed: int
    named: int
    exact: int


def removed_ids(corpus: Corpus, output: Path) -> Ints:
    """Numbers of the texts that a tool removed: from its file, or all but those in the Arrow folder `kept`."""
    removed = output / "removed.jsonl"
    if removed.exists():
        return np.array([int(row["id"]) for row in _rows(removed)], dtype=np.int64)
    import pyarrow as pa

    kept = [pa.ipc.open_stream(str(path)).read_all()["id"].to_pylist() for path in (output / "kept").glob("*.arrow")]
    return np.setdiff1d(corpus.members, np.array([int(name) for names in kept for name in names], dtype=np.int64))


def score(corpus: Corpus, removed: Ints, threshold: float) -> Score:
    """Count what was removed against the labels, and what they do not explain against all texts."""
    labelled = corpus.labelled(threshold)
    sides = np.isin(labelled, removed)
    others = np.setdiff1d(removed, labelled)
    true = len(np.intersect1d(removed, labelled)) + sum(has_neighbour(corpus, others, threshold))
    docs, times = np.unique(corpus.pairs[:, :2], return_counts=True)
    alone = np.isin(labelled, docs[times == 1]).all(axis=1)
    return Score(
        len(removed),
        float(sides.any(axis=1).mean()) if len(labelled) else 1.0,
        true / len(removed) if len(removed) else 1.0,
        int((sides.all(axis=1) & alone).sum()),
    )


def has_neighbour(corpus: Corpus, docs: Ints, threshold: float) -> list[bool]:
    """For each of `docs`, whether another text of the corpus is at or above the threshold.

    Of a text with n shingles at least n * threshold must be in a neighbour, so the neighbour has one of any
    n - n * threshold + 1 of them; the rarest are looked for, and who has one is counted.
    """
    if not len(docs):
        return []
    rarity = np.zeros(1 << BITS, dtype=np.int64)
    for _, numbers in _windows(corpus):
        rarity += np.bincount(_buckets(numbers), minlength=1 << BITS)
    prefixes = []
    for doc in docs.tolist():
        members = corpus.shingles(doc)
        order = np.argsort(rarity[_buckets(members)], kind="stable")
        prefixes.append(members[order[: len(members) - math.ceil(threshold * len(members) - CLOSE) + 1]])
    pairs = _meetings(corpus, np.concatenate(prefixes), np.repeat(docs, [len(each) for each in prefixes]))
    inside = set(corpus.members.tolist())
    found: set[int] = set()
    for doc, other in pairs.tolist():
        if doc not in found and doc != other and other in inside and corpus.jaccard(doc, other) >= threshold:
            found.add(doc)
    return [doc in found for doc in docs.tolist()]


def _meetings(corpus: Corpus, wanted: Numbers, holders: Ints) -> Ints:
    """Pairs (holder, text that has one of its wanted shingles), one a row; a few that only seem so."""
    order = np.argsort(wanted)
    wanted, holders = wanted[order], holders[order]
    likely = np.zeros(1 << BITS, dtype=np.bool_)
    likely[_buckets(wanted)] = True
    found = [np.zeros((0, 2), dtype=np.int64)]
    for start, numbers in _windows(corpus):
        places = np.flatnonzero(likely[_buckets(numbers)])
        low, high = (np.searchsorted(wanted, numbers[places], side) for side in SIDES)
        times = high - low
        ends = np.cumsum(times)
        held = holders[np.repeat(low - (ends - times), times) + np.arange(int(times.sum()))]
        texts = np.searchsorted(corpus.offsets, start + places, side="right") - 1
        found.append(np.column_stack([held, np.repeat(texts, times)]))
    return np.unique(np.concatenate(found), axis=0)


def _windows(corpus: Corpus) -> Iterator[tuple[int, Numbers]]:
    """The runs of five words of all texts and where they begin, some at a time; a few reach from text to text."""
    for start in range(0, len(corpus.words), WINDOW):
        yield start, rolled(corpus.words[start : start + WINDOW + SHINGLE - 1])


def evidence(corpus: Corpus, output: Path, threshold: float) -> Evidence:
    """What the removed records name as their match, against the Jaccard counted here."""
    rows = list(_rows(output / "removed.jsonl"))
    named = exact = 0
    for row in rows:
        told = row["dedup"]
        jaccard = corpus.jaccard(int(row["id"]), int(told.get("through") or told["kept_id"]))
        named += jaccard >= threshold
        exact += abs(jaccard - told["score"]) < CLOSE
    return Evidence(len(rows), named, exact)


def _buckets(numbers: Numbers) -> Ints:
    return ((numbers * MIXER) >> np.uint64(64 - BITS)).astype(np.int64)


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as stream:
        return [json.loads(line) for line in stream]
