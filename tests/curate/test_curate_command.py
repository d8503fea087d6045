"""dc-curate as it is typed."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DC_CURATE = Path(sys.executable).with_name("dc-curate")
SQUARE = {
    "id": "sq", "mode": "function", "entry": {"fn_name": "f"}, "solutions": ["def f(x):\n    return x * x\n"],
    "tests": [{"input": f"[{x}]", "output": str(x * x)} for x in range(5)],
}
FEW = {**SQUARE, "id": "few", "tests": SQUARE["tests"][:2]}
UNKNOWN = {"query": "", "reply": ""}


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A record that is kept, one with few tests, a row of no format, and a line that is not JSON."""
    file = tmp_path / "rows.jsonl.gz"
    text = "\n".join([json.dumps(SQUARE), json.dumps(FEW), json.dumps(UNKNOWN), "{nan"])
    file.write_bytes(gzip.compress(text.encode()))
    return file


def curate(*arguments: object, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = [DC_CURATE, *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120)


def test_each_row_goes_to_one_of_three_files_and_the_table_counts_them(rows: Path, tmp_path: Path) -> None:
    kept, dropped, rejects = (tmp_path / name for name in ("kept.jsonl", "dropped.jsonl", "rejects.jsonl"))
    done = curate(rows, "-o", kept, "--dropped", dropped, "--rejects", rejects)
    assert done.returncode == 1
    assert done.stdout == ""
    assert [json.loads(line)["id"] for line in kept.read_text().splitlines()] == ["sq"]
    (few,) = map(json.loads, dropped.read_text().splitlines())
    assert few["curation"] == {"reason": "few_tests", "detail": "2 distinct tests, 5 are asked for"}
    assert [json.loads(line)["line"] for line in rejects.read_text().splitlines()] == [3, 4]
    table = [line.removeprefix("dc-curate: ").split() for line in done.stderr.splitlines()[:4]]
    assert table == [["rows", "4"], ["kept", "1"], ["few_tests", "1"], ["rejected", "2"]]
    manifest = json.loads((tmp_path / "kept.jsonl.manifest.json").read_text())
    assert manifest["counts"]["reasons"] == {"few_tests": 1}


def test_a_wrong_format_names_the_one_it_looks_like(rows: Path) -> None:
    done = curate("--format", "humaneval", rows)
    assert done.returncode == 1
    assert "rows.jsonl.gz:1: not a humaneval row: it looks like plain (tests)" in done.stderr
    assert "rows.jsonl.gz:3: not a humaneval row: it has the keys query, reply" in done.stderr


def test_thresholds_come_from_flags_and_variables(rows: Path) -> None:
    done = curate(rows, "--min-tests", 2, "-q")
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["sq", "few"]
    environment = {**os.environ, "DC_CURATE_MIN_TESTS": "2"}
    again = subprocess.run([DC_CURATE, rows, "-q"], capture_output=True, text=True, env=environment, timeout=120)
    assert again.stdout == done.stdout


def test_the_schema_is_printed_without_any_input() -> None:
    done = curate("--print-schema")
    schema = json.loads(done.stdout)
    assert done.returncode == 0
    assert schema["title"] == "dc/1"
    assert schema["$defs"]["Problem"]["required"] == ["id", "tests"]


@pytest.mark.parametrize("flags", [("--format", "tacos"), ("--min-coverage", "1.5"), ("--max-complexity", "0")])
def test_a_flag_out_of_range_is_a_usage_error(flags: tuple[str, str]) -> None:
    done = curate(*flags, stdin="")
    assert done.returncode == 2
    assert flags[0] in done.stderr


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom dc_tools.curate.command import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('radon', 'dc_tools.sandbox.judge', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"
