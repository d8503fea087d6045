"""A corpus with labels: texts of lower-case words, near-duplicates planted among them, each pair's Jaccard counted.

There are at most 7,131 different words, so that five of them fit into 64 bits: a shingle here is its own number, no
hash, and what is counted is exact. Texts are one line of letters, digits and single blanks; a tool that lower-cases,
drops punctuation or cuts at headings sees the same words as one that splits at blanks. A corpus is made once for each
set of parameters; 200,000 texts take 160 MB of memory as word numbers and 0.5 GB of disk as JSON lines.
"""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "raw" / "leetcode_dataset_v0.1.0_train.jsonl.gz"
VERSION = 3
"""Of what is made of equal parameters."""
SHINGLE = 5
BASE = 7131
"""Most words in the vocabulary: BASE ** SHINGLE < 2 ** 64."""
TARGET_CHARS = 2150
"""Before words are replaced, which makes texts longer by 6 %."""
MOST_SENTENCES = 200
PLANTED = 0.2
LEAST_JACCARD = 0.6
CUT = 0.3
"""Share of the copies that lose a run of words; the others have single words replaced."""

Words = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Corpus:
    """Texts in a file, or some of them in a smaller one; a text's number is its id."""

    path: Path
    members: Ints
    """Numbers of the texts in the file."""
    words: Words
    """Word numbers of all texts of the whole corpus; text d is `words[offsets[d]:offsets[d + 1]]`."""
    offsets: Ints
    pairs: Ints
    """Planted pairs within the file, one a row: a, b, |A & B|, |A | B|."""

    def shingles(self, doc: int) -> Numbers:
        """The text's set of word 5-grams."""
        return shingle_numbers(self.words[self.offsets[doc] : self.offsets[doc + 1]])

    def jaccard(self, a: int, b: int) -> float:
        """Of two texts, counted; 0 where one has no shingle."""
        first, second = self.shingles(a), self.shingles(b)
        common = len(np.intersect1d(first, second, assume_unique=True))
        return common / max(len(first) + len(second) - common, 1)

    def labelled(self, threshold: float) -> Ints:
        """Planted pairs (a, b) whose Jaccard is at least `threshold`."""
        return self.pairs[self.pairs[:, 2] / self.pairs[:, 3] >= threshold][:, :2]

    def part(self, size: int) -> "Corpus":
        """At most `size` of the texts in a file beside: the first planted pairs make half of it, the first texts fill
        it up."""
        chosen = dict.fromkeys(self.pairs[: size // 4, :2].ravel().tolist())
        for doc in self.members.tolist():
            if len(chosen) >= min(size, len(self.members)):
                break
            chosen.setdefault(doc)
        members = np.array(sorted(chosen), dtype=np.int64)
        path = self.path.with_name(f"part-{size}.jsonl")
        with self.path.open("rb") as whole, path.open("wb") as part:
            part.writelines(line for number, line in enumerate(whole) if number in chosen)
        inside = np.isin(self.pairs[:, :2], members).all(axis=1)
        return replace(self, path=path, members=members, pairs=self.pairs[inside])


@dataclass(frozen=True)
class _Pool:
    """Sentences as word numbers, one after another; `chars` counts a blank after each word."""

    vocabulary: list[str]
    words: Words
    starts: Ints
    lengths: Ints
    chars: Ints


def rolled(words: Words) -> Numbers:
    """Each run of five words as one number; none where there are fewer words."""
    numbers = np.zeros(max(len(words) - SHINGLE + 1, 0), dtype=np.uint64)
    for i in range(SHINGLE):
        numbers = numbers * np.uint64(BASE) + words[i : i + len(numbers)]
    return numbers


def shingle_numbers(words: Words) -> Numbers:
    """The set of a text's word 5-grams, sorted."""
    return np.unique(rolled(words))


def corpus(cache: Path, docs: int, seed: int) -> Corpus:
    """The corpus of these parameters, from the folder `cache` where it is there already."""
    parameters = {
        "docs": docs, "seed": seed, "version": VERSION, "real": DATA.exists(), "shingle": SHINGLE,
        "chars": TARGET_CHARS, "planted": PLANTED, "least": LEAST_JACCARD, "cut": CUT,
    }
    folder = cache / f"dedup-{docs}-{seed}"
    made = folder / "made.json"
    if not made.exists() or json.loads(made.read_text()) != parameters:
        folder.mkdir(parents=True, exist_ok=True)
        made.unlink(missing_ok=True)
        _make(folder, docs, np.random.default_rng(seed))
        made.write_text(json.dumps(parameters))
    return Corpus(
        folder / "corpus.jsonl",
        np.arange(docs),
        np.load(folder / "words.npy", mmap_mode="r"),
        np.load(folder / "offsets.npy"),
        np.loadtxt(folder / "pairs.tsv", dtype=np.int64, ndmin=2, skiprows=1).reshape(-1, 4),
    )


def _make(folder: Path, docs: int, rng: np.random.Generator) -> None:
    pool = _pool(rng)
    originals = docs - int(docs * PLANTED)
    texts = [_original(rng, pool) for _ in range(originals)]
    planted = []
    for source in rng.integers(originals, size=docs - originals).tolist():
        copy = _copy(rng, texts[source], len(pool.vocabulary))
        a, b = shingle_numbers(texts[source]), shingle_numbers(copy)
        common = len(np.intersect1d(a, b, assume_unique=True))
        planted.append((source, len(texts), common, len(a) + len(b) - common))
        texts.append(copy)
    old = rng.permutation(docs)
    new = np.argsort(old)
    pairs = np.array(planted, dtype=np.int64).reshape(-1, 4)
    pairs[:, :2] = np.sort(new[pairs[:, :2]], axis=1)
    shuffled = [texts[number] for number in old.tolist()]
    np.savetxt(folder / "pairs.tsv", pairs, fmt="%d", delimiter="\t", header="a\tb\tcommon\tunion", comments="")
    np.save(folder / "offsets.npy", np.cumsum([0, *map(len, shuffled)]))
    np.save(folder / "words.npy", np.concatenate(shuffled))
    with (folder / "corpus.jsonl").open("w", encoding="ascii") as stream:
        for number, words in enumerate(shuffled):
            text = " ".join([pool.vocabulary[word] for word in words.tolist()])
            stream.write(f'{{"id":"{number}","statement":"{text}","tests":[]}}\n')


def _pool(rng: np.random.Generator) -> _Pool:
    found = [words for words in (_real_sentences() if DATA.exists() else _invented_sentences(rng)) if len(words) >= 4]
    vocabulary = sorted(word for word, _ in Counter(word for words in found for word in words).most_common(BASE))
    number = {word: i for i, word in enumerate(vocabulary)}
    kept = [words for words in found if all(word in number for word in words)]
    lengths = np.array([len(words) for words in kept])
    chars = np.array([sum(map(len, words)) + len(words) for words in kept])
    flat = np.array([number[word] for words in kept for word in words], dtype=np.uint16)
    return _Pool(vocabulary, flat, np.cumsum(lengths) - lengths, lengths, chars)


def _real_sentences() -> Iterable[list[str]]:
    with gzip.open(DATA, "rt", encoding="utf-8") as stream:
        for row in map(json.loads, stream):
            for sentence in re.split(r"(?<=[.!?:])\s+|\n+", row["meta"]["question_title"]):
                yield re.findall(r"[a-z0-9]+", sentence.lower())


def _invented_sentences(rng: np.random.Generator) -> Iterable[list[str]]:
    letters: Any = np.array(list("abcdefghijklmnoprstuvw"))
    vocabulary = ["".join(rng.choice(letters, size=rng.integers(2, 10))) for _ in range(6000)]
    for _ in range(20000):
        yield [vocabulary[i] for i in rng.integers(len(vocabulary), size=rng.integers(5, 21)).tolist()]


def _original(rng: np.random.Generator, pool: _Pool) -> Words:
    """Sentences at random up to `TARGET_CHARS`; three of five have a sixth of their words replaced."""
    chosen = rng.integers(len(pool.starts), size=MOST_SENTENCES)
    chosen = chosen[: 1 + int(np.searchsorted(np.cumsum(pool.chars[chosen]), TARGET_CHARS))]
    lengths = pool.lengths[chosen]
    ends = np.cumsum(lengths)
    words: Words = pool.words[np.repeat(pool.starts[chosen] - (ends - lengths), lengths) + np.arange(ends[-1])]
    changed = np.repeat(rng.random(len(chosen)) < 0.6, lengths) & (rng.random(len(words)) < 1 / 6)
    words[changed] = rng.integers(len(pool.vocabulary), size=int(changed.sum()))
    return words


def _copy(rng: np.random.Generator, words: Words, vocabulary: int) -> Words:
    """`words` without a run of them, or with some replaced, each of which costs about five shingles on either side."""
    wanted = rng.uniform(LEAST_JACCARD, 1.0)
    if rng.random() < CUT:
        run = round(len(words) * (1 - wanted))
        start = int(rng.integers(len(words) - run + 1))
        return np.concatenate([words[:start], words[start + run :]])
    copy = words.copy()
    count = round(len(words) * (1 - wanted) / (SHINGLE * (1 + wanted)))
    copy[rng.choice(len(words), count, replace=False)] = rng.integers(vocabulary, size=count)
    return copy
