"""What a command does with its input and output: formats, bad lines, fields, full disks, closed pipes."""

import gzip
import json
import os
import subprocess

import pytest
import zstandard
from processes import environment, run
from tools import BAD_PATH, BAD_ROW, LINE_TOOLS, UNKNOWN, Tool, encoded


@pytest.fixture
def lines_tool(tool: Tool) -> Tool:
    """The command, where its output can be stdout."""
    if tool not in LINE_TOOLS:
        pytest.skip(f"{tool.name} makes a folder, not lines")
    return tool


def test_empty_input_is_no_line(tool, tiny_model, tmp_path):
    output = [] if tool.makes_lines else ["-o", tmp_path / "out"]
    done = run(tool.argv(tiny_model, *output))
    assert done.code == tool.empty_code
    assert len(done.lines) == (1 if tool.output == "summary" else 0)
    assert "Traceback" not in done.err
    if tool.empty_code == 0:
        assert "in 0, out" in done.err


def test_plain_gzip_and_zstd_files_and_stdin_are_read_in_order(tool, tiny_model, tmp_path):
    text = b"\n" + encoded(BAD_ROW)
    (tmp_path / "a.jsonl").write_bytes(text)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(text))
    (tmp_path / "c.jsonl.zst").write_bytes(zstandard.compress(text))
    names = ["a.jsonl", "b.jsonl.gz", "c.jsonl.zst", "-"]
    done = run(tool.argv(tiny_model, *names, "-o", "out"), gzip.compress(text), tmp_path)
    shown = [line for line in done.err.splitlines() if BAD_PATH in line]
    assert shown == [f"{tool.name}: {name}:2: {BAD_PATH}" for name in names]
    assert done.code == (1 if tool.makes_lines else 3)
    assert done.out == b""


def test_a_bad_line_is_told_with_its_place_and_the_rest_goes_on(tool, reference):
    finished = reference(tool)
    assert finished.ended.code == 1, finished.ended.err
    manifest = finished.folder / ("out.manifest.json" if tool.makes_lines else "out/manifest.json")
    counts = json.loads(manifest.read_bytes())["counts"]
    assert (counts["in"], counts["rejected"]) == (tool.rows + 1, 1)
    if tool.makes_lines:
        assert finished.ended.err == f"{tool.name}: in.jsonl:2: {BAD_PATH}\n"
        assert len(tool.made(finished.folder)) == (tool.rows if tool.output == "lines" else 1)


def test_quiet_leaves_stderr_to_errors(tool, reference):
    """The reference run is quiet: a bad line is all that it may speak of."""
    told = [line for line in reference(tool).ended.err.splitlines() if BAD_PATH not in line]
    assert told == []


def test_rejects_are_kept_with_file_line_error_and_text(tool, tiny_model, reference, tmp_path):
    if tool.makes_lines:
        argv = tool.argv(tiny_model, "-o", "out", "--rejects", "rejects", "--max-rejects", "1")
        done = run(argv, encoded(BAD_ROW), tmp_path)
        assert (done.code, BAD_PATH in done.err) == (0, False)
        path, source, number = tmp_path / "rejects", "-", 1
    else:
        path, source, number = reference(tool).folder / "rejects", "in.jsonl", 2
    (entry,) = map(json.loads, path.read_bytes().splitlines())
    assert entry == {"file": source, "line": number, "error": BAD_PATH, "raw": encoded(BAD_ROW).decode().strip()}


def test_unknown_fields_pass_through(tool, reference):
    if tool.output != "lines":
        pytest.skip(f"{tool.name} writes no records")
    made = tool.made(reference(tool).folder)
    assert [row["theirs"] for row in made] == [UNKNOWN["theirs"]] * tool.rows
    assert [row["id"] for row in made] == [f"p{i}" for i in range(tool.rows)]


@pytest.mark.parametrize("target", ["-o", "stdout"])
def test_a_full_disk_ends_the_run(tool, target, tiny_model, tmp_path):
    if target == "stdout" and not tool.makes_lines:
        pytest.skip(f"{tool.name} makes a folder, not lines")
    argv = [str(a) for a in tool.argv(tiny_model, *(["-o", "/dev/full"] if target == "-o" else []))]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            argv, input=encoded(tool.row(0)), stdout=full, stderr=subprocess.PIPE, env=environment(), cwd=tmp_path,
            timeout=200, check=False,
        )
    err = done.stderr.decode()
    assert done.returncode == 3, err
    assert "Traceback" not in err and "internal error" not in err
    reason = "No space left on device" if tool.makes_lines else "/dev/full"
    assert reason in err.splitlines()[-1]
    assert os.listdir(tmp_path) == []


def test_a_reader_that_has_gone_ends_the_run_quietly(lines_tool, tiny_model):
    reading, writing = os.pipe()
    os.close(reading)
    argv = [str(a) for a in lines_tool.argv(tiny_model, "-q")]
    done = subprocess.run(
        argv, input=encoded(lines_tool.row(0)), stdout=writing, stderr=subprocess.PIPE, env=environment(), timeout=200,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
