"""Run as a script on a file of cases: the branches of each program by coverage.py and by our probes, on the same calls.

A case is {"code", "fn_name", "class_name", "inputs": [JSON text of arguments]}; the answer is a list of
[[covered, total] by coverage.py, [covered, total] by probes].
"""

import contextlib
import io
import json
import sys
from pathlib import Path
from types import CodeType
from typing import Any

import coverage

from dc_tools.curate.coverage import PROBES, probed
from dc_tools.sandbox.program import prelude


def run(code: CodeType, case: dict[str, Any], extra: dict[str, Any]) -> None:
    """The case's calls, each in a fresh module."""
    for given in case["inputs"]:
        world = {"__name__": "solution", **(prelude() if case["class_name"] else {}), **extra}
        exec(code, world)
        owner = world[case["class_name"]]() if case["class_name"] else None
        function = getattr(owner, case["fn_name"]) if owner else world[case["fn_name"]]
        with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()):
            function(*json.loads(given))


def by_coverage(cases: list[dict[str, Any]], folder: Path) -> list[tuple[int, int]]:
    """What coverage.py counts."""
    measured = coverage.Coverage(branch=True, data_file=None, config_file=False, include=[str(folder / "*")])
    paths = [folder / f"case_{place}.py" for place in range(len(cases))]
    for path, case in zip(paths, cases, strict=True):
        path.write_text(case["code"])
    measured.start()
    for path, case in zip(paths, cases, strict=True):
        run(compile(case["code"], str(path), "exec"), case, {})
    measured.stop()
    stats = [measured.branch_stats(str(path)).values() for path in paths]
    return [(sum(taken for _, taken in each), sum(total for total, _ in each)) for each in stats]


def by_probes(case: dict[str, Any]) -> tuple[int, int]:
    """What our probes count."""
    program = probed(case["code"])
    buffer = bytearray(len(program.is_branch))
    run(compile(program.code, "probed", "exec"), case, {PROBES: buffer})
    found = program.coverage(bytes(buffer))
    return found.covered, found.branches


def main() -> None:
    """Print the answer."""
    file = Path(sys.argv[1])
    cases = json.loads(file.read_text())
    print(json.dumps(list(zip(by_coverage(cases, file.parent), map(by_probes, cases), strict=True))))


if __name__ == "__main__":
    main()
