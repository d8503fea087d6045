"""The levels of isolation below namespaces, and what the doctor says of this machine."""

import os
from pathlib import Path

import pytest

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.core.records import Checker, CheckerType, Limits, Problem, Test
from dc_tools.sandbox import doctor
from dc_tools.sandbox.backends import levels_of
from dc_tools.sandbox.judge import JudgePool, Program, Rules

SIX = Problem(id="six", tests=[Test("2 3", "6"), Test("3 2", "6")], limits=Limits(time_s=1.0, memory_mb=256))
PRODUCT = "a, b = map(int, input().split())\nprint(a * b)"


def pool_at(level: str) -> JudgePool:
    made = JudgePool(1, [level])
    try:
        made.judge(SIX, PRODUCT)
    except CannotRun as error:
        made.close()
        pytest.skip(f"not on this machine: {error}")
    return made


def test_levels_are_tried_from_the_strongest_on_and_unsafe_only_when_asked():
    assert levels_of(None, unsafe=False) == ("namespaces", "landlock", "seccomp")
    assert levels_of(None, unsafe=True)[-1] == "unsafe"
    assert levels_of("landlock", unsafe=False) == ("landlock",)
    for level in ("unsafe", "container", "docker"):
        with pytest.raises(UsageError, match=level):
            levels_of(level, unsafe=False)


@pytest.mark.parametrize("level", ["landlock", "seccomp", "unsafe"])
def test_a_level_is_on_record_and_judges(level):
    with pool_at(level) as pool:
        right, wrong = pool.judge(SIX, PRODUCT), pool.judge(SIX, "print(5)")
        slow = pool.judge(SIX, "while True: pass")
    assert (right.status, right.isolation, wrong.status, slow.status) == ("AC", level, "WA", "TLE")


def test_without_files_only_what_was_imported_before_can_be_used():
    with pool_at("seccomp") as pool:
        assert pool.judge(SIX, f"import math, collections, heapq, re\n{PRODUCT}").status == "AC"
        denied = pool.judge(SIX, "open('/etc/hostname').read()")
        gone = pool.judge(SIX, "import os\nos.unlink('/etc/hostname')")
    assert (denied.status, gone.status) == ("RE", "RE")
    assert "PermissionError" in denied.message + gone.message


def test_below_namespaces_no_file_of_the_user_changes_its_mode(tmp_path: Path):
    """Landlock knows nothing of modes."""
    mine = tmp_path / "mine"
    mine.touch(0o600)
    with pool_at("landlock") as pool:
        verdict = pool.judge(SIX, f"import os\nos.chmod({str(mine)!r}, 0o777)\n{PRODUCT}")
    assert (verdict.status, mine.stat().st_mode & 0o777) == ("RE", 0o600)


@pytest.mark.parametrize("level", ["landlock", "seccomp"])
def test_what_needs_a_folder_of_its_own_is_ie_where_there_is_none(level):
    with pool_at(level) as pool:
        compiled = pool.judge(SIX, "int main() { return 0; }", "cpp")
        custom = pool.judge(
            Problem(id="c", tests=[Test("", "")], checker=Checker(CheckerType.CUSTOM, code="pass")), "print()"
        )
        run = pool.execute(Program("print(6)", files={"x": b""}), [""]).runs[0]
    assert {compiled.status, custom.status, run.status} == {"IE"}
    assert compiled.message == custom.message and "folder" in custom.message


def test_the_doctor_names_the_level_that_programs_get_and_what_is_prevented():
    report = doctor.examine()
    with JudgePool(1, rules=Rules()) as pool:
        assert pool.judge(SIX, PRODUCT).isolation == report.level
    found = {check.name: check for check in report.checks}
    assert all(found[f"a program that {name}"].is_there for name in doctor.PROBES)
    assert found[f"level {report.level}"].is_there
    told = list(doctor.lines(report))
    assert len(told) == len(report.checks) + 1
    assert told[-1] == f"programs are held by: {report.level}"
    missing = [check for check in report.checks if not check.is_there]
    assert all(check.hint and any(check.hint in line for line in told) for check in missing)


def test_without_walls_the_doctor_sees_what_programs_can_do():
    """Its probes are real: where nothing holds programs some of them succeed."""
    with pool_at("unsafe"):
        found = {check.name: check.is_there for check in doctor._walls("unsafe")}
    assert not found["a program that makes a socket"]
    assert not found["a program that starts a process"]
    assert os.path.exists("/etc/passwd") and not found["a program that reads /etc/passwd"]
