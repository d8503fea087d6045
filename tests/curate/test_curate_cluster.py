"""dc-curate on a Ray cluster of several nodes: the same bytes as on one machine, also when a node is killed."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from processes import wait_until

pytest.importorskip("ray")
ROWS = 96
ATTEMPTS = 5


def rows(folder: Path) -> Path:
    """Problems of which some are slow, some dropped, some rejected, and one comes twice."""
    made: list[Any] = []
    for i in range(ROWS):
        code = f"def f(x):\n    for _ in range({i % 3} * 100_000): pass\n    return x + {i}\n"
        tests = [{"input": f"[{x}]", "output": str(x + i + (i % 7 == 0))} for x in range(6)]
        made.append(
            {"id": f"p{i % 90}", "mode": "function", "entry": {"fn_name": "f"}, "tests": tests, "solutions": [code]}
        )
    made[5] = {"id": "bad", "tests": 1}
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in made))
    return file


def started(file: Path, output: Path, *flags: str) -> "subprocess.Popen[str]":
    command = [
        sys.executable, "-c", "from dc_tools.curate.command import main; main()", str(file), "-o", str(output),
        "--dropped", f"{output}.dropped", "--rejects", f"{output}.rejects", "--max-rejects", "9", "--min-coverage", "0",
        *flags,
    ]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "RAY_ADDRESS": ""})


def made_by(file: Path, output: Path, *flags: str) -> list[bytes]:
    process = started(file, output, *flags)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    return [Path(f"{output}{end}").read_bytes() for end in ("", ".dropped", ".rejects")]


@pytest.mark.slow
def test_a_cluster_gives_the_same_bytes_even_when_a_node_is_killed(cluster: Any, tmp_path: Path) -> None:
    file = rows(tmp_path)
    alone = made_by(file, tmp_path / "alone.jsonl")
    assert [each.count(b"\n") for each in alone] == [77, 18, 1]
    assert any(loses_a_node(cluster, file, tmp_path / f"spread-{attempt}.jsonl", alone) for attempt in range(ATTEMPTS))


def loses_a_node(cluster: Any, file: Path, output: Path, expected: list[bytes]) -> bool:
    """Whether a node could be killed before the run was over; its output is the same in any case."""
    process = started(file, output, "--ray-address", cluster.address)
    wait_until(lambda: process.poll() is not None or is_begun(output))
    was_killed = process.poll() is None
    if was_killed:
        cluster.remove_node(sorted(cluster.worker_nodes, key=str)[0], allow_graceful=False)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert [Path(f"{output}{end}").read_bytes() for end in ("", ".dropped", ".rejects")] == expected
    return was_killed


def is_begun(output: Path) -> bool:
    """Whether some lines are there, but not all."""
    partial = Path(f"{output}.partial")
    with contextlib.suppress(FileNotFoundError):
        return partial.stat().st_size > 0
    return False


def test_what_goes_wrong_on_a_node_is_said_here(cluster: Any) -> None:
    script = (
        "import operator, sys; from dc_tools.core.cluster import connected, spread\n"
        "with connected(sys.argv[1]):\n"
        "    for each in spread(operator.truediv, 6, [2, 3, 0]): print(each, file=sys.__stdout__, flush=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, cluster.address], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "3.0\n2.0\n"
    assert "CannotRun: on the Ray cluster: ZeroDivisionError: division by zero\n" in done.stderr


def test_nothing_at_the_address_is_said_at_once(tmp_path: Path) -> None:
    process = started(rows(tmp_path), tmp_path / "o.jsonl", "--ray-address", "127.0.0.1:9")
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 3
    assert "--ray-address 127.0.0.1:9: nothing answers there" in said
