"""The tools under comparison, each at the quickest way that its documents show, and brute force.

Run as `python dedup_tools.py TOOL INPUT OUTPUT THRESHOLD WORDS` for the libraries: reads the lines of INPUT, writes
those kept to OUTPUT/kept.jsonl and the others to OUTPUT/removed.jsonl. All libraries get the same shingles, made as
cheaply as Python can; repeats are left in, since they change no minimum. Sketches have 128 slots.
"""

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SHINGLE = 5
SLOTS = 128
SEED = 42
HERE = Path(__file__)

Texts = Iterable[list[str]]
"""The words of each statement."""


@dataclass(frozen=True)
class Tool:
    """A row of the table."""

    name: str
    on_part: bool = False
    """Too slow for the whole corpus."""
    explains: bool = False
    """Says in `dedup` what each removed record matched."""


TOOLS = {
    "ours": Tool("dc-dedup, exact", explains=True),
    "ours2": Tool("dc-dedup, exact, 2 workers", explains=True),
    "approx": Tool("dc-dedup, --approx", explains=True),
    "rensa-r": Tool("rensa, R-MinHash inline"),
    "rensa-c": Tool("rensa, C-MinHash inline"),
    "rensa-rho": Tool("rensa, rho batch (flags every member)"),
    "bulk": Tool("datasketch, generator + xxh32"),
    "text-dedup": Tool("text-dedup minhash"),
    "ours-part": Tool("dc-dedup, exact", on_part=True, explains=True),
    "naive": Tool("datasketch, update by update", on_part=True),
    "brute": Tool("brute force, inverted index", on_part=True),
}


def command(tool: str, path: Path, output: Path, threshold: float, words: str, text_dedup: str) -> list[str]:
    """The command line that reads `path` and writes into the folder `output`."""
    if tool in {"ours", "ours2", "ours-part", "approx"}:
        extra = ["--approx"] if tool == "approx" else []
        return [
            str(Path(sys.executable).with_name("dc-dedup")), str(path), "-o", str(output / "kept.jsonl"), "--removed",
            str(output / "removed.jsonl"), "--metric", "jaccard", "--shingle", str(SHINGLE), "--threshold",
            str(threshold), "--workers", "2" if tool == "ours2" else "1", "-q", *extra,
        ]
    if tool == "text-dedup":
        return [
            text_dedup, "-m", "text_dedup.minhash", "--path", "json", "--data_files", str(path), "--split", "train",
            "--cache_dir", str(output / "cache"), "--output", str(output / "kept"), "--column", "statement", "--ngram",
            str(SHINGLE), "--threshold", str(threshold), "--num_perm", str(SLOTS), "--hash_func", "xxh3",
            "--hash_bits", "32", "--num_proc", "1",
        ]
    return [sys.executable, str(HERE), tool, str(path), str(output), str(threshold), words]


def shingles(words: list[str]) -> list[str]:
    """The word 5-grams of a text, repeats included."""
    return list(map(" ".join, zip(*(words[i:] for i in range(SHINGLE)), strict=False)))


def texts(path: Path, words: str) -> Iterator[list[str]]:
    """The words of each line's statement: `split` at blanks, or lower-cased and found by `regex`."""
    import orjson

    word = re.compile(r"\w+")
    with path.open("rb") as stream:
        for line in stream:
            statement = orjson.loads(line)["statement"]
            yield statement.split() if words == "split" else word.findall(statement.lower())


def naive(documents: Texts, threshold: float) -> Iterator[bool]:
    """datasketch as in its first example: a sketch updated shingle by shingle, query, insert."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=threshold, num_perm=SLOTS)
    for number, words in enumerate(documents):
        sketch = MinHash(num_perm=SLOTS)
        for shingle in set(shingles(words)):
            sketch.update(shingle.encode())
        keep = not index.query(sketch)
        if keep:
            index.insert(number, sketch)
        yield keep


def bulk(documents: Texts, threshold: float) -> Iterator[bool]:
    """datasketch at its quickest: `MinHash.generator` shares the permutations, a fast 32-bit hash, keys unchecked."""
    import xxhash
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=threshold, num_perm=SLOTS)
    encoded = ([shingle.encode() for shingle in shingles(words)] for words in documents)
    sketches = MinHash.generator(encoded, num_perm=SLOTS, hashfunc=xxhash.xxh32_intdigest)
    for number, sketch in enumerate(sketches):
        keep = not index.query(sketch)
        if keep:
            index.insert(number, sketch, check_duplication=False)
        yield keep


def rensa_r(documents: Texts, threshold: float) -> list[bool]:
    """rensa's documented way to keep unique documents: full-set R-MinHash, bands, estimates compared."""
    from rensa import RMinHashDeduplicator

    index = RMinHashDeduplicator(threshold=threshold, num_perm=SLOTS, use_lsh=True, seed=SEED)
    kept: list[bool] = index.add_pairs((str(number), shingles(words)) for number, words in enumerate(documents))
    return kept


def rensa_c(documents: Texts, threshold: float) -> list[bool]:
    """The same with C-MinHash."""
    from rensa import CMinHashDeduplicator

    index = CMinHashDeduplicator(threshold=threshold, num_perm=SLOTS, seed=SEED)
    kept: list[bool] = index.add_pairs((str(number), shingles(words)) for number, words in enumerate(documents))
    return kept


def rensa_rho(documents: Texts, threshold: float) -> list[bool]:
    """rensa's quickest, which its own benchmark times: sampled positions, one matrix, flags by shared bands.

    It flags each member of a group, the first too, and compares no estimates. Eight bands, as that benchmark has, catch
    99 % of pairs at 0.95 and 20 % at 0.8; sixteen catch 95 % there.
    """
    from rensa import RMinHash, RMinHashLSH

    matrix = RMinHash.digest_matrix_from_token_sets_rho(map(shingles, documents), SLOTS, SEED)
    index = RMinHashLSH(threshold=threshold, num_perm=SLOTS, num_bands=8 if threshold >= 0.9 else 16)
    return [not flag for flag in index.query_duplicate_flags_matrix_one_shot(matrix)]


def brute(documents: Texts, threshold: float) -> list[bool]:
    """The truth: who shares which shingle with whom is counted, chains are followed, the first of each is kept."""
    sets = [set(shingles(words)) for words in documents]
    holders: dict[str, list[int]] = defaultdict(list)
    first = list(range(len(sets)))
    for number, members in enumerate(sets):
        common = Counter(other for shingle in members for other in holders[shingle])
        for other, n in common.items():
            if n / (len(members) + len(sets[other]) - n) >= threshold:
                a, b = sorted((_root(first, number), _root(first, other)))
                first[b] = a
        for shingle in members:
            holders[shingle].append(number)
    return [first[number] == number for number in range(len(sets))]


def _root(first: list[int], number: int) -> int:
    while first[number] != number:
        number = first[number]
    return number


LIBRARIES: dict[str, Callable[[Texts, float], Iterable[bool]]] = {
    "naive": naive, "bulk": bulk, "rensa-r": rensa_r, "rensa-c": rensa_c, "rensa-rho": rensa_rho, "brute": brute,
}


def main(tool: str, path: str, output: str, threshold: str, words: str) -> None:
    """Decide on all texts, then copy each line to one of the two files."""
    kept = list(LIBRARIES[tool](texts(Path(path), words), float(threshold)))
    folder = Path(output)
    with (
        Path(path).open("rb") as lines,
        (folder / "kept.jsonl").open("wb") as first,
        (folder / "removed.jsonl").open("wb") as second,
    ):
        for keep, line in zip(kept, lines, strict=True):
            (first if keep else second).write(line)


if __name__ == "__main__":
    main(*sys.argv[1:])
