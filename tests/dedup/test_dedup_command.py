"""The command from outside: files, stdin, --against, --removed, exit codes, the same bytes whatever the workers."""

import gzip
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).parent / "dc-dedup")


def dedup(*args, stdin=b"", expect=0):
    """Run dc-dedup; returns what it wrote to stdout and stderr."""
    done = subprocess.run([COMMAND, *map(str, args)], input=stdin, capture_output=True, timeout=120)
    assert done.returncode == expect, done.stderr.decode()
    return done.stdout, done.stderr.decode()


def rows_of(raw):
    return [json.loads(line) for line in raw.splitlines()]


def record(name, statement, *tests, **more):
    made = [{"input": given, "output": wanted} for given, wanted in tests]
    return json.dumps({"id": name, "statement": statement, "tests": made, **more}).encode()


SQUARE = "Given an integer n, print the square of n on a single line."
PATH = "Find the length of the shortest path between the two given nodes of the graph."


def test_kept_lines_pass_byte_for_byte_in_order(tmp_path):
    lines = [
        b'{"tests": [ ],  "id":"b" , "zz": 1.50, "statement":"one of a kind here"}',
        record("a", SQUARE), record("c", SQUARE.upper()), record("d", PATH),
    ]
    removed = tmp_path / "removed.jsonl"
    out, told = dedup("--removed", removed, stdin=b"\n".join(lines))
    kept = out.splitlines()
    assert kept[0] == lines[0]
    assert kept[2] == lines[3]
    assert rows_of(out)[1] == {**json.loads(lines[1]), "dedup": {"cluster": 0}}
    (gone,) = rows_of(removed.read_bytes())
    assert gone == {
        **json.loads(lines[2]),
        "dedup": {
            "reason": "duplicate", "kept_id": "a", "metric": "exact", "score": 1.0, "cluster": 0,
            "evidence": {
                "jaccard": 1.0, "containment": 1.0, "shingles": {"common": 11, "removed": 11, "matched": 11}
            },
            "span": {"start": 0, "end": 58, "words": 13, "text": SQUARE.upper()[:58]},
        },
    }
    assert "in 4, out 3, dropped 1, rejected 0" in told


def test_records_that_match_an_evaluation_set_are_contaminated_and_say_which(tmp_path):
    first, second = tmp_path / "eval.jsonl.gz", tmp_path / "more.jsonl"
    first.write_bytes(gzip.compress(record("e/1", f"Solve this. {SQUARE}\n\nExample 1:\n3") + b"\n"))
    second.write_bytes(b'{"id":"m/1","statement":"' + PATH.encode() + b'"}\n')
    lines = [record("a", SQUARE), record("b", "something else to be done"), record("c", PATH), record("d", PATH)]
    removed = tmp_path / "removed.jsonl"
    made = tmp_path / "manifest.json"
    out, _ = dedup(
        "--against", first, "--against", second, "--removed", removed, "--manifest", made, stdin=b"\n".join(lines)
    )
    assert out.splitlines() == [lines[1]]
    said = [row["dedup"] for row in rows_of(removed.read_bytes())]
    assert [(d["reason"], d["kept_id"], d["against"], d["metric"], d["score"]) for d in said] == [
        ("contaminated", "e/1", str(first), "containment", 1.0),
        ("contaminated", "m/1", str(second), "exact", 1.0),
        ("contaminated", "m/1", str(second), "exact", 1.0),
    ]
    assert said[0]["span"]["text"] == SQUARE[:-1]
    counts = json.loads(made.read_bytes())
    assert counts["counts"]["reasons"] == {"contaminated": 3}


def test_other_outputs_clear_a_near_match_with_an_evaluation_set_but_not_an_equal_statement(tmp_path):
    against = tmp_path / "eval.jsonl"
    against.write_bytes(record("e", PATH, ("1", "2")) + b"\n")
    near = PATH.replace("Find the", "Find, please, the")
    lines = [record("a", near, ("1", "3")), record("b", near + " Thanks", ("1", "2")), record("c", PATH, ("1", "4"))]
    out, _ = dedup("--against", against, "--threshold", 0.8, stdin=b"\n".join(lines))
    assert [row["id"] for row in rows_of(out)] == ["a"]


@pytest.mark.parametrize("content", [None, b'{"id":"e","statement":7}\n', b"no json\n"])
def test_an_evaluation_set_that_cannot_be_read_ends_the_run(tmp_path, content):
    against = tmp_path / "eval.jsonl"
    if content is not None:
        against.write_bytes(content)
    out, told = dedup("--against", against, stdin=record("a", SQUARE), expect=3)
    assert out == b""
    assert str(against) in told
    assert "Traceback" not in told


def test_bad_lines_are_rejected_with_their_place():
    lines = [record("a", SQUARE), b'{"id":"b"}', b'{"id":"c","tests":[{"input":3}]}', record("d", SQUARE)]
    out, told = dedup(stdin=b"\n".join(lines), expect=1)
    assert [row["id"] for row in rows_of(out)] == ["a"]
    assert "-:2: " in told
    assert "-:3: " in told
    assert "$.tests[0].input" in told


def test_an_evaluation_set_on_stdin_is_a_usage_error():
    dedup("--against", "-", stdin=b"", expect=2)


def test_no_room_for_the_copy_of_the_input_ends_the_run():
    script = f"ulimit -f 16; exec {COMMAND}"
    lines = b"\n".join(record(f"r{i}", SQUARE) for i in range(1000))
    done = subprocess.run(["bash", "-c", script], input=lines, capture_output=True, timeout=60)
    told = done.stderr.decode()
    assert (done.returncode, done.stdout) == (3, b""), told
    assert "TMPDIR must hold a copy of the input" in told
    assert "Traceback" not in told


def test_no_lines_are_no_trouble():
    assert dedup(stdin=b"")[0] == b""


@pytest.mark.parametrize("flags", [["--threshold", "1.5"], ["--metric", "cosine"], ["--shingle", "0"]])
def test_flags_outside_their_range_are_usage_errors(flags):
    dedup(*flags, stdin=b"", expect=2)


def test_characters_find_what_words_miss():
    texts = "colour the neighbouring cells of the board", "color the neighboring cells of the board"
    lines = [record(name, text) for name, text in zip("ab", texts, strict=True)]
    assert len(dedup("--threshold", "0.6", stdin=b"\n".join(lines))[0].splitlines()) == 2
    by_characters = ("--unit", "char", "--shingle", "4", "--threshold", "0.6", "--metric", "jaccard")
    assert len(dedup(*by_characters, stdin=b"\n".join(lines))[0].splitlines()) == 1


def test_output_is_the_same_bytes_whatever_the_workers_and_from_file_or_stdin(tmp_path):
    rng = random.Random(11)
    words = [f"word{i}" for i in range(500)]
    texts = []
    for i in range(5000):
        text = list(rng.choice(texts)) if texts and rng.random() < 0.3 else rng.choices(words, k=30)
        if i % 2:
            text[rng.randrange(30)] = rng.choice(words)
        texts.append(text)
    source = tmp_path / "in.jsonl"
    source.write_bytes(b"".join(record(f"r{i}", " ".join(text)) + b"\n" for i, text in enumerate(texts)))
    results = []
    for workers, by_file in ((1, True), (2, True), (1, False)):
        removed = tmp_path / f"removed-{workers}-{by_file}"
        given = [source] if by_file else []
        out, _ = dedup("--workers", workers, "--threshold", 0.8, "--removed", removed, *given,
                       stdin=b"" if by_file else source.read_bytes())
        results.append((out, removed.read_bytes()))
    assert results[0] == results[1] == results[2]
    assert 1000 < len(results[0][1].splitlines()) < 2000


def test_kept_output_goes_through_again_unchanged(tmp_path):
    lines = [record("a", SQUARE), record("b", SQUARE), record("c", PATH)]
    once, _ = dedup(stdin=b"\n".join(lines))
    assert dedup(stdin=once)[0] == once


def test_help_is_quick_and_imports_nothing_heavy():
    script = "import sys, dc_tools.dedup.command; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], env=os.environ).returncode == 0
