"""--index: made once, the same bytes everywhere, whole or absent whatever happens, and never another's."""

import json
import os
import signal
import subprocess
import zipfile
from pathlib import Path

import pytest
from evaluation import COMMAND, PATH, REFERENCES, SORT, evidence_of, from_shell, lines_of, write
from processes import end, environment, started, wait_until

CHOICES = [
    (), ("--metric", "jaccard", "--threshold", 0.6), ("--metric", "tfidf", "--threshold", 0.6),
    ("--unit", "char", "--threshold", 0.7), ("--shingle", 2), ("--ngram", 8), ("--approx", "--threshold", 0.9),
    ("--ngram", 4, "--ngram-share", 0, "--twins", "drop"), ("--keep", "longest", "--workers", 1),
]

def mark(name):
    """What changes when a file is made anew."""
    found = os.stat(name)
    return found.st_ino, found.st_mtime_ns


@pytest.mark.parametrize("flags", CHOICES, ids=lambda flags: " ".join(map(str, flags)))
def test_an_index_changes_nothing_however_it_was_made_and_is_given(dedup, flags):
    plain = dedup("--against", "eval.jsonl", *flags)
    assert dedup("--against", "eval.jsonl", "--index", "own.idx", *flags) == plain
    assert dedup("--against", "own.idx", *flags) == plain
    assert dedup("--against", "own.idx", *flags) == plain
    dedup("--against", "eval.jsonl", "--index", "other.idx", "--shingle", 5, "--ngram", 13)
    assert dedup("--against", "other.idx", *flags) == plain


def test_an_index_is_made_anew_only_where_its_files_or_the_flags_that_shape_it_differ(dedup):
    def made(*flags):
        dedup("--against", "eval.jsonl", "--index", "e.idx", *flags)
        return mark("e.idx")

    first = made()
    for flags in ((), ("--metric", "tfidf"), ("--threshold", 0.7), ("--workers", 1), ("--approx", "--keep", "longest")):
        assert made(*flags) == first
    seen = [first]
    for flags in (("--shingle", 4), ("--unit", "char"), ("--ngram", 8), ("--ngram", 10), ()):
        seen.append(made(*flags))
        assert seen[-1] != seen[-2]
        assert made(*flags) == seen[-1]
    write("eval.jsonl", REFERENCES[::-1])
    assert made() != seen[-1]
    write("more.jsonl", [{"id": "m", "statement": SORT}])
    kept, removed = dedup("--against", "eval.jsonl", "--against", "more.jsonl", "--index", "e.idx")
    assert evidence_of(removed)["other"]["against"] == "more.jsonl"
    assert (kept, removed) == dedup("--against", "eval.jsonl", "--against", "more.jsonl")
    assert [path.name for path in Path().glob("e.idx*")] == ["e.idx"]


def test_an_index_is_the_same_bytes_wherever_it_is_made(dedup, tmp_path, monkeypatch):
    flags = ("--against", "eval.jsonl", "--ngram", 8)
    dedup(*flags, "--index", "a.idx", "--workers", 1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("eval.jsonl", "in.jsonl"):
        (elsewhere / name).write_bytes(Path(name).read_bytes())
    monkeypatch.chdir(elsewhere)
    os.utime("eval.jsonl", (0, 0))
    dedup(*flags, "--index", "b.idx", "--metric", "tfidf")
    assert Path("b.idx").read_bytes() == Path("../a.idx").read_bytes()


def test_an_index_is_written_through_a_link(dedup):
    Path("kept").mkdir()
    os.symlink("kept/e.idx", "e.idx")
    dedup("--against", "eval.jsonl", "--index", "e.idx")
    assert Path("e.idx").is_symlink()
    assert zipfile.is_zipfile("kept/e.idx")


def changed(name, member, content):
    """A copy of an index with one member replaced, or left out where `content` is None."""
    with zipfile.ZipFile(name) as old, zipfile.ZipFile("changed", "w") as new:
        for each in old.infolist():
            raw = content if each.filename == member else old.read(each)
            if raw is not None:
                new.writestr(each, raw)
    os.replace("changed", name)


def of_another_version(name):
    changed(name, "header.json", b'{"format":"dc-dedup index 0","unit":"sentence"}')


def truncated(name):
    Path(name).write_bytes(Path(name).read_bytes()[:-200])


def cut_to_its_first_bytes(name):
    Path(name).write_bytes(Path(name).read_bytes()[:40])


def another_zip(name):
    Path(name).unlink()
    with zipfile.ZipFile(name, "w") as archive:
        archive.writestr("notes.txt", "hello")


def with_a_flipped_bit(name):
    raw = bytearray(Path(name).read_bytes())
    raw[raw.index(b"shortest path")] ^= 1
    Path(name).write_bytes(raw)


def without_its_sizes(name):
    changed(name, "sizes", None)


def with_fewer_origins(name):
    changed(name, "origins", bytes(16))


def a_folder(name):
    Path(name).unlink()
    Path(name).mkdir()


def no_bytes(name):
    Path(name).write_bytes(b"")


BROKEN = [
    of_another_version, truncated, cut_to_its_first_bytes, another_zip, with_a_flipped_bit, without_its_sizes,
    with_fewer_origins,
]


@pytest.mark.parametrize("breaking", [*BROKEN, a_folder, no_bytes])
def test_a_broken_index_ends_the_run_in_clear_words_and_is_left_alone(dedup, breaking):
    dedup("--against", "eval.jsonl", "--index", "e.idx")
    breaking("e.idx")
    before = mark("e.idx")
    ways = [("--index", "e.idx", "--against", "eval.jsonl")]
    for flags in ways + [("--against", "e.idx")] * (breaking in BROKEN):
        told = dedup(*flags, expect=3)
        assert told.startswith("dc-dedup: e.idx: ")
        assert ("another version" if breaking is of_another_version else "no index of dc-dedup, or a broken") in told
    assert mark("e.idx") == before
    assert not Path("e.idx.partial").exists()


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (("--index", "e.idx"), 2, "--index needs --against"),
        (("--index", "missing/e.idx", "--against", "eval.jsonl"), 3, "--index missing/e.idx: No such file"),
        (("--index", "/proc/e.idx", "--against", "eval.jsonl"), 3, "--index /proc/e.idx: "),
        (("--index", "e.idx", "--against", "-"), 2, "not stdin"),
        (("--against", "-"), 2, "not stdin"),
        (("--index", "e.idx", "--against", "nothing.jsonl"), 3, "nothing.jsonl: no such file"),
        (("--index", "e.idx", "--against", "bad.jsonl"), 3, "--against bad.jsonl:2: "),
        (("--index", "eval.jsonl", "--against", "in.jsonl"), 3, "eval.jsonl: no index of dc-dedup"),
        (("--index", "e.idx", "--against", "made.idx"), 2, "made.idx is an index itself"),
        (("--ngram", 8), 2, "--ngram needs --against"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_no_index(dedup, flags, code, told):
    Path("bad.jsonl").write_text('{"id":"e","statement":"fine"}\n{"id":"f","statement":7}\n')
    dedup("--against", "eval.jsonl", "--index", "made.idx")
    assert told in dedup(*flags, expect=code)
    assert sorted(path.name for path in Path().glob("*.idx*")) == ["made.idx"]
    assert Path("eval.jsonl").read_bytes() == lines_of(REFERENCES)


def test_an_index_and_files_go_together(dedup):
    write("more.jsonl", [{"id": "m", "statement": SORT}])
    plain = dedup("--against", "eval.jsonl", "--against", "more.jsonl", "--ngram", 8)
    dedup("--against", "eval.jsonl", "--index", "e.idx", "--ngram", 8)
    dedup("--against", "more.jsonl", "--index", "m.idx", "--unit", "char")
    for one, other in (("e.idx", "more.jsonl"), ("more.jsonl", "e.idx"), ("m.idx", "e.idx"), ("eval.jsonl", "m.idx")):
        assert dedup("--against", one, "--against", other, "--ngram", 8) == plain


@pytest.mark.parametrize("blocks", [0, 1, 40])
def test_a_full_disk_leaves_no_index_and_no_part_of_one(folder, blocks):
    write("many.jsonl", [{"id": str(i), "statement": f"{PATH} number {i}"} for i in range(2000)])
    done = from_shell(f"ulimit -f {blocks}; exec $D in.jsonl --against many.jsonl --index e.idx")
    assert (done.returncode, done.stdout) == (3, b"")
    assert done.stderr == b"dc-dedup: --index e.idx: File too large\n"
    assert list(folder.glob("e.idx*")) == []


def test_a_run_that_is_killed_leaves_what_the_next_one_takes_away(folder):
    write("many.jsonl", [{"id": str(i), "statement": f"{i} {PATH} {i} " * 5} for i in range(12_000)])
    argv = [COMMAND, "in.jsonl", "--against", "many.jsonl", "--index", "e.idx", "-o", "out.jsonl"]
    partial = Path("e.idx.partial")
    for number in (signal.SIGTERM, signal.SIGKILL):
        with started(argv) as process:
            wait_until(lambda: partial.exists() and partial.stat().st_size > 0)
            code, _ = end(process, number)
        assert code == (-9 if number is signal.SIGKILL else 143)
        assert partial.exists() == (number is signal.SIGKILL)
        assert not Path("e.idx").exists()
    partial.write_bytes(b"left by a run that was killed" * 1000)
    again = subprocess.run([*argv[:3], "eval.jsonl", *argv[4:]], capture_output=True, timeout=60, env=environment())
    assert again.returncode == 0, again.stderr
    assert len(Path("out.jsonl").read_bytes().splitlines()) == 3
    assert not partial.exists()
    assert zipfile.ZipFile("e.idx").testzip() is None


def test_runs_that_want_one_index_at_once_get_what_each_asked_for(folder):
    write("many.jsonl", [{"id": str(i), "statement": f"{i} {PATH} {i} " * 5} for i in range(2100)] + REFERENCES)
    ways = [("--shingle", "3"), ("--shingle", "3"), ("--shingle", "2")]
    runs = [
        subprocess.Popen(
            [COMMAND, "in.jsonl", "--against", "many.jsonl", "--index", "e.idx", "-o", f"{i}.jsonl", *flags],
            stderr=subprocess.PIPE, env=environment(),
        )
        for i, flags in enumerate(ways)
    ]
    for run in runs:
        _, told = run.communicate(timeout=60)
        assert run.returncode == 0, told
    facts = [json.loads(Path(f"{i}.jsonl.manifest.json").read_bytes()) for i in range(3)]
    assert [fact["dedup"]["contaminated"] for fact in facts] == [2, 2, 2]
    assert [path.name for path in folder.glob("e.idx*")] == ["e.idx"]
    assert zipfile.ZipFile("e.idx").testzip() is None


