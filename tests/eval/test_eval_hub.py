"""Benchmarks from the hub: its publisher's where nothing is named, any other as hf://."""

import json
from pathlib import Path
from typing import Any

import pytest
from core.hub_server import Hub, served
from processes import BIN, Ended, run

AIME = b'{"id": 60, "problem": "What is 3 + 4?", "solution": "7.", "answer": "007"}\n'


def dc_eval(hub: Hub, home: Path, samples: list[dict[str, Any]], *flags: str) -> Ended:
    (home / "samples.jsonl").write_text("".join(json.dumps(each) + "\n" for each in samples))
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "0"}
    return run([BIN / "dc-eval", "samples.jsonl", "-o", "scores.json", "--force", *flags], b"", home, **settings)


def test_without_data_it_is_its_publishers(tmp_path: Path) -> None:
    with served({"data/train-00000-of-00001.jsonl": AIME}, "HuggingFaceH4/aime_2024") as hub:
        done = dc_eval(hub, tmp_path, [{"task_id": "aime/1", "completion": "\\boxed{7}"}], "--datasets", "aime")
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "scores.json").read_bytes())["pass@1"]["value"] == 1.0
    read = json.loads((tmp_path / "scores.json.manifest.json").read_bytes())["data"]
    assert read == {"aime": [f"hf://HuggingFaceH4/aime_2024@{hub.commit}/data/train-00000-of-00001.jsonl"]}


def lcb_row(name: str) -> dict[str, str]:
    tests = json.dumps([{"input": "1\n", "output": "1\n", "testtype": "stdin"}])
    return {
        "question_content": "Print it.", "question_id": name, "public_test_cases": tests,
        "contest_date": "2024-08-01T00:00:00", "difficulty": "easy", "platform": "codeforces",
    }


def test_of_a_release_only_its_files_are_downloaded(tmp_path: Path) -> None:
    rows = "".join(json.dumps(lcb_row(f"q{i}")) + "\n" for i in range(111)).encode()
    files = {"test.jsonl": b"not asked for", "test2.jsonl": rows}
    samples = [{"question_id": "q7", "code_list": ["print(input())"]}]
    with served(files, "livecodebench/code_generation_lite") as hub:
        done = dc_eval(hub, tmp_path, samples, "--datasets", "lcb", "--release", "v2", "--partial")
        assert done.code == 0, done.err
        assert not any(each.startswith("GET") and each.endswith("/test.jsonl") for each in hub.asked)
        vague = dc_eval(hub, tmp_path, samples, "--datasets", "lcb", "--partial")
        assert (vague.code, "say which --release" in vague.err) == (2, True)
    assert json.loads((tmp_path / "scores.json").read_bytes())["problems"] == 111


def test_another_dataset_may_be_named(tmp_path: Path) -> None:
    with served({"mine.jsonl": AIME}) as hub:
        flags = ["--datasets", "aime", "--data", "hf://dc/toy"]
        done = dc_eval(hub, tmp_path, [{"task_id": "aime/1", "completion": "\\boxed{8}"}], *flags)
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "scores.json").read_bytes())["verdicts"] == {"WA": 1}


@pytest.mark.parametrize("name", ["humaneval+", "codeforces", "plain"])
def test_what_is_not_on_the_hub_needs_data(tmp_path: Path, name: str) -> None:
    with served({}) as hub:
        done = dc_eval(hub, tmp_path, [], "--datasets", name)
    assert (done.code, hub.asked) == (2, [])
    assert f"--datasets {name} needs --data DIR" in done.err
