"""What a tool's removals are worth: recall, precision and the evidence, against exactly counted Jaccard."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from dedup_corpus import Corpus, Ints, Numbers

BLOCK = 1000
"""Texts whose shingles are looked up at a time."""
SAMPLE = 2000
"""Removed texts, beside those of labelled pairs, for which neighbours are sought; of more, so many at random."""
CLOSE = 1e-6
SHOWN_BITS = 22
"""Size of the table of shingles' remainders by which most look-ups are saved."""


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
    """Recall is exact; precision too, up to `SAMPLE` removed texts outside the labelled pairs."""
    labelled = corpus.labelled(threshold)
    sides = np.isin(labelled, removed)
    planted = np.intersect1d(removed, labelled)
    others = np.setdiff1d(removed, planted)
    sample = others
    if len(others) > SAMPLE:
        sample = np.random.default_rng(0).choice(others, SAMPLE, replace=False)
    true = len(planted) + len(others) * _share(has_neighbour(corpus, sample, threshold))
    _, occurrences = np.unique(corpus.pairs[:, :2], return_counts=True)
    single = dict(zip(np.unique(corpus.pairs[:, :2]).tolist(), (occurrences == 1).tolist(), strict=True))
    alone = np.array([single[a] and single[b] for a, b in labelled.tolist()], dtype=np.bool_)
    return Score(
        len(removed),
        float(sides.any(axis=1).mean()) if len(labelled) else 1.0,
        true / len(removed) if len(removed) else 1.0,
        int((sides.all(axis=1) & alone).sum()),
    )


def has_neighbour(corpus: Corpus, docs: Ints, threshold: float) -> Ints:
    """1 for each of `docs` that has another text of the corpus at or above the threshold, else 0; by counting."""
    found = np.zeros(len(docs), dtype=np.int64)
    if not len(docs):
        return found
    sets = [corpus.shingles(doc) for doc in docs.tolist()]
    sizes = np.array([len(each) for each in sets])
    numbers = np.concatenate(sets)
    order = np.argsort(numbers, kind="stable")
    numbers, holders = numbers[order], np.repeat(np.arange(len(docs)), sizes)[order]
    likely = np.zeros(1 << SHOWN_BITS, dtype=np.bool_)
    likely[_remainders(numbers)] = True
    for start in range(0, len(corpus.members), BLOCK):
        members = corpus.members[start : start + BLOCK]
        others = [corpus.shingles(doc) for doc in members.tolist()]
        other_sizes = np.array([len(each) for each in others])
        asked, owners = np.concatenate(others), np.repeat(np.arange(len(others)), other_sizes)
        chosen = likely[_remainders(asked)]
        asked, owners = asked[chosen], owners[chosen]
        low, high = np.searchsorted(numbers, asked, "left"), np.searchsorted(numbers, asked, "right")
        times = high - low
        ends = np.cumsum(times)
        places = np.repeat(low - (ends - times), times) + np.arange(int(times.sum()))
        pairs, common = np.unique(holders[places] * BLOCK + np.repeat(owners, times), return_counts=True)
        doc, other = pairs // BLOCK, pairs % BLOCK
        near = common / (sizes[doc] + other_sizes[other] - common) >= threshold
        found[doc[near & (docs[doc] != members[other])]] = 1
    return found


def evidence(corpus: Corpus, output: Path, threshold: float) -> Evidence:
    """What the removed records name as their match, against the Jaccard counted here."""
    rows = list(_rows(output / "removed.jsonl"))
    named = exact = 0
    for row in rows:
        told = row["dedup"]
        a, b = (corpus.shingles(int(name)) for name in (row["id"], told.get("through") or told["kept_id"]))
        common = len(np.intersect1d(a, b, assume_unique=True))
        jaccard = common / (len(a) + len(b) - common)
        named += jaccard >= threshold
        exact += abs(jaccard - told["score"]) < CLOSE
    return Evidence(len(rows), named, exact)


def _remainders(numbers: Numbers) -> Numbers:
    return (numbers ^ (numbers >> np.uint64(SHOWN_BITS))) & np.uint64((1 << SHOWN_BITS) - 1)


def _share(flags: Ints) -> float:
    return float(flags.mean()) if len(flags) else 0.0


def _rows(path: Path) -> "list[dict[str, Any]]":
    with path.open("rb") as stream:
        return [json.loads(line) for line in stream]
