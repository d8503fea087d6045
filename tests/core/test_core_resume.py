"""Runs that are killed, interrupted, refused and gone on with: the bytes are those of a run left in peace."""

import contextlib
import fcntl
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from processes import descendants, end, run, started, wait_until

DEMO = [sys.executable, Path(__file__).with_name("demo.py")]
COUNT = 300
FLAGS = ["--threshold", "60", "--ceiling", "240", "--max-rejects", "9999", "--dropped", "dropped"]
FLAGS += ["--rejects", "rejects"]
OUTPUTS = {
    "file": ["-o", "out"], "gz": ["-o", "out.gz"], "zst": ["-o", "out.zst"], "parquet": ["-o", "out.parquet"],
    "shards": ["-o", "out/", "--shard-records", "17"],
}


def write_input(path: Path, count: int = COUNT, fat: int = 1500) -> None:
    """Lines with much text, so that outputs are flushed often; every seventh is bad."""
    rng = random.Random(1)
    with path.open("wb") as stream:
        for i in range(count):
            value: object = "bad" if i % 7 == 0 else i
            stream.write(orjson.dumps({"id": f"p{i}", "value": value, "text": rng.randbytes(fat // 2).hex()}) + b"\n")


def made(folder: Path) -> dict[str, bytes]:
    """All files that a run left, by name, manifests aside."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "in" and not path.name.endswith("manifest.json")
    }


def entries(journal: Path) -> int:
    """Lines of a journal, the first of which says what is run."""
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def counts(folder: Path) -> dict:
    (path,) = folder.rglob("*manifest.json")
    return json.loads(path.read_bytes())["counts"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Callable[..., Path]:
    """The folder of a run that nobody disturbed, as quick as can be, made once for an input and a kind of output."""

    @functools.cache
    def finished(kind: str, *flags: str, **size: int) -> Path:
        folder = tmp_path_factory.mktemp(kind)
        write_input(folder / "in", **size)
        assert run([*DEMO, "in", *(flags or FLAGS), *OUTPUTS[kind]], cwd=folder).code == 0
        return folder

    return finished


@pytest.mark.parametrize("workers", ["1", "3"])
@pytest.mark.parametrize("kind", OUTPUTS)
def test_killed_at_random_moments_and_resumed_it_makes_the_same_bytes(kind, workers, undisturbed, tmp_path):
    reference, killed = undisturbed(kind), tmp_path
    rng = random.Random(f"{kind}{workers}")
    shutil.copy(reference / "in", killed)
    argv = [*DEMO, "in", *FLAGS, *OUTPUTS[kind], "--workers", workers, "--delay-ms", str(3 * int(workers))]
    kills = 0
    while kills < 3:
        with started([*argv, "--resume"], cwd=killed) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=rng.uniform(0.15, 0.8))
            if process.poll() is not None:
                break
            end(process, signal.SIGKILL)
            kills += 1
    assert kills >= 1
    last = run([*argv, "--resume"], cwd=killed)
    assert last.code == 0, last.err
    assert made(killed) == made(reference)
    assert counts(killed) == counts(reference)
    assert counts(killed)["in"] == COUNT


def test_a_resumed_run_does_not_do_again_what_was_done(tmp_path):
    write_input(tmp_path / "in")
    argv = [*DEMO, "in", *FLAGS, "-o", "out", "--delay-ms", "5"]
    with started(argv, cwd=tmp_path) as process:
        journal = tmp_path / "out.journal"
        wait_until(lambda: entries(journal) > 2)
        end(process, signal.SIGKILL)
    done = run([*argv, "--resume"], cwd=tmp_path)
    (said,) = [line for line in done.err.splitlines() if "going on after" in line]
    assert int(said.split()[-2]) >= 40


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_keeps_what_it_has_and_goes_on(number, code, undisturbed, tmp_path):
    reference = undisturbed("file", count=250, fat=20)
    shutil.copy(reference / "in", tmp_path)
    argv = [*DEMO, "in", *FLAGS, "-o", "out", "--workers", "2", "--delay-ms", "25"]
    with started(argv, cwd=tmp_path) as process:
        wait_until(lambda: entries(tmp_path / "out.journal") > 2 and len(descendants(process.pid)) >= 3)
        time.sleep(0.25)  # half a flush: some lines and some rejects have not been written yet
        ended, err = end(process, number)
    assert (ended, "run again with --resume" in err) == (code, True), err
    assert not (tmp_path / "out").exists()
    assert run([*argv, "--resume"], cwd=tmp_path).code == 0
    assert made(tmp_path) == made(reference)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_its_workers_start_it_still_ends_at_once(number, tmp_path):
    write_input(tmp_path / "in", fat=20)
    argv = [*DEMO, "in", "-o", "out", "--workers", "3", "--delay-ms", "20"]
    rng = random.Random(number)
    for _ in range(6):
        with started(argv, cwd=tmp_path) as process:
            wait_until((tmp_path / "out.journal").exists)
            time.sleep(rng.uniform(0, 0.25))
            sent = time.monotonic()
            code, err = end(process, number)
            assert time.monotonic() - sent < 8
            assert (code, "stopped by" in err) == (128 + number, True), err
            (tmp_path / "out.journal").unlink(missing_ok=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_of_its_commit_it_finishes_the_commit_when_resumed(number, undisturbed, tmp_path):
    """The commit takes long: there is much to pack with gzip."""
    keep_all = ["--max-rejects", "9999", "--rejects", "rejects"]
    reference = undisturbed("gz", *keep_all, count=1000, fat=8000)
    shutil.copy(reference / "in", tmp_path)
    argv = [*DEMO, "in", *keep_all, *OUTPUTS["gz"]]
    with started(argv, cwd=tmp_path) as process:
        wait_until((tmp_path / "out.gz.packing").exists)
        end(process, number)
    assert not (tmp_path / "out.gz").exists(), "the commit was over before the signal came"
    done = run([*argv, "--resume"], cwd=tmp_path)
    assert done.code == 0, done.err
    assert made(tmp_path) == made(reference)
    assert counts(tmp_path) == counts(reference)


def test_killed_between_the_last_rename_and_the_manifest_it_writes_the_manifest(tmp_path):
    """The manifest goes to a pipe that nobody reads, so the run stands still at that very place."""
    write_input(tmp_path / "in")
    os.mkfifo(tmp_path / "pipe")
    argv = [*DEMO, "in", *FLAGS, "-o", "out", "--need", "99999"]
    with started([*argv, "--manifest", "pipe"], cwd=tmp_path) as process:
        wait_until((tmp_path / "out").exists)
        end(process, signal.SIGKILL)
    (tmp_path / "pipe").unlink()
    whole = made(tmp_path)["out"]
    again = run([*argv, "--resume"], cwd=tmp_path)
    assert (again.code, "needed 99999" in again.err, "nothing done" in again.err) == (4, True, True)
    assert made(tmp_path)["out"] == whole
    assert counts(tmp_path)["in"] == COUNT
    assert sorted(made(tmp_path)) == ["dropped", "out", "rejects"]


def test_finished_output_is_left_alone(tmp_path):
    (tmp_path / "in").write_bytes(b'{"value":1}\n')
    for flags in (["-o", "out"], ["-o", "shards/", "--shard-records", "1"]):
        assert run([*DEMO, "in", *flags], cwd=tmp_path).code == 0
        before = made(tmp_path)
        done = run([*DEMO, "in", *flags, "--resume"], cwd=tmp_path)
        assert (done.code, done.err) == (0, f"dc-demo: {flags[1]} is finished already: nothing done\n")
        assert made(tmp_path) == before


def test_an_output_that_was_removed_is_made_again(tmp_path):
    (tmp_path / "in").write_bytes(b'{"value":1}\n')
    argv = [*DEMO, "in", "-o", "out", "--resume"]
    assert run(argv, cwd=tmp_path).code == 0
    (tmp_path / "out").unlink()
    assert "in 1, out 1" in run(argv, cwd=tmp_path).err
    assert (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda argv: [*argv, "--threshold", "1"], "--threshold was 0, now 1"),
        (lambda argv: [*argv, "--seed", "1"], "--seed was 0, now 1"),
        (lambda argv: [*argv, "--limit", "1"], "--limit was None, now 1"),
        (lambda argv: [*argv, "--rejects", "r"], "--rejects was None, now r"),
        (lambda argv: [*argv, "in"], "the inputs have changed"),
    ],
)
def test_resuming_another_run_is_refused_and_force_starts_over(change: Callable, message, tmp_path):
    write_input(tmp_path / "in", 30)
    argv = [*DEMO, "in", "-o", "out", "--max-rejects", "99"]
    assert run(argv, cwd=tmp_path).code == 0
    before = made(tmp_path)
    refused = run([*change(argv), "--resume"], cwd=tmp_path)
    assert refused.code == 3
    assert f"dc-demo: --resume: out is of another run: {message}; --force starts over" in refused.err
    assert made(tmp_path) == before
    assert run([*change(argv), "--resume", "--force"], cwd=tmp_path).code == 0


def test_changed_input_is_refused_in_the_middle_of_a_run_too(tmp_path):
    write_input(tmp_path / "in")
    argv = [*DEMO, "in", *FLAGS, "-o", "out", "--delay-ms", "5"]
    with started(argv, cwd=tmp_path) as process:
        wait_until(lambda: entries(tmp_path / "out.journal") > 1)
        end(process, signal.SIGKILL)
    with (tmp_path / "in").open("ab") as stream:
        stream.write(b'{"value":1}\n')
    refused = run([*argv, "--resume"], cwd=tmp_path)
    assert (refused.code, "the inputs have changed" in refused.err) == (3, True)


def test_a_finished_run_does_not_vouch_for_a_killed_one_into_the_same_folder(tmp_path):
    write_input(tmp_path / "in")
    argv = [*DEMO, "in", *FLAGS, "-o", "out/", "--shard-records", "50", "--delay-ms", "4"]
    assert run(argv, cwd=tmp_path).code == 0
    expected = made(tmp_path)
    with started(argv, cwd=tmp_path) as process:
        wait_until(lambda: entries(tmp_path / "out" / ".journal") > 1)
        end(process, signal.SIGKILL)
    done = run([*argv, "--resume"], cwd=tmp_path)
    assert "nothing done" not in done.err
    assert made(tmp_path) == expected


def test_two_runs_into_one_output_are_refused(tmp_path):
    write_input(tmp_path / "in")
    argv = [*DEMO, "in", *FLAGS, "-o", "out", "--delay-ms", "20"]
    with started(argv, cwd=tmp_path) as first:
        wait_until((tmp_path / "out.journal").exists)
        wait_until(lambda: _locked(tmp_path / "out.journal"))
        second = run(argv, cwd=tmp_path)
        assert (second.code, "another run is writing this output" in second.err) == (3, True)
        end(first, signal.SIGKILL)


def test_a_piece_is_never_gone_on_with_in_its_middle(tmp_path):
    """With pieces of 50 lines an interrupted run has accounted for a multiple of 50 good lines."""
    write_input(tmp_path / "in", count=400, fat=3000)
    argv = [*DEMO, "in", "--max-rejects", "999", "--pieces", "50", "--delay-ms", "3", "-o", "out"]
    with started(argv, cwd=tmp_path) as process:
        journal = tmp_path / "out.journal"
        wait_until(lambda: entries(journal) > 2)
        end(process, signal.SIGTERM)
    last = json.loads(journal.read_bytes().splitlines()[-1])
    assert last["counts"]["written"] % 50 == 0
    assert last["counts"]["written"] >= 50


def test_resuming_stdout_is_a_usage_error():
    assert run([*DEMO, "--resume"], b"").code == 2


def _locked(path: Path) -> bool:
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
