"""Evaluation sets as users give them: files of many kinds, n-grams, and all of it against brute force."""

import gzip
import json
import random
import subprocess
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from evaluation import COINS, PATH, REFERENCES, evidence_of, from_shell, lines_of, write
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_tools.core.records import Line, Problem, encode
from dc_tools.core.run import Dropped
from dc_tools.dedup.settings import Metric, Settings
from dc_tools.dedup.stage import deduplicate


def as_array(name):
    Path(name).write_text(json.dumps(REFERENCES, indent=2))


def as_gzip(name):
    Path(name).write_bytes(gzip.compress(lines_of(REFERENCES)))


def as_zstd(name):
    Path(name).write_bytes(zstandard.compress(lines_of(REFERENCES)))


def as_parquet(name):
    rows = [{"id": row["id"], "statement": row["statement"], "tests": row.get("tests", [])} for row in REFERENCES]
    pq.write_table(pa.Table.from_pylist(rows), name)


def as_shards(name):
    Path(name).mkdir()
    for number, row in enumerate(REFERENCES):
        (Path(name) / f"part-{number:05d}.jsonl.zst").write_bytes(zstandard.compress(lines_of([row])))
    (Path(name) / "manifest.json").write_text("{}")


KINDS = {"e.json": as_array, "e.gz": as_gzip, "e.zst": as_zstd, "e.parquet": as_parquet, "shards": as_shards}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_says_the_same(dedup, name):
    kept, removed = dedup("--against", "eval.jsonl")
    plain = evidence_of(removed)
    assert {key: said["reason"] for key, said in plain.items()} == {
        "same": "contaminated", "wrapped": "contaminated", "again": "duplicate",
    }
    KINDS[name](name)
    found = dedup("--against", name)
    said = evidence_of(found[1])
    wanted = {"e/0": name, "e/1": name} if name != "shards" else {
        "e/0": "shards/part-00000.jsonl.zst", "e/1": "shards/part-00001.jsonl.zst",
    }
    for key in ("same", "wrapped"):
        assert said[key] == {**plain[key], "against": wanted[plain[key]["kept_id"]]}
    assert found[0] == kept
    assert dedup("--against", name, "--index", "e.idx") == found
    assert dedup("--against", "e.idx") == found


def test_a_pipe_is_read_once_and_refused_where_once_is_not_enough(folder):
    piped = "$D in.jsonl --removed removed.jsonl --manifest m.json --against <(cat eval.jsonl) "
    done = from_shell(piped)
    assert done.returncode == 0, done.stderr
    assert set(evidence_of(Path("removed.jsonl").read_text())) == {"same", "wrapped", "again"}
    (source,) = json.loads(Path("m.json").read_bytes())["against"]
    assert source["sha256"] == ""
    for flags in ("--index e.idx", "--ngram 8"):
        refused = from_shell(piped + flags)
        assert refused.returncode == 2
        assert b"read it twice" in refused.stderr
    assert not Path("e.idx").exists()


@pytest.mark.parametrize("flags", [(), ("--ngram", 8), ("--metric", "tfidf"), ("--approx",), ("--index", "e.idx")])
def test_an_empty_evaluation_set_contaminates_nothing(dedup, flags):
    Path("empty.jsonl").write_text("\n")
    plain = dedup(*(() if "--ngram" in flags or "--index" in flags else flags))
    assert dedup("--against", "empty.jsonl", *flags) == plain
    if "--index" in flags:
        assert dedup("--against", "e.idx") == plain


def test_the_manifest_names_the_sources_and_the_counts(dedup):
    dedup("--against", "eval.jsonl", "--index", "e.idx", "--manifest", "m.json")
    dedup("--against", "e.idx", "--against", "eval.jsonl", "--manifest", "n.json")
    sums = {name: subprocess.check_output(["sha256sum", name], text=True)[:64] for name in ("e.idx", "eval.jsonl")}
    file = {"path": "eval.jsonl", "sha256": sums["eval.jsonl"]}
    index = {"path": "e.idx", "sha256": sums["e.idx"], "made_of": [file]}
    first, second = (json.loads(Path(name).read_bytes()) for name in ("m.json", "n.json"))
    assert first["against"] == [index]
    assert second["against"] == [index, file]
    # the reference `SQUARE` and "same" are one set; of the others each is one, but for "wrapped" and "again"
    counts = {"references": 3, "distinct": 6, "contaminated": 2, "clusters": 1, "vetoed": 0, "vetoed_pairs": []}
    assert counts.items() <= first["dedup"].items()
    assert first["counts"] == {
        "in": 6, "out": 3, "dropped": 3, "rejected": 0, "reasons": {"contaminated": 2, "duplicate": 1},
    }


def test_ngram_evidence_by_hand(dedup):
    # COINS has 17 words: 10 8-grams; "half" has its first 12: 5 of them
    said = evidence_of(dedup("--against", "eval.jsonl", "--ngram", 8)[1])
    shared = "Count the ways in which the coins of the given list make"
    assert said["half"] == {
        "reason": "contaminated", "kept_id": "e/2", "metric": "ngram", "score": 0.5,
        "evidence": {"ngram": {"words": 8, "common": 5, "of_reference": 0.5}},
        "span": {"start": 0, "end": len(shared), "words": 12, "text": shared}, "against": "eval.jsonl",
    }
    assert (said["same"]["metric"], said["wrapped"]["metric"]) == ("exact", "containment")
    assert "cleared" not in said


@pytest.mark.parametrize(
    ("ngram", "share", "found"),
    [
        (8, 0.5, True), (8, 0.51, False), (10, 0.5, False), (10, 0.375, True), (10, 0.38, False),
        (12, 0, True), (13, 0, False), (13, 0.5, False),
    ],
)
def test_the_share_of_the_reference_decides(dedup, ngram, share, found):
    flags = ("--against", "eval.jsonl", "--ngram", ngram, "--ngram-share", share)
    assert ("half" in evidence_of(dedup(*flags)[1])) == found
    assert dedup(*flags, "--index", "e.idx") == dedup(*flags)
    assert dedup("--against", "e.idx", *flags[2:]) == dedup(*flags)


def test_other_outputs_clear_a_record_of_ngrams_unless_twins_are_dropped(dedup):
    flags = ("--against", "eval.jsonl", "--ngram", 10, "--metric", "jaccard")
    assert {"wrapped", "cleared"} & set(evidence_of(dedup(*flags)[1])) == {"wrapped"}
    said = evidence_of(dedup(*flags, "--twins", "drop")[1])
    assert [said[key]["metric"] for key in ("wrapped", "cleared")] == ["ngram", "ngram"]
    assert said["cleared"]["evidence"] == {"ngram": {"words": 10, "common": 6, "of_reference": 1.0}}


def test_workers_find_the_same_ngrams(folder):
    rng = random.Random(3)
    words = [f"word{i}" for i in range(999)]
    texts = [" ".join(rng.choices(words, k=8)) for _ in range(4200)]
    for i in range(0, len(texts), 20):
        texts[i] += f" {COINS if i % 3 else PATH} {texts[i + 1]}"
    write("in.jsonl", [{"id": str(i), "statement": text, "tests": []} for i, text in enumerate(texts)])
    flags = "in.jsonl --against eval.jsonl --ngram 13 --metric jaccard --removed"
    done = from_shell(f"$D {flags} one --workers 1 -o 1 && $D {flags} two --workers 2 -o 2 && cmp one two && cmp 1 2")
    assert done.returncode == 0, done.stdout + done.stderr
    said = evidence_of(Path("one").read_text())
    assert {each["metric"] for each in said.values()} == {"ngram"}
    assert sorted(map(int, said)) == list(range(0, 4200, 20))


WORDS = ["sum", "of", "n", "größe", "array"]


def shingles(words, k):
    return {tuple(words[i : i + k]) for i in range(len(words) - k + 1)} if len(words) >= k else {("short", *words)}


def likeness(text, other, metric):
    a, b = (shingles(each.split(), 3) for each in (text, other))
    return len(a & b) / (len(a | b) if metric is Metric.JACCARD else min(len(a), len(b)))


def answering(answer):
    return [{"input": "1", "output": answer}] if answer else []


@st.composite
def cases(draw):
    """References and records, each with what it answers to one test input; many records have parts of a reference."""
    line, answer = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9), st.sampled_from(["", "", "1", "2"])
    references = draw(st.lists(line, max_size=6))
    records = []
    for _ in range(draw(st.integers(0, 6))):
        words = draw(line)
        if references and draw(st.booleans()):
            words = words[: draw(st.integers(0, 2))] + draw(st.sampled_from(references)) + words[-1:]
        records.append(words)
    return [[(" ".join(words), draw(answer)) for words in each] for each in (references, records)]


@settings(max_examples=40, deadline=None)
@given(
    cases(), st.sampled_from([Metric.JACCARD, Metric.CONTAINMENT]), st.sampled_from([0.5, 0.75, 1.0]),
    st.sampled_from([None, 2, 4]), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 6),
)
def test_contamination_is_that_of_brute_force_from_files_and_from_indexes(case, metric, threshold, ngram, share, cut):
    references, records = case
    rows = [[{"statement": text, "tests": answering(answer)} for text, answer in each] for each in case]
    with tempfile.TemporaryDirectory() as place:
        names = [f"{place}/{i}.jsonl" for i in range(2)]
        made = [{"id": f"e{i}", **row} for i, row in enumerate(rows[0])]
        write(names[0], made[:cut])
        write(names[1], made[cut:])

        def found(against, index=None):
            named = {"against": tuple(against), "index": index}
            chosen = Settings(metric, threshold=threshold, ngram=ngram, ngram_share=share, batch=2, **named)
            lines = [Line(encode({"id": str(i), **row}), index=i) for i, row in enumerate(rows[1])]
            outcomes = deduplicate(((line, line.decode(Problem)) for line in lines), chosen, {})
            return [(type(each), each.line.to_bytes()) for each in outcomes]

        plain = found(names)
        assert found(names, f"{place}/both.idx") == plain
        found(names[:1], f"{place}/first.idx")
        assert found([f"{place}/first.idx", names[1]]) == plain
    for (text, answer), (kind, raw) in zip(records, plain, strict=True):
        said = json.loads(raw).get("dedup", {})
        agreeing = [not answer or not other or answer == other for _, other in references]
        equal = [i for i, (other, _) in enumerate(references) if other == text]
        scores = [
            likeness(text, other, metric) if agrees else 0
            for (other, _), agrees in zip(references, agreeing, strict=True)
        ]
        grams = [shingles(other.split(), ngram or 1) for other, _ in references]
        shares = [len(theirs & shingles(text.split(), ngram or 1)) / len(theirs) for theirs in grams]
        if equal or max(scores, default=0) >= threshold:
            assert (kind, said["reason"]) == (Dropped, "contaminated")
            assert said["kept_id"] == f"e{equal[0] if equal else scores.index(max(scores))}"
            assert said["score"] == (1 if equal else max(scores))
        elif said.get("reason") == "contaminated":
            reference = int(said["kept_id"][1:])
            assert (said["metric"], said["evidence"]["ngram"]["words"]) == ("ngram", ngram)
            assert agreeing[reference]
            assert said["score"] == shares[reference] >= share
        elif ngram:
            assert not any(agrees and met and met >= share for agrees, met in zip(agreeing, shares, strict=True))
