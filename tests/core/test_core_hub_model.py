"""Models on the hub: named as there, downloaded once, and used by the commands that sample."""

import json
import sys
from pathlib import Path

import pytest
from core.hub_server import Hub, served
from processes import BIN, Ended, run

from dc_tools.core.errors import UsageError
from dc_tools.core.hub import is_model, model_folder

PROBLEM = {"id": "a", "statement": "Print 1.", "tests": [{"input": "", "output": "1"}]}


@pytest.fixture
def there(tiny_model: Path):
    files = {path.name: path.read_bytes() for path in tiny_model.iterdir()}
    with served({**files, "pytorch_model.bin": b"not asked for", "onnx/model.onnx": b"nor this"}) as hub:
        yield hub


def settings(hub: Hub, home: Path, **variables: str) -> dict[str, str]:
    return {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", **variables}


def folder(hub: Hub, home: Path, model: str, **variables: str) -> Ended:
    """Where the files of a model are, as all commands find them."""
    code = f"from dc_tools.rollout.engine import model_folder; print(model_folder({model!r}))"
    return run([sys.executable, "-c", code], b"", home, **settings(hub, home, **variables))


def rollout(hub: Hub, home: Path, model: str, **variables: str) -> Ended:
    argv = [BIN / "dc-rollout", "--model", model, "--max-tokens", "4", "--device", "cpu"]
    return run(argv, json.dumps(PROBLEM).encode() + b"\n", home, **settings(hub, home, **variables))


def test_a_model_of_the_hub_is_downloaded_once_and_has_its_own_name(there: Hub, tmp_path: Path) -> None:
    done = rollout(there, tmp_path, "dc/toy")
    assert done.code == 0, done.err
    assert json.loads(done.out)["rollouts"][0]["model"] == "toy"
    asked = " ".join(there.asked)
    assert "model.safetensors" in asked and "pytorch_model.bin" not in asked and "onnx" not in asked
    before = len([each for each in there.asked if each.startswith("GET") and "resolve" in each])
    again = folder(there, tmp_path, f"dc/toy@{there.commit}")
    assert again.out.strip().endswith(there.commit.encode()), again.err
    assert len([each for each in there.asked if each.startswith("GET") and "resolve" in each]) == before
    assert folder(there, tmp_path, "dc/toy", HF_HUB_OFFLINE="1").out == again.out


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("dc/none", "dc/none: no such model at http://"),
        ("dc/toy@v9", "dc/toy: no revision v9"),
        ("toy", "toy: not a model folder"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(there: Hub, tmp_path: Path, model: str, says: str) -> None:
    done = rollout(there, tmp_path, model)
    assert (done.code, done.out) == (3, b"")
    assert says in done.err and done.err.count("\n") == 1, done.err


def test_a_gated_model_says_what_to_do(there: Hub, tmp_path: Path) -> None:
    there.gated = True
    done = rollout(there, tmp_path, "dc/toy")
    assert done.code == 3
    assert f"dc/toy: gated: accept its terms at {there.url}/dc/toy and set HF_TOKEN" in done.err


def test_without_a_network_a_model_that_was_never_here_is_refused(there: Hub, tmp_path: Path) -> None:
    done = rollout(there, tmp_path, "dc/toy", HF_HUB_OFFLINE="1")
    assert (done.code, "HF_HUB_OFFLINE is set" in done.err) == (3, True), done.err


def test_names_of_models() -> None:
    assert is_model("Qwen/Qwen3-0.6B") and is_model("o/n@v1.0")
    assert not any(map(is_model, ("model", "/o/n", "./o", "o/n/m", "../n", "o n/m")))
    with pytest.raises(UsageError, match="not of the form owner/name"):
        model_folder("o/n/m")


def test_a_folder_goes_before_the_hub(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "dc").mkdir()
    (tmp_path / "dc" / "toy").symlink_to(tiny_model)
    code = "from dc_tools.rollout.engine import model_folder; print(model_folder('dc/toy'))"
    assert run([sys.executable, "-c", code], cwd=tmp_path).out.strip() == b"dc/toy"
