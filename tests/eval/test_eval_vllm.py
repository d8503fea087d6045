"""dc-eval with vLLM's engine, on the CPU (.ci/vllm makes the environment that has it)."""

import json
import os
import sys
from pathlib import Path

import pytest
from processes import run
from tiny_model import examples, make_tiny_model, teach

pytest.importorskip("vllm", reason="vLLM is not installed: .ci/vllm makes an environment that has it")

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(600)]


def test_several_benchmarks_are_asked_by_one_engine(tmp_path: Path) -> None:
    model = teach(make_tiny_model(tmp_path / "wide", heads=2), tmp_path / "taught")
    tests = [{"input": "1 2\n", "output": "3"}]
    rows = [{"id": f"p{i}", "statement": s, "tests": tests} for i, (s, _) in enumerate(examples(3, 4))]
    data = tmp_path / "data"
    data.mkdir()
    (data / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (data / "aime.json").write_text(json.dumps({"problem": "What is 1 + 1?", "answer": "2"}) + "\n")
    argv = [
        Path(sys.executable).parent / "dc-eval", "--model", model, "--engine", "vllm", "--context", "256", "--n", "2",
        "--datasets", "plain,aime", "--data", data, "--max-tokens", "24", "--prompt-style", "fenced",
    ]
    done = run([*argv, "-o", f"{tmp_path}/out/"], VLLM_CPU_KVCACHE_SPACE="1", PATH=os.environ["PATH"])
    assert done.code == 0, done.err
    scores = json.loads((tmp_path / "out" / "scores.json").read_bytes())["runs"]
    assert [(row, scores[row]["rollouts"], scores[row]["models"]) for row in scores] == [
        ("plain", 8, ["taught"]), ("aime", 2, ["taught"]),
    ]
    assert scores["plain"]["cost"]["latency_s"]["median"] > 0 < scores["plain"]["cost"]["tokens_per_s"]
