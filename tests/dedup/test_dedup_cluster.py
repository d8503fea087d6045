"""dc-dedup on a Ray cluster of several nodes: the same bytes as on one machine, also when a node is killed."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from processes import wait_until

pytest.importorskip("ray")
SOME = 8_500


def corpus(folder: Path, texts: int) -> list[str]:
    """Files of records and of an evaluation set: edits of one another, a large family, contradicting tests."""
    rng = random.Random(7)
    words = [f"word{i}" for i in range(900)]
    made: list[list[str]] = []
    for i in range(texts):
        text = list(rng.choice(made)) if made and rng.random() < 0.3 else rng.choices(words, k=60)
        if i % 2:
            text[rng.randrange(60)] = rng.choice(words)
        made.append(text)
    family = rng.choices(words, k=60)
    made += [[*family, f"n{i}"] for i in range(600)]
    rng.shuffle(made)
    rows = [
        {"id": f"r{i}", "statement": " ".join(text), "tests": [{"input": "1", "output": str(i % 5 == 0)}] * (i % 3)}
        for i, text in enumerate(made)
    ]
    records, known = folder / "records.jsonl", folder / "known.jsonl"
    records.write_text("".join(json.dumps(row) + "\n" for row in rows))
    known.write_text("".join(json.dumps({**row, "id": f"known{i}"}) + "\n" for i, row in enumerate(rows[::50])))
    return [str(records), "--against", str(known)]


def started(given: list[str], output: Path, *flags: str) -> "subprocess.Popen[bytes]":
    command = [
        sys.executable, "-c", "from dc_tools.dedup.command import main; main()", *given, "-o", str(output),
        "--removed", f"{output}.removed", "--manifest", f"{output}.manifest", *flags,
    ]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, **pipes, env={**os.environ, "RAY_ADDRESS": ""})


def made_by(process: "subprocess.Popen[bytes]", output: Path) -> tuple[bytes, bytes, dict[str, Any]]:
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said.decode()
    manifest = json.loads(Path(f"{output}.manifest").read_bytes())
    return output.read_bytes(), Path(f"{output}.removed").read_bytes(), manifest["dedup"]


FLAGS = [("--ngram", "8"), ("--metric", "jaccard", "--threshold", "0.8", "--approx")]


@pytest.mark.parametrize("flags", FLAGS, ids=["exact", "approx"])
def test_a_cluster_gives_the_same_bytes(cluster: Any, tmp_path: Path, flags: tuple[str, ...]) -> None:
    given = corpus(tmp_path, 400)
    alone, spread = tmp_path / "alone.jsonl", tmp_path / "spread.jsonl"
    expected = made_by(started(given, alone, *flags), alone)
    assert made_by(started(given, spread, *flags, "--ray-address", cluster.address), spread) == expected
    assert expected[1].count(b"\n") > 600
    assert expected[2]["vetoed"] > 5
    assert expected[2]["contaminated"] > 20


@pytest.mark.slow
def test_a_killed_node_changes_nothing(cluster: Any, tmp_path: Path) -> None:
    """It is killed while it holds sets that nobody else has: the rest of the records comes later."""
    file, *against = corpus(tmp_path, 10_000)
    lines = Path(file).read_bytes().splitlines(keepends=True)
    alone, spread = tmp_path / "alone.jsonl", tmp_path / "spread.jsonl"
    expected = made_by(started([file, *against], alone), alone)
    process = started(["-", *against], spread, "--ray-address", cluster.address)
    assert process.stdin
    process.stdin.writelines(lines[:SOME])
    process.stdin.flush()
    wait_until(lambda: "ray::_answer" in "".join(map(title, os.listdir("/proc"))), 60)
    time.sleep(2)
    cluster.remove_node(sorted(cluster.worker_nodes, key=str)[0], allow_graceful=False)
    process.stdin.writelines(lines[SOME:])
    assert made_by(process, spread) == expected


def title(pid: str) -> str:
    """The command line of a process; Ray's workers say there what they run."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text() if pid.isdigit() else ""
    except OSError:
        return ""
