"""A command whose input is a dataset on the hub, from its lines to its manifest and its resumption."""

import json
import sys
from pathlib import Path

from core.hub_server import served
from processes import Ended, run

DEMO = Path(__file__).with_name("demo.py")
PINNED = f"hf://dc/toy@c0ffee{34 * '0'}/data/train-0000{{}}-of-00002.jsonl"


def demo(url: str, home: Path, *flags: str, offline: str = "0") -> Ended:
    """The demonstration command on the split `train`, in `home`."""
    settings = {"HF_ENDPOINT": url, "HF_HOME": str(home / "hub"), "HF_HUB_OFFLINE": offline}
    return run([sys.executable, DEMO, "hf://dc/toy?split=train", *flags], cwd=home, **settings)


def test_a_split_is_read_in_order_and_its_names_are_those_of_the_hub(tmp_path):
    files = {f"data/train-0000{i}-of-00002.jsonl": b'{"value":%d}\n{"value":"x"}\n' % i for i in (1, 0)}
    with served({**files, "data/test.jsonl": b""}) as hub:
        done = demo(hub.url, tmp_path, "-o", "./o", "--rejects", "r", "--max-rejects", "2")
    assert done.code == 0, done.err
    assert (tmp_path / "o").read_bytes() == b'{"value":0,"double":0}\n{"value":1,"double":2}\n'
    rejects = [json.loads(line) for line in (tmp_path / "r").read_text().splitlines()]
    assert [(each["file"], each["line"]) for each in rejects] == [(PINNED.format(i), 2) for i in (0, 1)]
    inputs = json.loads((tmp_path / "o.manifest.json").read_bytes())["inputs"]
    assert [each["path"] for each in inputs] == [PINNED.format(i) for i in (0, 1)]
    assert all(len(each["sha256"]) == 64 for each in inputs)
    again = demo("http://127.0.0.1:9", tmp_path, "-o", "./o", "--rejects", "r", "--resume", offline="1")
    assert (again.code, again.err) == (0, "dc-demo: ./o is finished already: nothing done\n")
