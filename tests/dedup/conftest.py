"""What tests of evaluation sets share: a folder with inputs, and the command run in it."""

import os
from pathlib import Path

import pytest
from evaluation import RECORDS, REFERENCES, write

from dc_tools.dedup.command import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with `in.jsonl` and `eval.jsonl`."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("DC_")]:
        monkeypatch.delenv(name)
    write("eval.jsonl", REFERENCES)
    write("in.jsonl", RECORDS)
    return tmp_path


@pytest.fixture
def dedup(folder, capfd):
    """Runs the command on `in.jsonl`: the kept and the removed lines, or what it told where it should fail."""

    def run(*flags, expect=0):
        with pytest.raises(SystemExit) as ended:
            main(["in.jsonl", "--removed", "removed.jsonl", *map(str, flags)])
        out, told = capfd.readouterr()
        assert ended.value.code == expect, told
        assert "Traceback" not in told
        assert "internal error" not in told
        return told if expect else (out, Path("removed.jsonl").read_text())

    return run
