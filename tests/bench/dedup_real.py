"""dc-dedup on real data: are the copies of a problem found, what else is taken for one, and what is contaminated.

    python tests/bench/dedup_real.py FOLDER [--parts copies,metrics,against] [--evaluation aime,lcd-test]
        [--embed-model DIR] [--cache FOLDER]

FOLDER holds raw/ and eval/ as published (../shared/data). dc-curate reads each set, verification and thresholds off; a
row that it drops or rejects stays, as text alone where it is no record. All else is runs of dc-dedup, and Markdown.

copies, metrics: rllm's LeetCode rows whose solution is, blanks aside, one of LeetCodeDataset's are copies of its
problems. A copy is found where both are of one cluster of all sets; the other problems, once each, should not be
joined: "joined" counts those removed, "pairs" the pairs of different bodies at the threshold. `read`: statements as
dc-curate gives them; `published`: rllm's with the prompt and the code around them. Whole statements are compared by
taking the line ends away, since then no heading begins a line.
against: what of the other sets is contaminated by each evaluation set, by the default metric and by n-grams.

Pairs of different problems bear the verdict of a reader, see `READ`; an unknown pair is unread.
"""

import argparse
import gzip
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dc_tools.curate.reading.origin import content_name

Record = dict[str, Any]
Removed = dict[str, dict[str, Any]]
"""Id of a removed record -> its evidence."""

SETS = {
    "lcd-train": "raw/leetcode_dataset_v0.1.0_train.jsonl.gz",
    "lcd-test": "raw/leetcode_dataset_v0.3.1_test.jsonl.gz",
    "mbpp": "raw/mbpp.jsonl.gz",
    "contests": "raw/rllm_code_contests_test.json.gz",
    "codeforces": "raw/rllm_codeforces_test.json.gz",
    "fusion-contests": "raw/sandboxfusion_code_contests.jsonl",
    "fusion-lcb": "raw/sandboxfusion_live_code_bench_v1.jsonl",
    "rllm-leetcode": "raw/rllm_leetcode_train.json.gz",
    "humaneval": "eval/HumanEval.jsonl.gz",
    "humaneval+": "eval/HumanEvalPlus.jsonl.gz",
    "aime": "eval/aime.json",
}
ORIGINALS, COPIES = "lcd-train", "rllm-leetcode"
TWICE = "humaneval+"
"""Has the statements of another set."""
EVALUATION = [
    "humaneval", "humaneval+", "aime", "lcd-test", "fusion-lcb", "fusion-contests", "contests", "codeforces",
    "lcd-train",
]
"""The last, and humaneval for humaneval+, show that what is there is found."""
TEXT_KEYS = ("problem", "content", "text", "prompt")
KEEP_ALL = ["--no-verify", "--min-tests", "1", "--max-complexity", "1000000", "--min-coverage", "0"]

JACCARD_5 = ["--metric", "jaccard", "--shingle", "5", "--threshold", "0.95"]
METRICS = {
    "Jaccard, 5 words, >= .95, whole statement": ("whole", JACCARD_5),
    "Jaccard, 5 words, >= .95": ("body", JACCARD_5),
    "Jaccard, 3 words, >= .95": ("body", ["--metric", "jaccard"]),
    "either, 3 words, >= .95 (default)": ("body", []),
    "containment, 3 words, >= .95": ("body", ["--metric", "containment"]),
    "containment, 3 words, >= .8": ("body", ["--metric", "containment", "--threshold", "0.8"]),
    "TF-IDF, >= .8": ("body", ["--metric", "tfidf"]),
}
EMBEDDED = ("0.95", "0.85")
RULES: dict[str, list[str]] = {
    "default": [], "8": ["--ngram", "8"], "10": ["--ngram", "10"], "13": ["--ngram", "13"],
    "any 10": ["--ngram", "10", "--ngram-share", "0"], "any 13": ["--ngram", "13", "--ngram-share", "0"],
}
SHOWN = 30
SEED = 0

VERDICTS = {
    "repeat": "the same problem, the statement the same",
    "reworded": "the same problem in other words",
    "limits": "a twin that differs in limits or a promise on the input only: what solves the harder one solves both",
    "twin": "a twin that asks for something else",
    "false": "different problems",
}
NUMBERS = ("ii", "iii")
READ = {
    "limits": """
        h-index=ii max-chunks-to-make-sorted=ii shortest-distance-after-road-addition-queries-i=ii
        find-the-count-of-monotonic-pairs-i=ii find-the-power-of-k-size-subarrays-i=ii
        maximum-value-sum-by-placing-three-rooks-i=ii minimum-number-of-valid-strings-to-form-target-i=ii
        count-substrings-that-can-be-rearranged-to-contain-a-string-i=ii construct-the-minimum-bitwise-array-i=ii
        count-of-substrings-containing-every-vowel-and-k-consonants-i=ii find-x-sum-of-all-k-long-subarrays-i=ii
        count-substrings-with-k-frequency-characters-i=ii smallest-substring-with-identical-characters-i=ii
        maximum-frequency-of-an-element-after-performing-operations-i=ii
        find-the-lexicographically-largest-string-from-the-box-i=ii subsequences-with-a-unique-middle-mode-i=ii
        check-if-digits-are-equal-in-string-after-operations-i=ii fruits-into-baskets-ii=iii
        longest-palindrome-after-substring-concatenation-i=ii
        5208f8=8d2bd3 984b7e=fe3354 73544c=9ad726 5d7fbf=bd4e62 3cf993=be44f7 4d556c=d88458 a79848=bf9d8a
        116266=818ba6 e20edf=f6dd51 d26e60=e20edf a0609a=d5ab4b 38668e=847ed2 38668e=f26956 58e65e=a803ff
        394e0c=a33dfe 2b9cd2=eb5d98 c99330=abcf58 99a542=1f78a1 9d7a62=b5dc96
    """,
    "twin": """
        final-array-state-after-k-multiplication-operations-i=ii max-consecutive-ones=03d760
        sum-of-consecutive-subarrays=sum-of-consecutive-subsequences mbpp/454=mbpp/643
        720ab3=05d74b 7bc3e0=ff4e6d 2784c5=34dcbe 505181=f211fa 32bc5d=eae19d 0e9fdd=54383a cf68b6=ff4117
    """,
    "false": """
        humaneval/56=humaneval/61 8c0424=ac4773 28da41=is-subsequence
        b2f262=longest-path-with-different-adjacent-characters
    """,
    "repeat": """
        mbpp/347=mbpp/76 mbpp/217=mbpp/602 mbpp/248=mbpp/704 mbpp/216=mbpp/872 9191fa=cae3b7 56b75b=8dd16a
        25ff68=7b4d06 8a7ca9=958409 404a84=ad427f d8b118=e656ea 2bb507=322a00 7154f8=8186a2 2dbfe8=2a0450
        461070=269182 cd4e7e=f97943 number-of-senior-citizens=sandboxfusion/live_code_bench/10
        e72127=sandboxfusion/live_code_bench/10
    """,
    "reworded": """
        mbpp/16=mbpp/43 mbpp/178=mbpp/186 mbpp/478=mbpp/495 mbpp/104=mbpp/569 mbpp/440=mbpp/584 mbpp/534=mbpp/607
        mbpp/542=mbpp/732 mbpp/263=mbpp/821 mbpp/794=mbpp/879 mbpp/693=mbpp/892 mbpp/427=mbpp/928 mbpp/719=mbpp/930
        mbpp/933=mbpp/965 mbpp/174=f22a45
    """,
}
"""Verdict -> the pairs that bear it, of ids as `short` makes them; `=ii` is the same name with another number."""


@dataclass(frozen=True)
class Run:
    """What one run of dc-dedup said."""

    removed: Removed
    clusters: dict[str, int]
    """Id -> cluster."""
    facts: dict[str, Any]


class Bench:
    """The sets as records, and runs over them."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self._folder, self._cache = folder, cache
        self.sets = {name: self._records(name) for name in SETS}
        self.set_of = {record["id"]: name for name, records in self.sets.items() for record in records}

    def published(self) -> dict[str, str]:
        """Id -> text as published of the copies."""
        with gzip.open(self._folder / SETS[COPIES], "rt", encoding="utf-8") as stream:
            texts = [(row["problem"], row["tests"]["functional"]) for row in json.load(stream)]
        return {f"rllm_leetcode/{content_name(*each)}": each[0] for each in texts}

    def dedup(self, records: Iterable[Record], flags: list[str], against: str | None = None) -> Run:
        """Run dc-dedup."""
        with tempfile.TemporaryDirectory() as name:
            home = Path(name)
            _write(home / "in.jsonl", records)
            if against:
                _write(home / "against.jsonl", self.sets[against])
                flags = [*flags, "--against", str(home / "against.jsonl")]
            files = ["-o", str(home / "out"), "--removed", str(home / "removed")]
            _run("dc-dedup", str(home / "in.jsonl"), *files, *flags)
            removed = {record["id"]: record["dedup"] for record in _lines(home / "removed")}
            kept = {record["id"]: record["dedup"] for record in _lines(home / "out") if "dedup" in record}
            clusters = {id: said["cluster"] for id, said in {**kept, **removed}.items() if "cluster" in said}
            return Run(removed, clusters, json.loads((home / "out.manifest.json").read_text())["dedup"])

    def _records(self, name: str) -> list[Record]:
        """Each row of a set as a record; made once for each cache."""
        made = self._cache / f"{name}.jsonl"
        if not made.exists():
            with tempfile.TemporaryDirectory() as folder:
                out, dropped, rejects = (Path(folder) / part for part in ("out", "dropped", "rejects"))
                files = ["-o", str(out), "--dropped", str(dropped), "--rejects", str(rejects)]
                _run("dc-curate", str(self._folder / SETS[name]), *KEEP_ALL, "--max-rejects", "1000000", *files)
                refused = (json.loads(line["raw"]) for line in _lines(rejects))
                rows = [*_lines(out), *_lines(dropped), *refused]
            made.parent.mkdir(parents=True, exist_ok=True)
            _write(made, (_record(name, row) for row in rows))
        return _lines(made)


def _record(name: str, row: Record) -> Record:
    if "statement" in row:
        return {key: value for key, value in row.items() if key != "curation"}
    text = next((row[key] for key in TEXT_KEYS if row.get(key)), "")
    return {"id": f"{name}/{content_name(text)}", "statement": text, "tests": []}


class Copies:
    """The problems of all sets, of which some have a copy."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        sets = {name: records for name, records in bench.sets.items() if name != TWICE}
        copies = sets.pop(COPIES)
        name_of: dict[str, str] = {_program(record): record["id"] for record in sets[ORIGINALS]}
        ids: list[str] = [record["id"] for record in copies]
        self.problem_of = {id: name_of.get(_program(record), id) for id, record in zip(ids, copies, strict=True)}
        others = [record for records in sets.values() for record in records]
        self.distinct = others + [record for record in copies if self.problem_of[record["id"]] == record["id"]]
        self.all = others + copies
        self.copies = {id: original for id, original in self.problem_of.items() if id != original}
        self._published = bench.published()

    def table(self, embed_model: str | None) -> None:
        """Print what each metric finds, and what else it takes for a copy."""
        print("\n| statements | metric | recall | recall, twins drop | joined | joined, twins drop | pairs | vetoed |")
        print("|---|---|---|---|---|---|---|---|")
        metrics = dict(METRICS)
        if embed_model:
            flags = ["--metric", "embed", "--embed-model", embed_model, "--threshold"]
            metrics |= {f"embeddings, >= {least}": ("body", [*flags, least]) for least in EMBEDDED}
        for source in ("read", "published"):
            for metric, (part, flags) in metrics.items():
                text = partial(self._text, source, part)
                every = [self._run(text, self.all, flags, twins) for twins in ("keep", "drop")]
                apart = [self._run(text, self.distinct, flags, twins) for twins in ("keep", "drop")]
                recalls = " | ".join(f"{self._found(run):.4f}" for run in every)
                joined = " | ".join(str(len(run.removed)) for run in apart)
                counts = f"{apart[0].facts['pairs']} | {apart[0].facts['vetoed']}"
                print(f"| {source} | {metric} | {recalls} | {joined} | {counts} |", flush=True)

    def pairs(self) -> None:
        """Print the copies that the default run misses, and each pair of different problems that it joins."""
        statement = partial(self._text, "read", "body")
        run, twins = (self._run(statement, self.all, [], choice) for choice in ("keep", "drop"))
        missed = [pair for pair in self.copies.items() if not self._is_found(run, *pair)]
        print(f"\nMissed: {', '.join(f'{a} = {b}' for a, b in missed) or 'none'}\n")
        kept, dropped = self._joined(run), self._joined(twins)
        rows = [
            [*(f"`{short(id)}`" for id in pair), *_shown(said), "joined" if pair in kept else "vetoed", verdict(*pair)]
            for pair, said in {**dropped, **kept}.items()
        ]
        _print_rows("problem | problem | metric | score | shared tests | words in common | by default | verdict", rows)
        for choice, found in (("keep", kept), ("drop", dropped)):
            print(f"\n--twins {choice}: {len(found)} pairs of problems: {_counts(verdict(*pair) for pair in found)}")

    def _text(self, source: str, part: str, record: Record) -> str:
        text: str = record["statement"]
        if source == "published":
            text = self._published.get(record["id"], text)
        return " ".join(text.split()) if part == "whole" else text

    def _run(self, text: Callable[[Record], str], records: list[Record], flags: list[str], twins: str) -> Run:
        return self._bench.dedup(({**each, "statement": text(each)} for each in records), [*flags, "--twins", twins])

    def _found(self, run: Run) -> float:
        return sum(self._is_found(run, *pair) for pair in self.copies.items()) / len(self.copies)

    def _is_found(self, run: Run, copy: str, original: str) -> bool:
        return run.clusters.get(copy, -1) == run.clusters.get(original, -2)

    def _joined(self, run: Run) -> dict[tuple[str, str], dict[str, Any]]:
        """Pairs of different problems of which a record was removed for one of the other."""
        found = {}
        for id, said in run.removed.items():
            a, b = sorted(self.problem_of.get(each, each) for each in (id, said.get("through") or said["kept_id"]))
            if a != b:
                found[a, b] = said
        return found


def against(bench: Bench, problem_of: dict[str, str], evaluation: list[str]) -> None:
    """Print what each evaluation set contaminates, by each rule, and the evidence."""
    print(f"\n| evaluation set | corpus | {' | '.join(RULES)} |\n|---|---|{'---|' * len(RULES)}")
    evidence: dict[str, dict[str, Removed]] = {}
    for name in evaluation:
        corpora = [each for each in SETS if each not in (name, TWICE)]
        records = [record for each in corpora for record in bench.sets[each]]
        by_rule = {rule: _contaminated(bench.dedup(records, flags, name)) for rule, flags in RULES.items()}
        counts = {rule: Counter(bench.set_of[id] for id in found) for rule, found in by_rule.items()}
        for corpus in corpora:
            if any(count[corpus] for count in counts.values()):
                print(f"| {name} | {corpus} | {' | '.join(str(counts[rule][corpus]) for rule in RULES)} |", flush=True)
        if not any(map(len, by_rule.values())):
            print(f"| {name} | all | {' | '.join('0' for _ in RULES)} |", flush=True)
        evidence[name] = by_rule
    for name, by_rule in evidence.items():
        firm = {rule: found for rule, found in by_rule.items() if not rule.startswith("any")}
        _print_evidence(f"{name}: by the default metric or by half of the n-grams", firm, problem_of)
        loose = {rule: found for rule, found in by_rule.items() if rule.startswith("any")}
        known = set().union(*firm.values())
        _print_evidence(
            f"{name}: only by a single n-gram",
            {rule: {id: said for id, said in found.items() if id not in known} for rule, found in loose.items()},
            problem_of,
        )


def _print_evidence(title: str, by_rule: dict[str, Removed], problem_of: dict[str, str]) -> None:
    """All contaminated records of these rules; a sample where they are many."""
    first: Removed = {}
    for found in by_rule.values():
        first = {**found, **first}
    if not first:
        return
    chosen = sorted(first) if len(first) <= SHOWN else sorted(random.Random(SEED).sample(sorted(first), SHOWN))
    print(f"\n{title}: {len(first)} records, {len(chosen)} of them here\n")
    rows = []
    for id in chosen:
        said = first[id]
        rules = ", ".join(rule for rule, found in by_rule.items() if id in found)
        is_copy = problem_of.get(id) == said["kept_id"] or said["metric"] == "exact"
        judged = "repeat" if is_copy else verdict(id, said["kept_id"])
        text = " ".join(said["span"]["text"].split())[:60].replace("|", "\\|") if said["span"] else ""
        rows.append([f"`{short(id)}`", f"`{short(said['kept_id'])}`", *_shown(said), text, rules, judged])
    _print_rows("record | reference | metric | score | shared tests | words in common | text | rules | verdict", rows)
    print(f"\n{_counts(row[-1] for row in rows)}")


def _contaminated(run: Run) -> Removed:
    return {id: said for id, said in run.removed.items() if said["reason"] == "contaminated"}


def short(id: str) -> str:
    """A LeetCode problem by its name alone, a hash by its first digits."""
    dataset, _, name = id.rpartition("/")
    if len(name) == 16 and set(name) <= set("0123456789abcdef"):
        return name[:6]
    return name if dataset == "leetcode" else id


def verdict(a: str, b: str) -> str:
    """What a reader found of two problems."""
    return _verdicts().get(frozenset({short(a), short(b)}), "unread")


def _verdicts() -> dict[frozenset[str], str]:
    found = {}
    for name, pairs in READ.items():
        for a, b in (pair.split("=") for pair in pairs.split()):
            other = f"{a.removesuffix('-ii').removesuffix('-i')}-{b}" if b in NUMBERS else b
            found[frozenset({a, other})] = name
    return found


def _counts(verdicts: Iterable[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in Counter(verdicts).most_common())


def _shown(said: dict[str, Any]) -> list[str]:
    span = said["span"]
    tests = said["evidence"].get("shared_tests", "")
    return [said["metric"], f"{said['score']:.3f}", str(tests), str(span["words"]) if span else "0"]


def _print_rows(head: str, rows: list[list[str]]) -> None:
    print(f"| {head} |\n|{'---|' * (head.count('|') + 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    sys.stdout.flush()


def _program(record: Record) -> str:
    solutions = record.get("solutions")
    return "".join(solutions[0]["code"].split()) if solutions else record["id"]


def _lines(path: Path) -> list[Record]:
    with path.open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def _write(path: Path, records: Iterable[Record]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def _run(name: str, *arguments: str) -> None:
    subprocess.run([str(Path(sys.executable).with_name(name)), *arguments, "-q"], check=True)


def main() -> None:
    """Read the sets, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parts", type=lambda text: text.split(","), default=["copies", "metrics", "against"])
    parser.add_argument("--evaluation", type=lambda text: text.split(","), default=EVALUATION)
    parser.add_argument("--embed-model", metavar="DIR")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "dc-bench" / "dedup-real", metavar="FOLDER"
    )
    given = parser.parse_args()
    bench = Bench(given.folder, given.cache)
    print("| set | rows | without tests |\n|---|---|---|")
    for name, records in bench.sets.items():
        print(f"| {name} | {len(records)} | {sum(not record['tests'] for record in records)} |")
    copies = Copies(bench)
    print(f"\n{len(copies.copies)} copies, {len(copies.distinct)} distinct problems", flush=True)
    if "copies" in given.parts:
        copies.pairs()
    if "metrics" in given.parts:
        copies.table(given.embed_model)
    if "against" in given.parts:
        against(bench, copies.problem_of, given.evaluation)


if __name__ == "__main__":
    main()
