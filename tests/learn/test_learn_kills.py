"""Runs that are killed at random moments, at the end of an epoch, and by a full disk: all end as if nothing had been.

The moments and victims are drawn from a seed; what a process does at that moment is not, so each time is another test.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import zstandard
from processes import BIN, Ended, alive, descendants, run, session_members, started, wait_until
from test_learn_run import PROBLEMS, RECIPE, metrics_of, without_times
from tools import without_measures

from dc_tools.learn.checkpoint import latest_checkpoint, load_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
STEPS = 16
EPOCH = 4
"""Steps in which all problems are asked once."""
BATCH = 2
DRIVER, TRAINER, SAMPLER, JUDGE, SANDBOX = "driver", "ray::TrainerActor", "ray::SamplerActor", "ray::Judge", "sandbox"
SANDBOX_TITLE = "dc_tools.sandbox.worker"
AGENTS = ("ray::RuntimeEnvAgent", "ray::DashboardAgent")
"""Of Ray, idle: they notice after a minute that the driver was killed. All others do at once."""
ANEW, GOES_ON = "all begin anew", "going on after step"
ENDING_S = 30.0
"""Within which whatever belongs to a run that has ended is gone."""
LATEST_S = 0.4
"""Longest time between a step and the kill after it: two or three steps."""
SPLIT = ("--trainers", "2", "--samplers", "1")
DISK = "24m"


@dataclass(frozen=True)
class Killed:
    """A process that was killed, and where the run was."""

    kind: str
    lines: int
    delay_s: float


@dataclass
class Story:
    """What happened to a run that was killed again and again, with `--resume` where its driver was."""

    kills: list[Killed] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    """Exit codes of its drivers."""
    said: str = ""
    kept: dict[Path, bytes] = field(default_factory=dict)
    """Rollouts that were on disk when something was killed."""

    def __str__(self) -> str:
        kills = "\n".join(f"{k.kind:18} after {k.lines:2} lines and {k.delay_s:.2f} s" for k in self.kills)
        return f"{kills}\nexit codes {self.codes}\n{self.said}"


@pytest.fixture(scope="module")
def argv(taught_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A run of four epochs, each in an order of its own."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "recipe.toml").write_text(RECIPE.replace("shuffle = false", "shuffle = true").replace("512", "150"))
    (folder / "few.jsonl").write_bytes(b"".join(PROBLEMS.read_bytes().splitlines(keepends=True)[: EPOCH * BATCH]))
    return [
        str(BIN / "dc-learn"), str(folder / "few.jsonl"), "--recipe", str(folder / "recipe.toml"), "--model",
        str(taught_model), "--steps", str(STEPS), "--workers", "1", "--device", "cpu",
    ]


@pytest.fixture(scope="module")
def calm(argv: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes that nobody disturbs."""
    return finished([*argv, "-o", str(tmp_path_factory.mktemp("calm") / "run")])


@pytest.fixture(scope="module")
def calm_split(argv: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two trainers and a sampler make that nobody disturbs."""
    return finished([*argv, *SPLIT, "-o", str(tmp_path_factory.mktemp("calm") / "run")])


def finished(argv: Sequence[str]) -> Path:
    """The folder of a run that ends well; the last argument names it."""
    done = run(argv)
    assert done.code == 0, done.err
    return Path(argv[-1])


def lines_of(out: Path) -> int:
    """Whole lines of the metrics, however they are being written."""
    path = out / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def title(pid: int) -> str:
    """The command line of a process; Ray's workers say there what they are."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def titled(pids: set[int], kind: str) -> list[int]:
    """Those of a kind."""
    wanted = SANDBOX_TITLE if kind == SANDBOX else kind
    return sorted(pid for pid in pids if wanted in title(pid))


def leftover(pids: set[int]) -> list[str]:
    """What still runs of a run that has ended."""
    return [name for pid in alive(pids) if (name := title(pid)) and not name.startswith(AGENTS)]


def rollouts_of(out: Path) -> dict[str, list[dict]]:
    """Each step's lines without what is measured."""
    found = {}
    for path in sorted((out / "rollouts").glob("step-*.jsonl.zst")):
        lines = zstandard.ZstdDecompressor().decompress(path.read_bytes()).splitlines()
        found[path.name] = [without_measures(json.loads(line)) for line in lines]
    return found


def assert_equal(out: Path, undisturbed: Path) -> None:
    """The same metrics, rollouts and weights to the last bit, and nothing half written."""
    assert without_times(out) == without_times(undisturbed)
    assert rollouts_of(out) == rollouts_of(undisturbed)
    here, there = (each / "model" / "model.safetensors" for each in (out, undisturbed))
    assert here.read_bytes() == there.read_bytes()
    assert list(out.rglob("*.partial")) == []
    assert (out / "manifest.json").exists()
    names = [[p.name for p in sorted((each / "checkpoints").iterdir())] for each in (out, undisturbed)]
    assert names[0] == names[1]


def disturbed(argv: Sequence[str], out: Path, plan: Sequence[str], seed: int) -> Story:
    """Run to the end while each of `plan` is killed in turn, each time after a step more than ever before and a random
    time; the last when the last step is over. Where the driver is gone, or gave up, the run is resumed."""
    rng, story, left = random.Random(seed), Story(), list(plan)
    log = out.with_name(f"{out.name}.log")
    try:
        while not story.codes or story.codes[-1] != 0:
            assert len(story.codes) <= len(plan), "more drivers than kills"
            resume = ["--resume"] if story.codes else []
            with log.open("ab") as stream, started([*argv, *resume, "-o", str(out)], stderr=stream) as process:
                seen = _killed(process, out, left, rng, story)
                story.codes.append(process.wait(240))
                wait_until(lambda seen=seen: not leftover(seen), ENDING_S)
    finally:
        story.said = log.read_text()
        print(story)
    assert len(story.kills) == len(plan)
    for path, content in story.kept.items():
        assert path.read_bytes() == content, f"{path} was made again"
    return story


def _killed(
    process: "subprocess.Popen[bytes]", out: Path, left: list[str], rng: random.Random, story: Story
) -> set[int]:
    """Kill what is left of a plan, up to the driver; all processes that were seen."""
    seen: set[int] = set()
    while left:
        furthest = max((kill.lines for kill in story.kills), default=0)
        wanted = STEPS if len(left) == 1 else furthest + 1
        wait_until(lambda wanted=wanted: lines_of(out) >= wanted or process.poll() is not None)
        delay_s = 0.0 if len(left) == 1 else rng.uniform(0, LATEST_S)
        ends, most = time.monotonic() + delay_s, STEPS - len(left)
        wait_until(lambda ends=ends, most=most: time.monotonic() >= ends or lines_of(out) >= most)
        everyone = descendants(process.pid) | session_members(process.pid)
        seen |= everyone
        victims = [process.pid] if left[0] == DRIVER else titled(everyone, left[0])
        if process.poll() is not None or not victims:
            break
        story.kept |= {path: path.read_bytes() for path in (out / "rollouts").glob("*.zst")}
        os.kill(rng.choice(victims), signal.SIGKILL)
        story.kills.append(Killed(left.pop(0), lines_of(out), delay_s))
        if story.kills[-1].kind == DRIVER:
            break
    return seen


ALONE = (
    TRAINER, JUDGE, DRIVER, SANDBOX, JUDGE, TRAINER, SANDBOX, TRAINER, JUDGE, SANDBOX, TRAINER, SANDBOX, DRIVER,
)
APART = (SAMPLER, TRAINER, DRIVER, JUDGE, TRAINER, SAMPLER, DRIVER)


@pytest.fixture(scope="module")
def story(argv: list[str], calm: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Story, Path]:
    """A run of one process that thirteen kills disturb."""
    out = tmp_path_factory.mktemp("disturbed") / "run"
    return disturbed(argv, out, ALONE, seed=1), out


def test_thirteen_kills_change_nothing_of_what_one_trainer_makes(story: tuple[Story, Path], calm: Path) -> None:
    happened, out = story
    assert happened.codes == [-signal.SIGKILL, -signal.SIGKILL, 0], happened
    assert happened.said.count(ANEW) == sum(kind in {TRAINER, JUDGE} for kind in ALONE), happened
    assert_equal(out, calm)


def test_seven_kills_change_nothing_of_what_two_trainers_and_a_sampler_make(
    argv: list[str], calm_split: Path, tmp_path: Path
) -> None:
    happened = disturbed([*argv, *SPLIT], tmp_path / "run", APART, seed=2)
    assert happened.codes == [-signal.SIGKILL, -signal.SIGKILL, 0], happened
    assert happened.said.count(ANEW) == sum(kind in {TRAINER, SAMPLER, JUDGE} for kind in APART), happened
    assert_equal(tmp_path / "run", calm_split)


def test_a_process_that_dies_while_all_begin_anew_is_one_more_loss_and_not_the_end(
    argv: list[str], calm: Path, tmp_path: Path
) -> None:
    out, log = tmp_path / "run", tmp_path / "log"
    with log.open("wb") as stream, started([*argv, "-o", str(out)], stderr=stream) as process:
        def over() -> bool:
            return process.poll() is not None

        wait_until(lambda: lines_of(out) >= 3 or over())
        before = set(titled(descendants(process.pid), TRAINER))
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: over() or bool(set(titled(descendants(process.pid), TRAINER)) - before))
        for pid in set(titled(descendants(process.pid), TRAINER)) - before:
            os.kill(pid, signal.SIGKILL)
        code = process.wait(240)
    said = log.read_text()
    assert code == 0, said
    assert said.count(ANEW) == 2
    assert_equal(out, calm)


def test_a_run_killed_at_the_end_of_an_epoch_goes_on_with_the_next(argv: list[str], calm: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    spare = ["--set", f"save_every={EPOCH}", "--set", "keep=9"]
    with started([*argv, *spare, "-o", str(out)]) as process:
        wait_until(lambda: (out / "checkpoints" / f"step-{EPOCH:06d}.pt").exists() or process.poll() is not None)
        process.kill()
        process.communicate()
    latest = latest_checkpoint(out / "checkpoints")
    assert latest is not None and latest[0] == EPOCH
    place = load_checkpoint(latest[1])["place"]
    assert (place["step"], place["cursor"]) == (EPOCH, EPOCH * BATCH)
    done = run([*argv, *spare, "--resume", "-o", out])
    assert done.code == 0, done.err
    assert f"{GOES_ON} {EPOCH}" in done.err
    asked = [{line["id"] for line in lines} for lines in rollouts_of(out).values()]
    assert [len(set().union(*asked[i : i + EPOCH])) for i in range(0, STEPS, EPOCH)] == [EPOCH * BATCH] * 4
    assert without_times(out) == without_times(calm)
    assert rollouts_of(out) == rollouts_of(calm)
    models = [(each / "model" / "model.safetensors").read_bytes() for each in (out, calm)]
    assert models[0] == models[1]


def test_the_rollouts_of_a_killed_run_give_the_same_losses_again(
    argv: list[str], story: tuple[Story, Path], calm: Path, tmp_path: Path
) -> None:
    shutil.copytree(story[1] / "rollouts", tmp_path / "rollouts")
    again = finished([*argv, "--replay", str(tmp_path / "rollouts"), "-o", str(tmp_path / "again")])
    assert [line["loss"] for line in metrics_of(again)] == [line["loss"] for line in metrics_of(calm)]
    assert without_times(again) == without_times(calm)
    assert (again / "model" / "model.safetensors").read_bytes() == (calm / "model" / "model.safetensors").read_bytes()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(path: Path, room: int) -> None:
    """Make a file that leaves `room` bytes of its disk."""
    with path.open("wb") as stream:
        size = shutil.disk_usage(path.parent).free - room
        os.posix_fallocate(stream.fileno(), 0, size)


@pytest.mark.parametrize("room", [400_000, 0], ids=["for_rollouts_alone", "for_nothing"])
def test_a_full_disk_stops_a_run_that_goes_on_once_there_is_room(
    argv: list[str], calm: Path, small_disk: Path, room: int
) -> None:
    out, filler = small_disk / "run", small_disk / "filler"
    with started([*argv, "-o", str(out)]) as process:
        wait_until(lambda: (out / "checkpoints" / "step-000002.pt").exists() or process.poll() is not None)
        fill(filler, room)
        said = process.communicate(timeout=240)[1].decode()
    ended = Ended(process.returncode, b"", said)
    assert "no space left" in ended.err.lower(), ended.err
    assert "Traceback" not in ended.err
    latest = latest_checkpoint(out / "checkpoints")
    assert latest is not None and load_checkpoint(latest[1])["place"]["step"] == latest[0] >= 2
    lines = (out / "metrics.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, len(lines) + 1))
    filler.unlink()
    done = run([*argv, "--resume", "-o", out])
    assert done.code == 0, done.err
    assert_equal(out, calm)
    assert (ended.code, "--resume" in ended.err) == (75, True), ended.err


