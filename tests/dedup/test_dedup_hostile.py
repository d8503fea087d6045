"""dc-dedup under attack: odd and endless statements, dense families, no room on the disk, signals, a dead worker.

Every run is a process of its own; those over given lines have a bounded address space.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import alive, descendants, end, environment, newest, started, wait_until

COMMAND = str(Path(sys.executable).parent / "dc-dedup")
MOST_BYTES = 4 << 30
"""Address space of a run; code takes much of it."""

STATEMENTS = [
    "", " \n\t ", "+ - * / %", "!!! ???", "Input", "Input\nthe first line has n", "\nExamples:\n1 2",
    "\x00", "a\x00b\x00c", "\x01\x02\x03", "نص عربي مع كلمات قليلة", "देवनागरी लिपि में एक वाक्य",
    "😀😀 print 😀", "e\u0301\u0301" * 20, "\u202eright\u202c to left \u200f\u200e",
    "\uff26\uff55\uff4c\uff4c \uff11\uff12", "\U0001d426\U0001d41a\U0001d42d\U0001d421 \U0001d555",
    "\u1e9e \u0149 \u01f0 \u0390", "\u0130stanbul", "\ufdfa" * 9, "\u1100\u1161\u11a8", "\ufffe\uffff",
    "\U0010ffff", "\u2028line\u2029end", "\\frac{a}{b}", "{{{{", "}}}}", "^^^^", "$$$$", "<sup>2</sup>", "<sup>",
    "\\", "a\\",
]
"""No two of them are the same problem."""
WITHOUT_TEXT = [0, 1, STATEMENTS.index("$$$$")]
"""Where they are nobody's duplicates."""
UNSPACED = ["ภาษาไทยไม่มีช่องว่างเลย", "在一个数组中找到两个数的和"]

REPEATED = [
    "\n", "-", "\n-", "\n* ", "\\", "\\frac{a}{b} ", "$", "{", "}", "{a", "_{", "^ ", " ", "a + b ", "a", "\n<a> ",
    "<sup>1</sup>", "\ninputs ", "\u0301", "\u1100", "\ufdfa", "数", "😀", "\u2075", "\ud7a3", "\xa0", "Σ",
]
"""What a long statement is made of."""

REJECTED = [
    b'{"id":"a","statement":"\\ud800 alone","tests":[]}', b'{"id":"\\udfff","statement":"x y z","tests":[]}',
    b'{"id":"b","statement":"\xff\xfe","tests":[]}', b'{"id":"c\x00","statement":"nul","tests":[]}',
    b'{"id":"d","tests":[],"meta":{"n":1e999}}', b"\x00\x00", b"[]", b"null", b'{"id":1,"tests":[]}', b"[" * 100_000,
]


def record(name, statement, tests=()):
    return json.dumps({"id": name, "statement": statement, "tests": list(tests)}).encode()


def bounded():
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))


def dedup(lines, *flags, expect=0):
    """Kept lines and stderr of a run over `lines`."""
    done = subprocess.run(
        [COMMAND, *flags], input=b"\n".join(lines), capture_output=True, timeout=100, env=environment(),
        preexec_fn=bounded, check=False,
    )
    told = done.stderr.decode()
    assert done.returncode == expect, told
    assert "Traceback" not in told
    assert "internal error" not in told
    return done.stdout.splitlines(), told


WAYS = [["--workers", "2"], ["--approx"], ["--metric", "tfidf"], ["--unit", "char"]]


@pytest.mark.parametrize("flags", WAYS)
def test_odd_statements_pass_untouched(flags):
    lines = [record(f"r{i}", statement) for i, statement in enumerate(STATEMENTS + UNSPACED)]
    assert dedup(lines, *flags)[0] == lines


def test_odd_statements_are_found_again():
    lines = [record(f"r{i}", statement) for i, statement in enumerate(STATEMENTS + UNSPACED)]
    copies = [record(f"s{i}", statement) for i, statement in enumerate(STATEMENTS + UNSPACED)]
    kept, _ = dedup(lines + copies)
    assert [json.loads(line)["id"] for line in kept[len(lines) :]] == [f"s{i}" for i in WITHOUT_TEXT]


def test_lines_that_are_no_records_are_rejected_each_in_its_place():
    good = record("good", "print the sum of two numbers")
    kept, told = dedup([*REJECTED, good], expect=1)
    assert kept == [good]
    assert f"rejected {len(REJECTED)}" in told


def test_numbers_beyond_64_bits_pass():
    line = b'{"id":"%d","statement":"print a number","tests":[],"meta":{"n":123456789012345678901234567890}}'
    kept, _ = dedup([line % 1, line % 2])
    assert kept == [(line % 1)[:-1] + b',"dedup":{"cluster":0}}']


@pytest.mark.parametrize("flags", [[], ["--approx"]])
def test_endless_repeats_beside_small_records_are_no_trouble(flags):
    small = [record(f"s{i}", f"small statement {i} with a word{i} of its own") for i in range(20)]
    endless = [record(f"r{i}", part * (150_000 // len(part.encode()))) for i, part in enumerate(REPEATED)]
    kept, _ = dedup([*small, *endless], *flags)
    assert kept[:20] == small
    assert 20 + len(REPEATED) // 2 < len(kept) <= 20 + len(REPEATED)


def test_very_many_copies_are_one():
    assert len(dedup([record("same", "print the square of the number n")] * 10_000)[0]) == 1


@pytest.mark.parametrize("flags", [[], ["--approx"]])
def test_a_large_family_of_texts_that_differ_in_one_word_is_one(flags):
    words = [f"w{i}" for i in range(60)]
    lines = [record(f"r{i}", " ".join([*words[: i % 60], f"x{i}", *words[i % 60 + 1 :]])) for i in range(1000)]
    kept, told = dedup(lines, "--metric", "jaccard", "--threshold", "0.75", *flags)  # 52 shingles of 64 are common
    assert len(kept) == 1, told


def test_a_dense_vocabulary_keeps_what_differs():
    lines = [record(f"r{i}", f"w{i // 400} w{i // 20 % 20} w{i % 20}") for i in range(8000)]
    assert dedup(lines)[0] == lines


def test_very_many_tests_and_repeated_ids_are_no_trouble():
    tests = [{"input": str(n), "output": str(n * n)} for n in range(10_000)]
    last = [*tests[:-1], {"input": "9999", "output": "0"}]
    lines = [record("same", "print the square", which) for which in (tests, tests, last, last)]
    kept, told = dedup(lines)
    assert [json.loads(line)["tests"][-1]["output"] for line in kept] == [str(9999**2), "0"]
    assert "(same test input, other output) 2" in told


def test_a_reader_that_leaves_ends_it_quietly():
    with started([COMMAND, "--workers", "2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(b"\n".join(record(f"r{i}", f"w{i} x{i} y{i}") for i in range(20_000)))
        process.stdin.close()
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read().decode()
        assert (process.wait(30), "Traceback" in told) == (0, False)


def scratch_files(pid):
    """Nameless files of TMPDIR that a process holds."""
    try:
        return [fd for fd in os.listdir(f"/proc/{pid}/fd") if "deleted" in os.readlink(f"/proc/{pid}/fd/{fd}")]
    except OSError:
        return []


@contextmanager
def reading(folder, *flags):
    """A run whose two workers are at work on the first lines of an input that does not end."""
    source = folder / "in.jsonl"
    os.mkfifo(source)
    argv = ["env", f"TMPDIR={folder / 'tmp'}", COMMAND, "--workers", "2", *flags, source, "-o", folder / "out"]
    (folder / "tmp").mkdir()
    with started(argv) as process:
        pipe = os.open(source, os.O_WRONLY)
        try:
            for start in range(0, 30_000, 1000):
                text = b"\n".join(record(f"r{i}", f"w{i} x{i} y{i}") for i in range(start, start + 1000))
                os.write(pipe, text + b"\n")
            wait_until(lambda: len(descendants(process.pid)) >= 3)
            yield process
        finally:
            os.close(pipe)


@contextmanager
def joining(folder):
    """A run that has read all and compares: many thousand pairs are true."""
    words = [f"w{i}" for i in range(60)]
    source = folder / "in.jsonl"
    texts = ([*words[: i % 60], f"x{i}", *words[i % 60 + 1 :]] for i in range(12_000))
    source.write_bytes(b"".join(record(f"r{i}", " ".join(text)) + b"\n" for i, text in enumerate(texts)))
    (folder / "tmp").mkdir()
    argv = ["env", f"TMPDIR={folder / 'tmp'}", COMMAND, "--workers", "2", "--threshold", "0.9", source]
    with started([*argv, "-o", folder / "out"]) as process:
        wait_until(lambda: len(descendants(process.pid)) >= 3)
        wait_until(lambda: not opened(process.pid, source))
        yield process


@contextmanager
def writing(folder):
    """A run that nobody reads on from: it waits in the middle of its output."""
    source = folder / "in.jsonl"
    source.write_bytes(b"".join(record(f"r{i}", f"w{i} x{i} y{i}") + b"\n" for i in range(20_000)))
    (folder / "tmp").mkdir()
    argv = ["env", f"TMPDIR={folder / 'tmp'}", COMMAND, "--workers", "2", source]
    with started(argv, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process


def opened(pid, path):
    """Whether a process has `path` open."""
    return any(os.path.realpath(f"/proc/{pid}/fd/{fd}") == str(path) for fd in os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.parametrize("stage", [reading, joining, writing])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_at_any_stage_leaves_no_process_and_no_file(stage, number, code, tmp_path):
    with stage(tmp_path) as process:
        children = descendants(process.pid)
        sent = time.monotonic()
        ended, told = end(process, number)
        assert ended == code, told
        assert time.monotonic() - sent < 10
        assert "Traceback" not in told
        wait_until(lambda: not alive(children), 5)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not (tmp_path / "out").exists()


def test_a_worker_that_is_killed_ends_the_run_and_says_so(tmp_path):
    with reading(tmp_path) as process:
        os.kill(newest(descendants(process.pid)), signal.SIGKILL)
        with pytest.raises(BrokenPipeError), (tmp_path / "in.jsonl").open("wb", buffering=0) as pipe:
            while process.poll() is None:
                pipe.write(b"".join(record(f"r{i}", f"w{i} x{i} y{i}") + b"\n" for i in range(500)))
        _, told = process.communicate(timeout=30)
        assert process.returncode == 3, told
        assert b"a worker process died" in told
        assert b"Traceback" not in told
    assert not (tmp_path / "out").exists()
