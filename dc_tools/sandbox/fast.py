"""The fast path inside the cell: all inputs of a program one after the other in one process.

Each run has a new `__main__`, new standard streams on real descriptors, and what a program usually changes put back.
A run counts only if the program ended as it should; anything else is left to a process of its own. Everything here is
in the program's hands: it holds no expected output, and what it sends is believed only as the program's output.
"""

import builtins
import os
import random
import sys
from typing import Any, NoReturn

from dc_tools.sandbox import program

IN, OUT, ERR, VALUE, CONTROL, PROGRAM, ORDERS = 50, 51, 52, 53, 54, 55, 56
"""Descriptors, above those that a program is given by `open`."""
GO, DONE, UNSURE = b"t", b"k", b"x"
_FIRST_FREE = 3
_REHEARSALS = 20
"""Enough for the interpreter to have specialised its code."""
_STDIN_SAMPLE = b"""
import sys
def main():
    n = int(input())
    numbers = list(map(int, input().split()))
    rest = sys.stdin.read().split()
    found = {x: i for i, x in enumerate(numbers)}
    for i in range(len(rest)):
        found[i] = sorted(numbers)[0] + sum(numbers) + max(numbers) - min(numbers)
    print(n, *numbers)
    print(" ".join(map(str, found.values())))
if __name__ == "__main__":
    main()
"""
_FUNCTION_SAMPLE = b"def f(numbers):\n    return [str(x) for x in sorted(numbers)]\n"


def rehearse() -> None:
    """Run small programs of ours, so that what every program needs is warm before the first fork."""
    entry: dict[str, object] = {
        "fn_name": "f", "class_name": None, "arg_types": [], "return_type": "json", "together": False,
    }
    for source, data, job in (
        (_STDIN_SAMPLE, b"3\n1 2 3\n1\n5\n", {"entry": None, "argv": []}),
        (_FUNCTION_SAMPLE, b"[[3,1,2]]", {"entry": entry, "argv": []}),
    ):
        run = _Runs(compile(source, program.FILE, "exec", dont_inherit=True), source, job)
        for _ in range(_REHEARSALS):
            for handle in (IN, OUT, ERR, VALUE):
                os.ftruncate(handle, 0)
                os.lseek(handle, 0, os.SEEK_SET)
            os.pwrite(IN, data, 0)
            if not run.once():
                raise OSError("a program of ours does not run")


def serve(code: Any, source: bytes, job: dict[str, Any]) -> NoReturn:
    """Run the program for each `GO` on the control socket, until it behaves unusually or the other side has gone."""
    run = _Runs(code, source, job)
    os.write(CONTROL, DONE)
    while os.read(CONTROL, 1) == GO:
        if not run.once():
            os.write(CONTROL, UNSURE)
            break
        os.write(CONTROL, DONE)
    os._exit(0)


class _Runs:
    """A compiled program and what is put back before each run of it."""

    def __init__(self, code: Any, source: bytes, job: dict[str, Any]) -> None:
        self._code, self._job = code, job
        self._targets = ((IN, 0), (OUT, 1), (ERR, 2)) + (((VALUE, 3),) if job["entry"] else ())
        self._builtins = _watched()
        self._depth = sys.getrecursionlimit() + program.depth() + 2
        self._random = b"random" in source
        self._path, self._digits = list(sys.path), sys.get_int_max_str_digits()
        self._streams: tuple[Any, Any] | None = None

    def once(self) -> bool:
        """One run; whether it ended as a program should."""
        if _watched() != self._builtins:
            return False
        for source, target in self._targets:
            os.dup2(source, target)
        arguments = program.arguments(self._job)
        namespace = program.main_module(self._job)
        self._open_streams()
        if self._random:
            random.seed(0)
        sys.path[:] = self._path
        sys.set_int_max_str_digits(self._digits)
        sys.setrecursionlimit(self._depth)
        try:
            program.execute(self._code, namespace, self._job, arguments)
        except SystemExit as stop:
            if stop.code is not None and (type(stop.code) is not int or stop.code != 0):
                return False
        except BaseException:
            return False
        return _ended_well(namespace)

    def _open_streams(self) -> None:
        """New standard streams; the two for output serve again where the program left them as they were."""
        kept = self._streams
        if kept and kept == (sys.stdout, sys.stderr) and not (kept[0].closed or kept[1].closed):
            program.reset_output_streams(*kept)
            stdin = program.new_stdin()
            vars(sys).update(stdin=stdin, __stdin__=stdin)
        else:
            program.open_standard_streams()
            self._streams = (sys.stdout, sys.stderr)


def _watched() -> tuple[object, ...]:
    """How many builtins there are, and those that programs replace. To look at all would copy the pages of all."""
    return len(vars(builtins)), builtins.input, builtins.print, builtins.open, builtins.__import__, builtins.int


def _ended_well(namespace: dict[str, Any]) -> bool:
    """What the interpreter does at its end, with no thread left (none can be made here)."""
    try:
        sys.settrace(None)
        sys.setprofile(None)
        program.wind_up(namespace)
        os.closerange(_FIRST_FREE, IN)
    except BaseException:
        return False
    return True
