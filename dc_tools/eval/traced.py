"""What runs a candidate in its process and writes down each step: the line, what has changed, what came of it.

Only the standard library; its text is sent. A step is written at once, into a buffer that outlives the process, so
that a program which ends or is killed in the middle of something leaves its trace. Frames of comprehensions, generator
expressions and lambdas are no steps, nor is what a library does. Nothing is promised of programs that call
`sys.settrace`, nor after a RecursionError: the interpreter ends the tracing there.
"""

import json
import os
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable
from itertools import chain
from typing import Any

FILE = "candidate.py"
FIRST, LAST = 150, 150
"""Steps that are kept, from the beginning and from the end."""
SLOT = 4096
"""Bytes for a step: its length, and JSON."""
TEXT = 16_000
"""Bytes of what is printed that are kept."""
FLAG, STEPS = 0, 1
PRINTED = STEPS + (FIRST + LAST) * SLOT
SIZE = PRINTED + TEXT
"""The buffer: whether the program was stopped, the steps, and what sys.stdout was given, up to a null byte."""
MOST_STEPS, MOST_S = 100_000, 2.0
"""A program is stopped after so many steps, or seconds of CPU."""
CHECKED = 256
"""Steps between two looks at the clock."""
MOST_CHANGED = 12
"""Variables of one step; what else has changed is shown with the next one."""
MOST_CELLS = 400
"""Of a list, or of a list of lists, that is looked through for what has changed."""
LONGEST_NAME = 60
UNNAMED = frozenset(("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<lambda>"))
SCALARS = frozenset(map(id, (type(None), bool, int, float, str, bytes)))
UNSHOWN = frozenset(map(id, (
    types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.GenericAlias,
)))
CUT = "…"
ROOM, CELL_ROOM, MOST_TOLD = 80, 12, 2
"""Characters of a value, of an item that has changed in it, and how many such are told."""
LINE, RETURN, RAISE = "line", "return", "raise"


class Recorder:
    """The buffer, and what is counted."""

    def __init__(self, buffer: Any, shown: Callable[..., str], given: dict[str, Any]) -> None:
        self.buffer, self.shown, self.given = buffer, shown, given
        self.count, self.characters, self.room = 0, 0, TEXT
        self.until = time.process_time() + MOST_S
        self.encode = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode
        self.stdout, self.write_out = sys.stdout, sys.stdout.write
        self.exit = os._exit

    def print(self, text: str) -> int:
        """Stands for `sys.stdout.write`."""
        written = self.write_out(text)
        self.characters += written if text.isascii() else len(text.encode("utf-8", "replace"))
        if self.room:
            kept = text[: self.room].encode("utf-8", "replace")[: self.room]
            at = SIZE - self.room
            self.buffer[at : at + len(kept)] = kept
            self.room -= len(kept)
        return written

    def printed(self) -> int:
        """Bytes: what `print` had, or, where that is more, what was written below it."""
        try:
            return max(self.characters, self.stdout.buffer.tell())
        except (ValueError, OSError):  # the program has closed it
            return self.characters

    def step(self, line: int, depth: int, function: str, changed: dict[str, str], event: str, value: str) -> None:
        """Write a step; the last ones take turns in their slots."""
        number = self.count
        self.count += 1
        head = [number, line, depth, function, self.printed(), event, value]
        data = self.encode([*head, changed]).encode("utf-8", "replace")
        if len(data) > SLOT - 4:
            data = self.encode([*head, {}]).encode("utf-8", "replace")[: SLOT - 4]
        at = STEPS + SLOT * (number if number < FIRST else FIRST + (number - FIRST) % LAST)
        self.buffer[at : at + 4 + len(data)] = len(data).to_bytes(4, "little") + data
        if self.count >= MOST_STEPS or (self.count % CHECKED == 0 and time.process_time() > self.until):
            self.stop()

    def stop(self) -> None:
        """End the process: an exception could be caught."""
        self.buffer[FLAG] = 1
        try:
            self.stdout.flush()
        finally:
            self.exit(0)


class Watch:
    """The local trace function of one frame."""

    __slots__ = ("cells", "depth", "function", "raising", "recorder", "scalars", "texts")

    def __init__(self, recorder: Recorder, frame: types.FrameType) -> None:
        self.recorder = recorder
        self.depth = depth_of(frame)
        self.function = frame.f_code.co_qualname.rpartition("<locals>.")[2][:LONGEST_NAME]
        self.texts: dict[str, str] = {}
        self.scalars: dict[str, object] = {}
        self.cells: dict[str, list[Any]] = {}
        self.raising = False

    def __call__(self, frame: types.FrameType, event: str, argument: Any) -> "Watch":
        try:
            if event == "line":
                self.raising = False
                self._step(frame, LINE, "")
            elif event == "exception":
                self._raised(frame, *argument)
            elif event == "return" and not (self.raising and argument is None):
                self._step(frame, RETURN, self.recorder.shown(argument) if is_function(frame) else "")
                self._forget()
        except (RecursionError, MemoryError, RuntimeError):
            pass  # the program is at a limit, or another thread is at work: it shall not notice
        return self

    def _forget(self) -> None:
        """Whoever shows the steps drops a call that returns; where it only yielded, all of its variables come again."""
        self.texts, self.scalars, self.cells = {}, {}, {}

    def _step(self, frame: types.FrameType, event: str, value: str) -> None:
        self.recorder.step(frame.f_lineno, self.depth, self.function, self._changed(frame), event, value)

    def _raised(self, frame: types.FrameType, kind: type, error: Any, trace: types.TracebackType | None) -> None:
        """A step where it is raised, not in each frame that it passes through."""
        if trace is None or trace.tb_frame is not frame:
            return
        self.raising = True
        if kind is GeneratorExit:
            return
        below = trace.tb_next
        while below is not None:
            if is_traced(below.tb_frame.f_code):
                return
            below = below.tb_next
        self._step(frame, RAISE, in_words(error, self.recorder.shown))

    def _changed(self, frame: types.FrameType) -> dict[str, str]:
        """Variables that are not as they were at this frame's last step; '' for one that is gone."""
        values, texts, scalars, changed = variables(frame), self.texts, self.scalars, dict[str, str]()
        for name, value in values.items():
            is_scalar = id(type(value)) in SCALARS
            if (is_scalar and name in scalars and scalars[name] is value) or not self._is_shown(name, value):
                continue
            text = self.recorder.shown(value)
            if type(value) is list and CUT in text:
                text = self._with_cells(name, value, text)
            if texts.get(name) != text:
                if len(changed) >= MOST_CHANGED:
                    break
                changed[name[:LONGEST_NAME]] = texts[name] = text
            if is_scalar:
                scalars[name] = value
            else:
                scalars.pop(name, None)
        for name in [name for name in texts if name not in values]:
            changed[name[:LONGEST_NAME]] = ""
            del texts[name]
            scalars.pop(name, None)
        return changed

    def _with_cells(self, name: str, value: list[Any], text: str) -> str:
        """A long list, and where it has changed since the last step: there may be nothing to see in its beginning."""
        before, now = self.cells.pop(name, []), cells(value)
        if not now:
            return text
        self.cells[name] = now
        if len(before) != len(now):
            return text
        changed = [i for i, (old, new) in enumerate(zip(before, now, strict=True)) if old is not new]
        if not changed:
            return self.texts.get(name, text)
        told = "".join(f", {place(value, i)} = {self.recorder.shown(now[i], CELL_ROOM)}" for i in changed[:MOST_TOLD])
        return self.recorder.shown(value, ROOM - len(told)) + told

    def _is_shown(self, name: str, value: object) -> bool:
        """Whether a variable is a value, and not a part of the program or what a module found when it began."""
        kind, given = type(value), self.recorder.given
        if id(kind) in UNSHOWN or issubclass(kind, type) or name.startswith(("__", ".")):
            return False
        return not (self.function == "<module>" and name in given and given[name] is value)


def variables(frame: types.FrameType) -> dict[str, Any]:
    """A copy of a frame's variables; none in a class whose names are kept in something else than a dict."""
    values: Any = frame.f_locals
    return dict(values) if type(values) is dict or is_function(frame) else {}


def cells(value: list[Any]) -> list[Any]:
    """The items of a list of simple values, or of the lists in it; none where they are other or too many."""
    if len(value) > MOST_CELLS or not value:
        return []
    if type(value[0]) is not list:
        return list(value) if id(type(value[0])) in SCALARS else []
    is_small = all(type(row) is list for row in value) and sum(map(len, value)) <= MOST_CELLS
    return list(chain.from_iterable(value)) if is_small else []


def place(value: list[Any], cell: int) -> str:
    """Where one of the `cells` is."""
    if type(value[0]) is not list:
        return f"[{cell}]"
    row = 0
    while cell >= len(value[row]):
        cell, row = cell - len(value[row]), row + 1
    return f"[{row}][{cell}]"


def is_function(frame: types.FrameType) -> bool:
    """Whether it is neither a module's nor a class's."""
    return bool(frame.f_code.co_flags & 1)  # CO_OPTIMIZED


def is_traced(code: types.CodeType) -> bool:
    """Whether it is the candidate's and has steps."""
    return code.co_filename == FILE and code.co_name not in UNNAMED


def depth_of(frame: types.FrameType) -> int:
    """Frames with steps below this one."""
    back = frame.f_back
    while back is not None:
        if type(back.f_trace) is Watch:
            return back.f_trace.depth + 1
        back = back.f_back
    return 0


def in_words(error: Any, shown: Callable[..., str]) -> str:
    """An exception as its last line in a traceback, as far as no code of the candidate's is needed for that."""
    arguments = BaseException.__dict__["args"].__get__(error)
    name = type.__dict__["__name__"].__get__(type(error))[:LONGEST_NAME]
    if len(arguments) == 1 and type(arguments[0]) is str and type(error) is not KeyError:
        return f"{name}: {arguments[0][:80]}"
    return f"{name}: {shown(arguments[0] if len(arguments) == 1 else arguments)}" if arguments else name


def run(code: bytes, names: dict[str, Any], shown: Callable[..., str]) -> None:
    """Execute a program in `names`, which have the buffer; whatever is called later is traced, too."""
    recorder = Recorder(names.pop("__probes__"), shown, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = compile(code, FILE, "exec", dont_inherit=True)
    recorder.given = dict(names)
    vars(sys.stdout)["write"] = recorder.print

    def begin(frame: types.FrameType, event: str, argument: Any) -> Watch | None:
        if not is_traced(frame.f_code):
            return None
        return frame.f_trace if type(frame.f_trace) is Watch else Watch(recorder, frame)  # a generator goes on

    threading.settrace(begin)
    sys.settrace(begin)
    exec(program, names)
