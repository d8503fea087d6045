"""Benchmark of dc-dedup against datasketch (and rensa where installed) on a corpus with labelled near-duplicates.

    python tests/bench/dedup.py [--docs 10000] [--threshold 0.95] [--tools ours,bulk,naive,rensa]

Texts of about 2.3 kB are made of sentences of real statements (../shared/data, else a generated vocabulary). A fifth
are near-duplicates planted by replacing words; the exact Jaccard of each with its original is counted, not estimated.
Every tool runs in a process of its own on one thread, from file to removed ids. Recall: planted pairs at or above the
threshold one of whose sides is removed. Precision: removed texts that have a true neighbour, by brute force.
"""

import argparse
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "raw"
SHINGLE = 5
PERMUTATIONS = 128
TARGET_CHARS = 2300
PLANTED = 0.2
NAMES = {
    "ours": "dc-dedup", "naive": "datasketch, naive", "bulk": "datasketch, bulk + xxh32", "rensa": "rensa R-MinHash",
}

Words = list[str]
Pair = tuple[int, int, float]


def shingles(words: Words) -> set[tuple[str, ...]]:
    """The set of word 5-grams."""
    return {tuple(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1))}


def sentences(rng: random.Random) -> list[Words]:
    """Sentences of lower-case words: of real statements where they are at hand, else of generated words."""
    found = []
    path = DATA / "leetcode_dataset_v0.1.0_train.jsonl.gz"
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            for row in map(json.loads, stream):
                for sentence in re.split(r"(?<=[.!?:])\s+|\n+", row["meta"]["question_title"]):
                    found.append(re.findall(r"[a-z0-9]+", sentence.lower()))
    else:
        vocabulary = ["".join(rng.choices("abcdefghijklmnoprstuvw", k=rng.randint(2, 9))) for _ in range(8000)]
        found = [rng.choices(vocabulary, k=rng.randint(5, 20)) for _ in range(20000)]
    return [words for words in found if len(words) >= 4]


def make_corpus(docs: int, seed: int = 7) -> tuple[list[Words], list[Pair]]:
    """Texts as words in random order, and the planted pairs (earlier, later, exact Jaccard)."""
    rng = random.Random(seed)
    pool = sentences(rng)
    vocabulary = sorted({word for words in pool for word in words})
    originals = docs - int(docs * PLANTED)
    texts = [_original(rng, pool, vocabulary) for _ in range(originals)]
    pairs = []
    while len(texts) < docs:
        source = rng.randrange(originals)
        copy = _copy(rng, texts[source], vocabulary, rng.uniform(0.6, 1.0))
        a, b = shingles(texts[source]), shingles(copy)
        pairs.append((source, len(texts), len(a & b) / len(a | b)))
        texts.append(copy)
    places = rng.sample(range(docs), docs)
    shuffled: list[Words] = [[]] * docs
    for old, new in enumerate(places):
        shuffled[new] = texts[old]
    return shuffled, [(min(places[a], places[b]), max(places[a], places[b]), j) for a, b, j in pairs]


def _original(rng: random.Random, pool: list[Words], vocabulary: Words) -> Words:
    words: Words = []
    while sum(map(len, words)) + len(words) < TARGET_CHARS:
        sentence = list(rng.choice(pool))
        if rng.random() < 0.6:
            for _ in range(max(1, len(sentence) // 6)):
                sentence[rng.randrange(len(sentence))] = rng.choice(vocabulary)
        words += sentence
    return words


def _copy(rng: random.Random, words: Words, vocabulary: Words, jaccard: float) -> Words:
    """Replace words; each alone costs about five shingles on either side."""
    copy = list(words)
    count = round(len(words) * (1 - jaccard) / (SHINGLE * (1 + jaccard)))
    for place in rng.sample(range(len(words)), count):
        copy[place] = rng.choice(vocabulary)
    return copy


def read_texts(path: str) -> Iterator[tuple[str, Words]]:
    """Ids and words, as a user of a library reads them."""
    import orjson

    with open(path, "rb") as stream:
        for line in stream:
            row = orjson.loads(line)
            yield row["id"], re.findall(r"\w+", row["statement"].lower())


def run_ours(path: str, threshold: float) -> list[str]:
    """File to file with evidence: everything that the command does."""
    from dc_tools.dedup.command import main

    removed = f"{path}.removed"
    try:
        main([path, "-o", f"{path}.kept", "--removed", removed, "--metric", "jaccard", "--shingle", str(SHINGLE),
              "--threshold", str(threshold), "--workers", "1", "-q"])
    except SystemExit as end:
        if end.code:
            raise
    return [json.loads(line)["id"] for line in open(removed, "rb")]


def run_naive(path: str, threshold: float) -> list[str]:
    """The loop of datasketch's own examples."""
    from datasketch import MinHash, MinHashLSH

    index, removed = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS), []
    for name, words in read_texts(path):
        sketch = MinHash(num_perm=PERMUTATIONS)
        for shingle in shingles(words):
            sketch.update(" ".join(shingle).encode())
        if index.query(sketch):
            removed.append(name)
        else:
            index.insert(name, sketch)
    return removed


def run_bulk(path: str, threshold: float) -> list[str]:
    """datasketch at its quickest: generator, shared permutations, a fast 32-bit hash."""
    import xxhash
    from datasketch import MinHash, MinHashLSH

    index, removed, names = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS), [], []

    def documents() -> Iterator[list[bytes]]:
        for name, words in read_texts(path):
            names.append(name)
            yield [" ".join(shingle).encode() for shingle in shingles(words)]

    sketches = MinHash.generator(documents(), num_perm=PERMUTATIONS, hashfunc=xxhash.xxh32_intdigest)
    for place, sketch in enumerate(sketches):
        if index.query(sketch):
            removed.append(names[place])
        else:
            index.insert(names[place], sketch)
    return removed


def run_rensa(path: str, threshold: float) -> list[str]:
    """rensa's inline way: sketch, query its LSH, keep or remove."""
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, num_bands=16)
    sketches: list[Any] = []
    removed = []
    for name, words in read_texts(path):
        sketch = RMinHash(num_perm=PERMUTATIONS, seed=42)
        sketch.update([" ".join(shingle) for shingle in shingles(words)])
        if any(sketches[other].jaccard(sketch) >= threshold for other in index.query(sketch)):
            removed.append(name)
        else:
            index.insert(len(sketches), sketch)
            sketches.append(sketch)
    return removed


TOOLS: dict[str, Callable[[str, float], list[str]]] = {
    "ours": run_ours, "naive": run_naive, "bulk": run_bulk, "rensa": run_rensa,
}


def run_tool(tool: str, path: str, threshold: float) -> None:
    """In the tool's own process: run it and print what it removed, its CPU seconds and its peak memory."""
    started = time.process_time()
    removed = TOOLS[tool](path, threshold)
    cpu_s = time.process_time() - started
    status = Path("/proc/self/status").read_text()
    peak_mb = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"removed": removed, "cpu_s": cpu_s, "peak_mb": peak_mb}))


def true_neighbours(docs: list[int], sets: list[set[tuple[str, ...]]], threshold: float) -> set[int]:
    """Those of `docs` that have a neighbour at or above the threshold, by an inverted index over all texts."""
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    wanted = set().union(*(sets[d] for d in docs))
    for number, members in enumerate(sets):
        for shingle in members & wanted:
            holders[shingle].append(number)
    found = set()
    for doc in docs:
        common = Counter(other for shingle in sets[doc] for other in holders[shingle] if other != doc)
        if any(n / (len(sets[doc]) + len(sets[other]) - n) >= threshold for other, n in common.items()):
            found.add(doc)
    return found


def main() -> None:
    """Make the corpus, run the tools, print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=int, default=10_000)
    parser.add_argument("--threshold", type=float, default=0.95)
    parser.add_argument("--tools", default="ours,bulk,naive,rensa")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_tool(*options.child, options.threshold)
        return
    texts, pairs = make_corpus(options.docs)
    sets = [shingles(words) for words in texts]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "corpus.jsonl")
        with open(path, "w", encoding="utf-8") as stream:
            for number, words in enumerate(texts):
                stream.write(json.dumps({"id": str(number), "statement": " ".join(words), "tests": []}) + "\n")
        megabytes = os.path.getsize(path) / 1e6
        labelled = [(a, b) for a, b, j in pairs if j >= options.threshold]
        print(f"{len(texts)} texts, {megabytes:.0f} MB, {len(labelled)} planted pairs >= {options.threshold}")
        print("| tool | docs/s | MB/s | peak MB | removed | recall | precision |\n|---|---|---|---|---|---|---|")
        for tool in options.tools.split(","):
            print(_row(tool, path, options.threshold, sets, labelled, megabytes), flush=True)


def _row(
    tool: str, path: str, threshold: float, sets: list[set[tuple[str, ...]]], labelled: list[tuple[int, int]],
    megabytes: float,
) -> str:
    command = [sys.executable, __file__, "--child", tool, path, "--threshold", str(threshold)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        return f"| {NAMES[tool]} | not run: {done.stderr.strip().splitlines()[-1]} | | | | | |"
    result = json.loads(done.stdout)
    removed = {int(name) for name in result["removed"]}
    recall = sum(a in removed or b in removed for a, b in labelled) / max(len(labelled), 1)
    planted = {doc for pair in labelled for doc in pair}
    others = true_neighbours(sorted(removed - planted), sets, threshold) if removed - planted else set()
    precision = (len(removed & planted) + len(others)) / max(len(removed), 1)
    rate = len(sets) / result["cpu_s"]
    return (
        f"| {NAMES[tool]} | {rate:,.0f} | {megabytes / result['cpu_s']:.1f} | {result['peak_mb']:.0f} "
        f"| {len(removed)} | {recall:.3f} | {precision:.3f} |"
    )


if __name__ == "__main__":
    main()
