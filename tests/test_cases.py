"""Golden cases: tests/cases/<command>/<name>/{cmd,input.jsonl,expout,experr,exit}.

`cmd` is run by bash in a copy of its folder, with the commands on PATH and $TINY_MODEL naming a small model. Stdout
must be `expout` to the byte and the exit code `exit` (0 where there is none). Each line of `experr` must be found in
stderr, in that order; where it is absent stderr is not looked at. What a machine measures varies: a `cmd` may pipe
through $STABLE.

    DC_UPDATE_CASES=1 tests/run.sh tests/test_cases.py

writes what came out as the new expectation; read the difference before committing it.
"""

import os
import re
import shutil
from pathlib import Path

import pytest
from processes import BIN, Ended, run

CASES = Path(__file__).parent / "cases"
UPDATE = os.environ.get("DC_UPDATE_CASES") == "1"
CLOSING = re.compile(r"dc-[a-z]+: in \d+, out \d+, dropped \d+, rejected \d+, [\d.]+ s$")
STABLE = r"""#!/bin/sh
sed -E 's/"(time_s|memory_mb)":[0-9.e-]+/"\1":0/g; s/"isolation":"[a-z]+"/"isolation":"some"/g'
"""


@pytest.mark.parametrize("case", sorted(CASES.glob("*/*/cmd")), ids=lambda path: "/".join(path.parts[-3:-1]))
def test_case(case: Path, tiny_model: Path, tmp_path: Path) -> None:
    folder = case.parent
    shutil.copytree(folder, tmp_path / "case")
    stable = tmp_path / "stable"
    stable.write_text(STABLE)
    stable.chmod(0o755)
    variables = {"PATH": f"{BIN}:{os.environ['PATH']}", "TINY_MODEL": str(tiny_model), "STABLE": str(stable)}
    done = run(["bash", "-o", "pipefail", "cmd"], cwd=tmp_path / "case", **variables)
    if UPDATE:
        update(folder, done)
    assert done.out.decode() == text(folder / "expout")
    assert done.code == int(text(folder / "exit") or 0), done.err
    rest = iter(done.err.splitlines())
    for wanted in text(folder / "experr").splitlines():
        assert any(wanted in line for line in rest), f"not in stderr, or not in this order: {wanted}\n{done.err}"


def update(folder: Path, done: Ended) -> None:
    """Make what came out the expectation."""
    (folder / "expout").write_bytes(done.out)
    (folder / "exit").write_text(f"{done.code}\n")
    if not done.code:
        (folder / "exit").unlink()
    if (folder / "experr").exists():
        kept = [line for line in done.err.splitlines() if not CLOSING.match(line)]
        (folder / "experr").write_text("".join(f"{line}\n" for line in kept))


def text(path: Path) -> str:
    """A file's text, '' where there is none."""
    return path.read_text() if path.exists() else ""
