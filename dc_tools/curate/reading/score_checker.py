"""Runs inside the sandbox, never here: a checker that prints a score, made to answer by exit code as testlib's do.

Such a checker is called with the input, the expected output and the program's, and prints 1 where that is right. It is
shipped as text ahead of a call of `exit_code` (sources/codeforces.py), so this file stands alone.
"""

import contextlib
import io
import sys

ACCEPTED, REFUSED, FAILED = 0, 1, 3
FULL_SCORE = 1.0


def exit_code(checker: str, given: str, output: str, answer: str) -> int:
    """The exit code that says what `checker` thinks of the file `output`.

    A checker without a score has met an output that it cannot read, if it can read the expected one; else it is broken.
    """
    score = score_of(checker, given, answer, output)
    if score is None:
        expected = score_of(checker, given, answer, answer)
        return FAILED if expected is None or expected < FULL_SCORE else REFUSED
    return ACCEPTED if score >= FULL_SCORE else REFUSED


def score_of(checker: str, *names: str) -> float | None:
    """What the checker, called with these files, prints last; None where it ends badly or that is no number."""
    said = io.StringIO()
    sys.argv = ["checker.py", *names]
    try:
        with contextlib.redirect_stdout(said):
            exec(compile(checker, "checker.py", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        if end.code not in (None, 0):
            return None
    except Exception:
        return None
    lines = said.getvalue().split("\n")
    try:
        return float(next(line for line in reversed(lines) if line.strip()))
    except (StopIteration, ValueError):
        return None
