"""How a command is stopped and gone on with: INT, TERM, KILL, finished work, another run's output."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import alive, descendants, end, run, started, wait_until
from tools import TOOLS, Tool


@contextmanager
def at_work(tool: Tool, argv: list[str | Path], folder: Path) -> Iterator:
    """The command in the middle of its work: its input is a pipe that holds half of the lines and stays open.

    Commands that make a folder read all before they begin: they get all.
    """
    lines = tool.input().splitlines(keepends=True)
    source = folder / "in.jsonl"
    os.mkfifo(source)
    pipe = os.open(source, os.O_RDWR)
    os.write(pipe, b"".join(lines[: len(lines) // 2] if tool.makes_lines else lines))
    with started(argv, cwd=folder) as process:
        try:
            if not tool.makes_lines:
                wait_until(lambda: opened(process.pid, source) or process.poll() is not None)
                os.close(pipe)
                pipe = -1
            yield process
        finally:
            if pipe >= 0:
                os.close(pipe)
            source.unlink()


def opened(pid: int, path: Path) -> bool:
    """Whether a process has `path` open."""
    try:
        return any(os.path.realpath(f"/proc/{pid}/fd/{fd}") == str(path) for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def entries(path: Path) -> int:
    """Lines of a file that may not be there yet."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_its_children_within_ten_seconds(tool, number, code, reference, tmp_path):
    """INT finds a command with children of its own as they start, TERM in the middle of their work."""
    with at_work(tool, [*reference(tool).argv, *tool.endless], tmp_path) as process:
        wait_until(lambda: opened(process.pid, tmp_path / "in.jsonl") or not tool.makes_lines)
        wait_until(lambda: len(descendants(process.pid)) >= tool.children)
        if not tool.makes_lines and (number is signal.SIGTERM or not tool.children):
            wait_until(lambda: entries(tmp_path / tool.unfinished) >= 1)
        children = descendants(process.pid)
        sent = time.monotonic()
        ended, err = end(process, number)
        assert ended == code, err
        assert time.monotonic() - sent < 14
        assert f"{tool.name}: stopped by {number.name[3:]}; run again with --resume" in err
        assert "Traceback" not in err
        wait_until(lambda: not alive(children), 5)
    assert not (tmp_path / "out").is_file()


@pytest.mark.parametrize("killed", [t for t in TOOLS if not t.killed_by_its_room], ids=lambda tool: tool.name)
def test_killed_and_resumed_it_makes_the_same(killed, reference, tmp_path):
    finished = reference(killed)
    argv = [*finished.argv, "--resume"]
    with at_work(killed, argv, tmp_path) as process:
        wait_until(lambda: entries(tmp_path / killed.unfinished) >= killed.begun)
        wait_until(lambda: len(descendants(process.pid)) >= killed.children)
        children = descendants(process.pid)
        assert end(process, signal.SIGKILL)[0] == -signal.SIGKILL
        wait_until(lambda: not alive(children), 5)
    assert not (tmp_path / "out").exists()
    os.mkfifo(tmp_path / "in.jsonl")
    with started(argv, cwd=tmp_path) as process:
        with (tmp_path / "in.jsonl").open("wb") as pipe:
            pipe.write(killed.input())
        _, err = process.communicate(timeout=200)
        assert process.returncode == 1, err
    assert killed.made(tmp_path) == killed.made(finished.folder)


def test_finished_work_is_left_alone(tool, reference):
    finished = reference(tool)
    before = {p: p.stat().st_mtime_ns for p in finished.folder.rglob("*") if p.is_file()}
    done = run([*finished.argv, "--resume"], cwd=finished.folder)
    assert (done.code, done.out, done.err) == (0, b"", f"{tool.name}: out is finished already: nothing done\n")
    assert {p: p.stat().st_mtime_ns for p in finished.folder.rglob("*") if p.is_file()} == before


def test_resuming_with_another_seed_is_refused(tool, reference):
    finished = reference(tool)
    done = run([*finished.argv, "--resume", "--seed", "1"], cwd=finished.folder)
    assert done.code == 3
    assert done.err == (
        f"{tool.name}: --resume: out is of another run: --seed was 0, now 1; --force starts over\n"
    )


def test_resuming_with_other_input_is_refused(tool, reference, tmp_path):
    finished = reference(tool)
    (finished.folder / "other.jsonl").write_bytes(b"")
    argv = ["other.jsonl" if part == "in.jsonl" else part for part in finished.argv]
    done = run([*argv, "--resume"], cwd=finished.folder)
    assert (done.code, "the inputs have changed" in done.err) == (3, True)
