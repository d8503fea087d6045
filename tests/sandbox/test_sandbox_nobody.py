"""The whole table of programs once more, judged by an ordinary user without any right."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest
from processes import Ended, run

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--no-new-privs"]

PROBE = """
import os, subprocess, sys, pytest, msgspec, dc_tools
assert sys.version_info[:2] == {version}
subprocess.run([os.path.realpath(sys._base_executable), "-c", ""], check=True)
"""


def as_nobody(*argv: str, **variables: str) -> Ended:
    return run([*NOBODY, *argv], cwd=Path("/"), HOME="/nonexistent", PYTHONDONTWRITEBYTECODE="1", **variables)


def interpreters() -> list[tuple[str, dict[str, str]]]:
    """Pythons that may be readable by anybody: this one, or the system's of the same version with our packages."""
    packages = f"{sysconfig.get_path('purelib')}:{ROOT}"
    system = shutil.which("python3", path="/usr/bin") or sys.executable
    return [(sys.executable, {}), (system, {"PYTHONPATH": packages})]


@pytest.mark.slow
def test_an_ordinary_user_gets_the_same_verdicts():
    if os.getuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root with setpriv can become another user; the other tests ran as an ordinary one")
    for python, variables in interpreters():
        if as_nobody(python, "-c", PROBE.format(version=sys.version_info[:2]), **variables).code == 0:
            break
    else:
        pytest.skip("no interpreter with our packages is readable by user 65534")
    argv = [python, "-m", "pytest", "-q", "--tb=line", "-p", "no:cacheprovider", f"--rootdir={ROOT}"]
    names = ("hostile", "judging", "deepcoder", "attacks", "levels", "rules")
    files = [str(HERE / f"test_sandbox_{name}.py") for name in names]
    done = as_nobody(*argv, *files, **variables)
    assert done.code == 0, done.out.decode()[-4000:]
    assert b" passed" in done.out
