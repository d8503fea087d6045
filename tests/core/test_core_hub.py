"""Datasets on the hub: their names, which of their files are meant, and the hub's answers, good and bad."""

import gzip
import hashlib
import json
import socket
import sys
from pathlib import Path

import pytest
from core.hub_server import Hub, served
from processes import BIN, Ended, run

from dc_tools.core import hub
from dc_tools.core.errors import UsageError
from dc_tools.core.hub import Config, DataFiles, Listing, Reference

DEMO = Path(__file__).with_name("demo.py")
COMMIT = "c0ffee" + 34 * "0"


def row(name: str, value: int) -> bytes:
    test = {"input": str(value), "output": str(value)}
    return json.dumps({"id": name, "prompt": f"Print {value}.", "tests": [test], "value": value}).encode() + b"\n"


FILES = {
    "README.md": b"A dataset.\n",
    "data/train-00001-of-00002.jsonl": row("b", 2),
    "data/train-00000-of-00002.jsonl.gz": gzip.compress(row("a", 1), mtime=0),
    "data/test-00000-of-00001.jsonl": row("c", 3),
    "dataset_infos.json": b"{}",
    "odd/100% ok?.jsonl": row("d", 4),
}


@pytest.fixture
def toy():
    with served(dict(FILES)) as there:
        yield there


def ask(there: Hub, home: Path, name: str, **variables: str) -> Ended:
    """What a command says to `name` as its input."""
    settings = {"HF_ENDPOINT": there.url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", **variables}
    return run([sys.executable, DEMO, name], **settings)


def against(there: Hub, home: Path, name: str, **variables: str) -> tuple[Ended, list[dict[str, str]]]:
    """What a command that reads `name` beside its input says, and what its manifest then says that it read."""
    settings = {"HF_ENDPOINT": there.url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", **variables}
    argv = [BIN / "dc-dedup", "--against", name, "-q", "--workers", "1", "--manifest", "m.json"]
    done = run(argv, row("a", 1), home, **settings)
    return done, json.loads((home / "m.json").read_bytes())["against"] if done.code == 0 else []


# -- names --


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("hf://o/n", Reference("o/n")),
        ("hf://datasets/o/n", Reference("o/n")),
        ("hf://o/n.v-1_x@v1.0", Reference("o/n.v-1_x", "v1.0")),
        ("hf://o/n/a b/c.jsonl", Reference("o/n", "main", "a b/c.jsonl")),
        ("hf://o/n@refs/convert/parquet/default/train/", Reference("o/n", "refs/convert/parquet", "default/train")),
        ("hf://o/n@refs/pr/7?split=test", Reference("o/n", "refs/pr/7", split="test")),
        ("hf://o/n@a%2Fb/50%25?config=x&split=y", Reference("o/n", "a/b", "50%", "y", "x")),
    ],
)
def test_a_name_says_dataset_revision_path_split_and_config(name, found):
    assert hub.parse(name) == found


@pytest.mark.parametrize(
    "name",
    ["hf://", "hf://n", "hf://datasets/n", "hf://../n", "hf://o/n@", "hf://o n/m", "hf://o/n?splits=x", "hf://o/n?split="],
)
def test_other_names_are_refused(name):
    with pytest.raises(UsageError, match=r"^hf://.*(not of the form hf://owner/name|after \? come)"):
        hub.parse(name)


# -- which files are meant --


def chosen(files: list[str], configs: list[Config] | None = None, **asked: str) -> list[str]:
    return hub.chosen(Reference("o/n", **asked), Listing(COMMIT, files, configs or []))


SHARDS = ["data/test-00000-of-00001.parquet", "data/train-00001-of-00002.parquet", "data/train-00000-of-00002.parquet"]
NUMBERED = ["test.jsonl", "test3.jsonl", "test2.jsonl"]
CONVERTED = ["all/train/0001.parquet", "all/train/0000.parquet", "all/test/0000.parquet", "few/train/0000.parquet"]


@pytest.mark.parametrize(
    ("files", "asked", "found"),
    [
        (SHARDS, {"split": "train"}, sorted(SHARDS)[1:]),
        (SHARDS, {"split": "testing"}, SHARDS[:1]),
        (NUMBERED, {}, sorted(NUMBERED)),
        (CONVERTED, {"config": "all", "split": "train"}, ["all/train/0000.parquet", "all/train/0001.parquet"]),
        (CONVERTED, {"config": "few"}, ["few/train/0000.parquet"]),
        (CONVERTED, {"path": "all", "split": "test"}, ["all/test/0000.parquet"]),
        (CONVERTED, {"path": "all/test/0000.parquet"}, ["all/test/0000.parquet"]),
        (["main/train.jsonl.zst", "main/dev.jsonl"], {"split": "validation"}, ["main/dev.jsonl"]),
        (["b.jsonl", "a.ndjson", "x.csv"], {}, ["a.ndjson", "b.jsonl"]),
        (["b.jsonl", "a.jsonl"], {"split": "train"}, ["a.jsonl", "b.jsonl"]),
        (["train.jsonl", "notes.jsonl"], {}, ["train.jsonl"]),
        (["data/easy-00000-of-00001.parquet", "data/hard-00000-of-00001.parquet"], {"split": "hard"},
         ["data/hard-00000-of-00001.parquet"]),
        (["rows.json", "dataset_infos.json", ".cache/x.json"], {}, ["rows.json"]),
        (["part-00000.jsonl", "part-00001.jsonl", "manifest.json", "stats.json"], {},
         ["part-00000.jsonl", "part-00001.jsonl"]),
        (["contest.jsonl", "latest.jsonl"], {}, ["contest.jsonl", "latest.jsonl"]),
        (["any.bin", "x.jsonl"], {"path": "any.bin"}, ["any.bin"]),
    ],
)
def test_the_files_of_a_split_are_told_by_their_names(files, asked, found):
    assert chosen(files, **asked) == found


CARD = [
    Config("taco", [DataFiles("train", "taco/part-*"), DataFiles("test", ["odd.jsonl"])]),
    Config("lcb", "lcb/**"),
    Config("csv", "tables/*.csv"),
    Config("deep", data_dir="lcb/deep"),
]
TOLD = ["taco/part-1.jsonl", "taco/part-0.jsonl", "taco/part-x/no.jsonl", "odd.jsonl", "lcb/deep/a.jsonl", "z.jsonl"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"config": "taco", "split": "train"}, ["taco/part-0.jsonl", "taco/part-1.jsonl"]),
        ({"config": "taco", "split": "test"}, ["odd.jsonl"]),
        ({"config": "lcb"}, ["lcb/deep/a.jsonl"]),
        ({"config": "deep"}, ["lcb/deep/a.jsonl"]),
        ({"path": "taco/part-x"}, ["taco/part-x/no.jsonl"]),
    ],
)
def test_the_card_of_a_dataset_goes_before_names(asked, found):
    assert chosen(TOLD, CARD, **asked) == found


@pytest.mark.parametrize(
    ("files", "asked", "said"),
    [
        (SHARDS, {}, r"hf://o/n: which split\? Add \?split=\.\.\. to its name: there is split=test, split=train"),
        (CONVERTED, {}, r"which config\? Add \?config=... to its name: there is config=all, config=few"),
        (SHARDS, {"split": "dev"}, "no split=validation; there is split=test, split=train"),
        (SHARDS, {"config": "taco"}, "no config=taco; there is config=default"),
        (["x.csv"], {}, r"^hf://o/n: no .parquet, .jsonl or .json files at main \(@refs/convert/parquet may"),
        (SHARDS, {"path": "dat"}, "hf://o/n/dat: no .parquet"),
        (SHARDS, {"path": SHARDS[0], "split": "test"}, "is a file: it has no split"),
        (["train.parquet", "train.jsonl"], {}, "train is there as jsonl and as parquet"),
    ],
)
def test_what_is_not_clear_or_not_there_is_said_with_what_there_is(files, asked, said):
    with pytest.raises(UsageError, match=said):
        chosen(files, **asked)


# -- the hub's answers --


def test_a_split_is_downloaded_once_and_named_by_its_commit(toy, tmp_path):
    done, read = against(toy, tmp_path, "hf://dc/toy/data?split=train")
    assert (done.code, done.err) == (0, "")
    assert read == [
        {"path": f"hf://dc/toy@{COMMIT}/{file}", "sha256": hashlib.sha256(FILES[file]).hexdigest()}
        for file in ("data/train-00000-of-00002.jsonl.gz", "data/train-00001-of-00002.jsonl")
    ]
    assert sum(each.startswith("GET /datasets/") for each in toy.asked) == 2
    toy.asked.clear()
    assert against(toy, tmp_path, "hf://dc/toy/data?split=train") == (done, read)
    assert f"GET /api/datasets/dc/toy/tree/{COMMIT}" in toy.asked
    assert not [each for each in toy.asked if "/resolve/" in each]


def test_what_was_downloaded_serves_without_a_network_and_nothing_else_does(toy, tmp_path):
    before = against(toy, tmp_path, "hf://dc/toy/data?split=train")
    toy.asked.clear()
    assert against(toy, tmp_path, "hf://dc/toy/data?split=train", HF_HUB_OFFLINE="1") == before
    done = ask(toy, tmp_path, "hf://dc/toy/data?split=test", HF_HUB_OFFLINE="1")
    assert (done.code, toy.asked) == (3, [])
    assert done.err == "dc-demo: hf://dc/toy: not all of it was downloaded before, and HF_HUB_OFFLINE is set\n"


def test_the_name_in_a_manifest_is_an_input_that_stays_when_the_dataset_moves_on(toy, tmp_path):
    _, [before] = against(toy, tmp_path, "hf://dc/toy/odd")
    assert before["path"] == f"hf://dc/toy@{COMMIT}/odd/100%25 ok%3F.jsonl"
    assert before["sha256"] == hashlib.sha256(FILES["odd/100% ok?.jsonl"]).hexdigest()
    toy.commit, toy.files["odd/100% ok?.jsonl"] = "beef" + 36 * "0", row("e", 5)
    _, [moved] = against(toy, tmp_path, "hf://dc/toy/odd")
    assert moved["path"].startswith("hf://dc/toy@beef") and moved["sha256"] != before["sha256"]
    assert against(toy, tmp_path, before["path"], HF_HUB_OFFLINE="1")[1] == [before]


def test_the_card_comes_from_the_hub(toy, tmp_path):
    toy.card = {"configs": [{"config_name": "odd", "data_files": [{"split": "rest", "path": "odd/*"}]}]}
    assert [each["path"][-6:] for each in against(toy, tmp_path, "hf://dc/toy")[1]] == [".jsonl"]
    toy.card = {"configs": "nonsense"}
    assert ask(toy, tmp_path, "hf://dc/toy").err.startswith("dc-demo: hf://dc/toy: which config? Add ?config=")


def test_an_unclear_name_is_a_usage_error_before_anything_is_downloaded(toy, tmp_path):
    done = ask(toy, tmp_path, "hf://dc/toy/data")
    assert done.code == 2
    assert done.err == (
        "dc-demo: hf://dc/toy: which split? Add ?split=... to its name: there is split=test, split=train\n"
    )
    assert not [each for each in toy.asked if "/resolve/" in each]


@pytest.mark.parametrize(
    ("name", "refuse", "said"),
    [
        ("hf://dc/none", None, "no such dataset at {url}, or not for all to read: check its name, and set HF_TOKEN"),
        ("hf://dc/toy@v9", None, "no revision v9"),
        ("hf://dc/toy", (401, ""), "no such dataset at {url}, or not for all to read: check its name, and set "),
        ("hf://dc/toy", (503, ""), "{url} answers 503: try again later"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do(toy, tmp_path, name, refuse, said):
    toy.refuse = refuse
    done = ask(toy, tmp_path, name)
    assert done.code == 3
    assert done.err.startswith(f"dc-demo: {name.partition('@')[0]}: {said.format(url=toy.url)}")
    assert done.err.count("\n") == 1


def test_a_gated_dataset_needs_its_terms_and_the_token(toy, tmp_path):
    toy.gated = True
    done = ask(toy, tmp_path, "hf://dc/toy/data?split=test")
    assert (done.code, done.err) == (
        3, f"dc-demo: hf://dc/toy: gated: accept its terms at {toy.url}/datasets/dc/toy and set HF_TOKEN\n",
    )
    assert len(against(toy, tmp_path, "hf://dc/toy/data?split=test", HF_TOKEN="hf_right")[1]) == 1


def test_a_dead_hub_is_told_at_once(toy, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    done = ask(toy, tmp_path, "hf://dc/toy", HF_ENDPOINT=url)
    assert done.code == 3
    assert done.err.startswith(f"dc-demo: hf://dc/toy: {url} cannot be reached (")
    assert done.err.endswith("Connection refused); HF_HUB_OFFLINE=1 takes what was downloaded before\n")


def test_without_the_package_its_extra_is_named(tmp_path):
    (tmp_path / "huggingface_hub.py").write_text("raise ImportError\n")
    done = run([sys.executable, DEMO, "hf://dc/toy"], PYTHONPATH=str(tmp_path))
    assert (done.code, done.err) == (
        3, "dc-demo: the package 'huggingface_hub' is missing: pip install 'dc-tools[hf]'\n",
    )
