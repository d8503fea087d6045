"""Benchmark of dc-dedup against the libraries that people use, on texts with labelled near-duplicates, in one run.

    python tests/bench/dedup.py [--docs 10000] [--threshold 0.95,0.8] [--tools ours,bulk] [--rounds 1]
        [--words split] [--cache FOLDER] [--part 2000] [--text-dedup PYTHON]

Texts of about 2.3 kB are made of sentences of real statements (../shared/data, else of invented words); a fifth are
near-duplicates of others, whose Jaccard of word 5-grams, 0.6 to 1, is counted and kept in a label file (pairs.tsv).
They stay in FOLDER (TMPDIR/dc-bench) and serve the next run with equal parameters.

Each tool runs from file to file as a process of its own, one thread, the tools in turn, round by round; medians are
printed. Docs/s and MB/s are of CPU seconds, of the whole process with its start, which "start" gives alone, as does
"empty" its memory: both of the same command on ten texts. "B/doc" is what is beyond. "Ours" is how many times as
quick as the tool dc-dedup is, by CPU. Recall: labelled pairs at or above the threshold with a side removed. Precision:
removed texts that have a true neighbour. Lost: isolated labelled pairs of which nothing is left.

Two sizes (`--docs 50000,200000`) also give the slope of memory in bytes a document. The slow ones, update by update
and brute force, run on a part of the corpus, half of it in labelled pairs; there dc-dedup must remove what brute force
does. rensa is its package; text-dedup runs by the interpreter that is given, as its dependencies are many.

The libraries take words by splitting at blanks, the quickest way and enough for these texts; `--words regex` has them
lower-case and search `\\w+`, as texts of the world need and dc-dedup always does.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from dedup_corpus import Corpus, Ints, corpus
from dedup_tools import TOOLS, command
from dedup_truth import Evidence, Score, evidence, removed_ids, score

FEW = 10
MEASURE = Path(__file__).with_name("dedup_measure.py")
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
HEAD = """
| tool | docs/s | MB/s | CPU s | start | wall s | peak MB | empty | B/doc | removed | recall | precision | lost | ours |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"""


class NotRun(Exception):
    """The tool failed; its last words."""


@dataclass(frozen=True)
class Cost:
    """Of one run of a command, or the medians of several."""

    cpu_s: float
    wall_s: float
    peak_mb: float


@dataclass(frozen=True)
class Row:
    """All that is known of one tool on one corpus."""

    cost: Cost
    empty: Cost
    removed: Ints
    score: Score
    evidence: Evidence | None

    def bytes_per_doc(self, docs: int) -> float:
        """Memory beyond that of ten texts, for each text."""
        return (self.cost.peak_mb - self.empty.peak_mb) * 2**20 / docs


class Bench:
    """Runs tools at one threshold, with what the flags say."""

    def __init__(self, threshold: float, rounds: int, words: str, text_dedup: str) -> None:
        self._threshold, self._rounds, self._words, self._text_dedup = threshold, rounds, words, text_dedup

    def rows(self, tools: list[str], texts: Corpus) -> dict[str, Row | NotRun]:
        """A row for each tool, or why there is none."""
        few = texts.path.with_name("few.jsonl")
        with texts.path.open("rb") as stream:
            few.write_bytes(b"".join(line for line, _ in zip(stream, range(FEW), strict=False)))
        costs: dict[str, list[tuple[Cost, Cost]]] = defaultdict(list)
        rows: dict[str, Row | NotRun] = {}
        for _ in range(self._rounds):
            for tool in tools:
                if isinstance(rows.get(tool), NotRun):
                    continue
                try:
                    rows[tool] = self._row(tool, texts, few, costs[tool])
                except NotRun as reason:
                    rows[tool] = reason
        return rows

    def _row(self, tool: str, texts: Corpus, few: Path, costs: list[tuple[Cost, Cost]]) -> Row:
        with tempfile.TemporaryDirectory() as folder:
            empty = self._run(tool, few, Path(folder))
        with tempfile.TemporaryDirectory() as folder:
            costs.append((self._run(tool, texts.path, Path(folder)), empty))
            removed = removed_ids(texts, Path(folder))
            told = evidence(texts, Path(folder), self._threshold) if TOOLS[tool].explains else None
        cost, empty = (_median(list(column)) for column in zip(*costs, strict=True))
        return Row(cost, empty, removed, score(texts, removed, self._threshold), told)

    def _run(self, tool: str, path: Path, folder: Path) -> Cost:
        tools_command = command(tool, path, folder, self._threshold, self._words, self._text_dedup)
        environment = {**os.environ, **ONE_THREAD, **OFFLINE, "HF_HOME": str(folder / "home")}
        done = subprocess.run(
            [sys.executable, "-S", str(MEASURE), *tools_command], capture_output=True, text=True, env=environment
        )
        words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        found = json.loads(done.stdout) if done.returncode == 0 else {"code": done.returncode}
        if found["code"]:
            raise NotRun(words[-1])
        return Cost(found["cpu_s"], found["wall_s"], found["peak_mb"])


def main() -> None:
    """Make what is missing of the corpora, print the tables."""
    given = _flags()
    peaks: dict[tuple[float, str], list[tuple[int, float]]] = defaultdict(list)
    for docs in given.docs:
        texts = corpus(given.cache, docs, given.seed)
        part = texts.part(min(given.part, docs))
        for threshold in given.threshold:
            bench = Bench(threshold, given.rounds, given.words, given.text_dedup)
            whole = _print_table(bench, texts, [t for t in given.tools if not TOOLS[t].on_part], threshold, "ours")
            for tool, row in whole.items():
                if isinstance(row, Row):
                    peaks[threshold, tool].append((docs, row.cost.peak_mb))
            _print_workers(whole)
            some = _print_table(bench, part, [t for t in given.tools if TOOLS[t].on_part], threshold, "ours-part")
            _print_truth(some)
    _print_slopes(peaks)


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=lambda text: [int(part) for part in text.split(",")], default=[10_000])
    parser.add_argument("--threshold", type=lambda text: [float(part) for part in text.split(",")], default=[0.95])
    parser.add_argument(
        "--tools", type=lambda text: text.split(","), default=list(TOOLS), help=f"some of {', '.join(TOOLS)}"
    )
    parser.add_argument("--words", choices=["split", "regex"], default="split")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--part", type=int, default=2000, help="texts for the slow tools")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "dc-bench", metavar="FOLDER")
    parser.add_argument("--text-dedup", default=sys.executable, metavar="PYTHON")
    given = parser.parse_args()
    unknown = set(given.tools) - set(TOOLS)
    if unknown:
        parser.error(f"no such tool: {', '.join(sorted(unknown))}")
    return given


def _print_table(
    bench: Bench, texts: Corpus, tools: list[str], threshold: float, reference: str
) -> dict[str, Row | NotRun]:
    if not tools:
        return {}
    docs, megabytes = len(texts.members), texts.path.stat().st_size / 1e6
    print(f"\n{docs} texts, {megabytes:.0f} MB, {len(texts.labelled(threshold))} planted pairs >= {threshold}")
    rows = bench.rows(tools, texts)
    ours = rows.get(reference)
    print(HEAD)
    for tool, row in rows.items():
        print(_line(TOOLS[tool].name, row, docs, megabytes, ours.cost.cpu_s if isinstance(ours, Row) else None))
    for tool, row in rows.items():
        if isinstance(row, Row) and row.evidence:
            told = row.evidence
            print(
                f"\n{TOOLS[tool].name}: of {told.removed} removed records {told.named} name a match whose Jaccard is "
                f"at least {threshold}, {told.exact} with the exact score", flush=True
            )
    return rows


def _line(name: str, row: Row | NotRun, docs: int, megabytes: float, ours_s: float | None) -> str:
    if isinstance(row, NotRun):
        return f"| {name} | not run: {row} |" + " |" * 12
    cost, empty, found = row.cost, row.empty, row.score
    return (
        f"| {name} | {docs / cost.cpu_s:,.0f} | {megabytes / cost.cpu_s:.1f} | {cost.cpu_s:.2f} | {empty.cpu_s:.2f} "
        f"| {cost.wall_s:.2f} | {cost.peak_mb:.0f} | {empty.peak_mb:.0f} | {row.bytes_per_doc(docs):,.0f} "
        f"| {found.removed} | {found.recall:.3f} | {found.precision:.3f} | {found.lost} "
        f"| {f'{cost.cpu_s / ours_s:.1f}x' if ours_s else ''} |"
    )


def _print_workers(rows: dict[str, Row | NotRun]) -> None:
    one, two = rows.get("ours"), rows.get("ours2")
    if isinstance(one, Row) and isinstance(two, Row):
        same = "the same" if np.array_equal(one.removed, two.removed) else "NOT the same"
        print(f"\ntwo workers: {one.cost.wall_s / two.cost.wall_s:.2f} times as quick as one by wall, {same} removed")


def _print_truth(rows: dict[str, Row | NotRun]) -> None:
    ours, truth = rows.get("ours-part"), rows.get("brute")
    if isinstance(ours, Row) and isinstance(truth, Row):
        differ = np.setxor1d(ours.removed, truth.removed)
        print(f"\ndc-dedup and brute force differ in {len(differ)} of {len(truth.removed)} removed texts", flush=True)


def _print_slopes(peaks: dict[tuple[float, str], list[tuple[int, float]]]) -> None:
    """From the smallest to the largest size, where there are two."""
    if not any(len(points) > 1 for points in peaks.values()):
        return
    print("\n| tool | threshold | from docs | to docs | bytes a document |\n|---|---|---|---|---|")
    for (threshold, tool), points in peaks.items():
        (few, low), (many, high) = min(points), max(points)
        if many > few:
            slope = (high - low) * 2**20 / (many - few)
            print(f"| {TOOLS[tool].name} | {threshold} | {few} | {many} | {slope:,.0f} |")


def _median(costs: list[Cost]) -> Cost:
    columns = zip(*((cost.cpu_s, cost.wall_s, cost.peak_mb) for cost in costs), strict=True)
    return Cost(*map(median, columns))


if __name__ == "__main__":
    main()
