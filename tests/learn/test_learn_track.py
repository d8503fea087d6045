"""Metrics sent elsewhere: the real libraries write them, their files are read back; no failure of one ends a run."""

import importlib.util
import json
import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.learn.track import trackers

SCRIPT = """
import json, sys
from pathlib import Path
from dc_tools.learn.track import trackers

name, folder, first, last = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
said = []
[tracker] = trackers([name], folder, {"lr": 0.25}, first_step=first, say=said.append)
for step in range(first, last + 1):
    tracker.log({"reward": step / 4, "reward/sparse": step + 0.5}, step)
tracker.close()
print(json.dumps(said))
"""


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not importlib.util.find_spec(package), reason=f"the package {package} is not installed")


def run(name: str, folder: Path, first: int, last: int, **environment: str) -> list[str]:
    """What is said when a process of its own, as a run has one, sends the metrics of these steps."""
    folder.mkdir(exist_ok=True)
    own = {key: value for key, value in os.environ.items() if not key.startswith(("WANDB_", "TRACKIO_"))}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, name, str(folder), str(first), str(last)], capture_output=True, text=True,
        timeout=120, check=False, cwd=folder, env=own | {"HOME": str(folder)} | environment,
    )
    assert done.returncode == 0, done.stderr
    said: list[str] = json.loads(done.stdout)
    return said


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return [(event.step, event.value) for event in found.Scalars(tag)]


def wandb_rows(path: Path) -> Iterator[dict[str, float]]:
    """The history in a .wandb file: a LevelDB log of protocol buffers, whose blocks of 32 KiB begin at the header."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, joined = path.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        joined, at = joined + data[at + 7 : at + 7 + length], at + 7 + length
        if kind in (1, 4):  # whole, or the last part
            record, joined = Record.FromString(joined), b""
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                yield {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


@needs("tensorboard")
def test_tensorboard_shows_what_was_logged(tmp_path):
    said: list[str] = []
    [tracker] = trackers(["tensorboard"], tmp_path, {"lr": 0.25}, first_step=1, say=said.append)
    for step in (1, 2, 3):
        tracker.log({"reward": step / 4, "reward/sparse": step + 0.5}, step)
    assert scalars(tmp_path, "reward") == [(1, 0.25), (2, 0.5), (3, 0.75)], "nothing waits for the end"
    tracker.close()
    assert scalars(tmp_path, "reward/sparse") == [(1, 1.5), (2, 2.5), (3, 3.5)]
    assert said == []


@needs("tensorboard")
def test_tensorboard_forgets_the_steps_that_are_done_again(tmp_path):
    assert run("tensorboard", tmp_path, 1, 4) == []
    [events] = (tmp_path / "tensorboard").iterdir()
    second = events.name.split(".")[3]
    events.rename(events.with_name(events.name.replace(second, str(int(second) - 60))))  # begun a minute ago
    [tracker] = trackers(["tensorboard"], tmp_path, {}, first_step=3, say=pytest.fail)
    for step in (3, 4, 5):
        tracker.log({"reward": float(step)}, step)
    tracker.close()
    assert scalars(tmp_path, "reward") == [(1, 0.25), (2, 0.5), (3, 3.0), (4, 4.0), (5, 5.0)]


@needs("wandb")
def test_wandb_keeps_what_was_logged_offline_and_a_run_that_goes_on_is_the_same(tmp_path):
    assert run("wandb", tmp_path, 1, 2, WANDB_MODE="offline") == []
    known_by = (tmp_path / "track-id").read_text()
    assert run("wandb", tmp_path, 3, 3, WANDB_MODE="offline") == []
    files = sorted(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert {file.name for file in files} == {f"run-{known_by}.wandb"}
    rows = [(row["_step"], row["reward"], row["reward/sparse"]) for file in files for row in wandb_rows(file)]
    assert sorted(rows) == [(1, 0.25, 1.5), (2, 0.5, 2.5), (3, 0.75, 3.5)]


@needs("wandb")
def test_wandb_that_cannot_be_reached_is_said_once_and_the_run_goes_on(tmp_path):
    [said] = run("wandb", tmp_path, 1, 3, WANDB_MODE="online", WANDB_BASE_URL="http://127.0.0.1:9")
    assert said.startswith("wandb gets no more metrics: ")


@needs("trackio")
def test_trackio_has_each_step_once_and_a_run_that_goes_on_is_the_same(tmp_path):
    place = {"TRACKIO_DIR": str(tmp_path / "trackio"), "HF_HUB_OFFLINE": "1"}
    assert run("trackio", tmp_path / "mine", 1, 3, **place) == []
    assert run("trackio", tmp_path / "mine", 3, 5, **place) == []
    with sqlite3.connect(tmp_path / "trackio" / "dc-learn.db") as stored:
        rows = stored.execute("SELECT run_name, run_id, step, metrics FROM metrics ORDER BY id").fetchall()
    stored.close()
    assert [(step, json.loads(metrics)) for _, _, step, metrics in rows] == [
        (step, {"reward": step / 4, "reward/sparse": step + 0.5}) for step in (1, 2, 3, 4, 5)
    ]
    assert {name for name, *_ in rows} == {f"mine-{(tmp_path / 'mine' / 'track-id').read_text()}"}
    assert len({known_by for _, known_by, *_ in rows}) == 1


@needs("tensorboard")
def test_a_place_that_cannot_be_opened_is_said_once_and_the_run_goes_on(tmp_path):
    (tmp_path / "tensorboard").write_text("not a folder")
    said: list[str] = []
    [tracker] = trackers(["tensorboard"], tmp_path, {}, first_step=1, say=said.append)
    tracker.log({"reward": 1.0}, 1)
    tracker.log({"reward": 1.0}, 2)
    tracker.close()
    assert len(said) == 1
    assert said[0].startswith("tensorboard gets no more metrics: ")


@needs("tensorboard")
def test_a_place_that_fails_later_is_said_once_and_keeps_what_it_had(tmp_path):
    said: list[str] = []
    [tracker] = trackers(["tensorboard"], tmp_path, {}, first_step=1, say=said.append)
    tracker.log({"reward": 0.5}, 1)
    tracker.log({"reward": "high"}, 2)
    tracker.log({"reward": 0.75}, 3)
    tracker.close()
    assert [each.partition(": ")[0] for each in said] == ["tensorboard gets no more metrics"]
    assert scalars(tmp_path, "reward") == [(1, 0.5)]


@needs("tensorboard")
def test_a_place_named_twice_is_one(tmp_path):
    made = trackers(["tensorboard", "tensorboard"], tmp_path, {}, first_step=1, say=pytest.fail)
    for tracker in made:
        tracker.close()
    assert len(made) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tensorbord", "metrics cannot be sent to 'tensorbord'; tensorboard?"),
        ("x", "metrics cannot be sent to 'x'; there are tensorboard, wandb, trackio"),
    ],
)
def test_a_place_that_is_not_known_is_said_with_the_near_one(name, said, tmp_path):
    with pytest.raises(UsageError) as caught:
        trackers([name], tmp_path, {}, first_step=1, say=pytest.fail)
    assert str(caught.value) == said


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_a_package_that_is_missing_is_said_before_anything_is_written(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(CannotRun, match=rf"'{name}' is missing: pip install 'dc-tools\[track\]'"):
        trackers([name], tmp_path, {}, first_step=1, say=pytest.fail)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_a_places_name_is_not_its_package(tmp_path, monkeypatch):
    (tmp_path / "trackio").mkdir()
    monkeypatch.delitem(sys.modules, "trackio", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(CannotRun, match="'trackio' is missing"):
        trackers(["trackio"], tmp_path, {}, first_step=1, say=pytest.fail)
