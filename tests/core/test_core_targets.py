"""Where outputs go: what would overwrite or mix is refused before anything is written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import run

DEMO = [sys.executable, str(Path(__file__).with_name("demo.py"))]
LINES = b'{"value":1}\n{"value":9}\n'


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "in").write_bytes(LINES)
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["-o", "o", "--rejects", "o"], "--rejects and -o cannot be the same file"),
        (["-o", "o", "--dropped", "d", "--rejects", "./d"], "cannot be the same file"),
        (["-o", "o", "--manifest", "o"], "--manifest and -o cannot be the same file"),
        (["-o", "o", "--manifest", "in"], "--manifest in: that is an input"),
        (["--dropped", "in"], "--dropped in: that is an input"),
        (["--rejects", "-"], "--rejects needs a file"),
        (["-o", "./", "--shard-records", "2"], "the folder holds inputs"),
    ],
)
def test_outputs_that_would_meet_are_refused_and_the_input_stays(here, flags, words):
    done = run([*DEMO, "in", *flags], b"", here)
    assert (done.code, words in done.err) == (2, True), done.err
    assert (here / "in").read_bytes() == LINES
    assert [p.name for p in here.iterdir()] == ["in"]


def test_an_output_over_its_own_input_replaces_it_when_whole(here):
    assert run([*DEMO, "in", "-o", "in"], b"", here).code == 0
    assert (here / "in").read_bytes() == b'{"value":1,"double":2}\n{"value":9,"double":18}\n'


def test_a_link_is_written_through(here):
    (here / "target").write_text("old")
    (here / "link").symlink_to("target")
    assert run([*DEMO, "in", "-o", "link"], b"", here).code == 0
    assert (here / "link").is_symlink()
    assert (here / "target").read_bytes().count(b"\n") == 2


def test_stdout_by_its_name_is_stdout_even_in_a_file(here):
    (here / "so").symlink_to("/proc/self/fd/1")
    with (here / "real").open("wb") as stdout:
        subprocess.run([*DEMO, "in", "-o", "so", "-q"], cwd=here, stdout=stdout, check=True)
    assert (here / "so").is_symlink()
    assert (here / "real").read_bytes().count(b"\n") == 2


def test_only_shards_of_ours_are_removed_from_a_folder(here):
    (here / "d").mkdir()
    (here / "d" / "part-list.csv").write_text("mine")
    assert run([*DEMO, "in", "-o", "d/", "--shard-records", "1"], b"", here).code == 0
    assert (here / "d" / "part-list.csv").read_text() == "mine"


def test_a_broken_journal_does_not_stop_a_run_that_starts_over(here):
    (here / "o.journal").write_bytes(b"garbage\nmore\n")
    assert run([*DEMO, "in", "-o", "o", "--resume"], b"", here).code == 3
    assert run([*DEMO, "in", "-o", "o", "--resume", "--force"], b"", here).code == 0


def test_a_missing_side_output_is_made_again(here):
    argv = [*DEMO, "in", "--threshold", "5", "-o", "o", "--dropped", "d", "--resume"]
    assert run(argv, b"", here).code == 0
    (here / "d").unlink()
    assert "nothing done" not in run(argv, b"", here).err
    assert (here / "d").read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_closed_standard_streams_are_survived(here, closed):
    argv = [sys.executable, "-c", f"import os, sys; os.close({closed}); os.execv(sys.argv[1], sys.argv[1:])", *DEMO]
    done = subprocess.run([*argv, "in", "-o", "o", "-q"], cwd=here, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert (here / "o").read_bytes().count(b"\n") == 2


def test_a_limit_does_not_wait_for_the_line_after_it(here):
    read, write = os.pipe()
    os.write(write, LINES)
    try:
        done = subprocess.run([*DEMO, "--limit", "2"], stdin=read, capture_output=True, timeout=30, check=True)
    finally:
        os.close(read)
        os.close(write)
    assert done.stdout.count(b"\n") == 2


def test_a_variable_is_named_after_its_flag(here):
    done = run([*DEMO, "in"], b"", here, DC_DEMO_DELAY_MS="x")
    assert (done.code, "--delay-ms" in done.err) == (2, True)
