"""What a command does before any work: help, version, variables, wrong flags, missing files."""

import ast
import json
import os
import subprocess
import sys

import pytest
from processes import BIN, environment, run

HEAVY = ("torch", "transformers", "ray", "numpy", "httpx", "docker", "scipy", "matplotlib", "datasketch", "peft")
LISTS_MODULES = "import sys, atexit; atexit.register(lambda: print(sorted(sys.modules), file=sys.stderr)); "


def cpu_seconds(argv: list[str]) -> float:
    """CPU time of a process and its children, user and system."""
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, env=environment()) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


def test_help_costs_under_a_fifth_of_a_second_of_cpu(tool):
    assert any(cpu_seconds([str(BIN / tool.name), "--help"]) < 0.2 for _ in range(5))


def test_help_imports_nothing_heavy(tool):
    room = tool.name.removeprefix("dc-")
    source = f"{LISTS_MODULES}from dc_tools.{room}.command import main; main(['--help'])"
    done = run([sys.executable, "-c", source])
    modules = set(ast.literal_eval(done.err.splitlines()[-1]))
    assert "typer" in modules
    assert not modules & set(HEAVY)


def test_help_goes_to_stdout_and_names_the_shared_flags(tool):
    done = run([BIN / tool.name, "--help"])
    assert (done.code, done.err) == (0, "")
    text = done.out.decode()
    assert text.startswith(f"Usage: {tool.name} [OPTIONS] [FILE]...")
    shared = "output seed workers limit quiet debug resume force rejects max-rejects manifest version"
    assert [flag for flag in shared.split() if f"--{flag}" not in text] == []


def test_version_is_that_of_the_package(tool):
    import dc_tools

    done = run([BIN / tool.name, "--version"])
    assert (done.code, done.err) == (0, "")
    assert done.out.decode().split()[:2] == [tool.name, dc_tools.__version__]


def test_an_unknown_flag_is_a_usage_error_of_one_line(tool, tiny_model):
    done = run(tool.argv(tiny_model, "--no-such-flag"))
    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith(f"{tool.name}: No such option: --no-such-flag")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("flags", [["--workers", "0"], ["--seed", "x"], ["--limit", "-1"], ["--max-rejects", "-1"]])
def test_a_value_out_of_range_is_a_usage_error(tool, flags, tiny_model):
    done = run(tool.argv(tiny_model, *flags))
    assert (done.code, done.out, flags[0] in done.err) == (2, b"", True)


def test_variables_give_values_and_flags_win_over_them(tool, tiny_model, tmp_path):
    missing = str(tmp_path / "missing.jsonl")
    assert run(tool.argv(tiny_model, missing), DC_WORKERS="0").code == 2
    assert run(tool.argv(tiny_model, missing), **{f"DC_{tool.name[3:].upper()}_WORKERS": "0"}).code == 2
    assert run(tool.argv(tiny_model, missing, "--workers", "1", "-o", tmp_path / "out"), DC_WORKERS="0").code == 3


def test_a_missing_file_is_named_and_nothing_is_left(tool, tiny_model, tmp_path):
    done = run(tool.argv(tiny_model, "missing.jsonl", "-o", "out"), cwd=tmp_path)
    assert (done.code, done.out) == (3, b"")
    assert done.err == f"{tool.name}: missing.jsonl: no such file\n"
    assert os.listdir(tmp_path) == []


def test_resume_without_an_output_is_a_usage_error(tool, tiny_model):
    assert run(tool.argv(tiny_model, "--resume")).code == 2


def test_the_schema_is_printed_as_json():
    done = run([BIN / "dc-curate", "--print-schema"])
    assert done.code == 0
    assert json.loads(done.out)["title"] == "dc/1"
