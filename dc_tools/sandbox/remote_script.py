"""The texts that remote servers are given to run, and what their accounts of a run come to.

A Python solution is wrapped in program.py and remote_program.py, so that it has the same streams, names and function
calls as it has here; C++ gets a few lines before it that move its output from a pipe into a file. No text holds an
expected output.
"""

import base64
import json
import math
import re
import secrets
import signal
from importlib.resources import files
from typing import Any

from msgspec import Struct

from dc_tools.core.languages import PYTHON, language
from dc_tools.core.records import Mode, Status
from dc_tools.sandbox.execution import OK, OUTPUT_BYTES, Execution, Program, program_wall_s

_CPP = """\
extern "C" int dc_open_{name}(const char *, int, ...) __asm__("open");
extern "C" int dc_dup2_{name}(int, int) __asm__("dup2");
extern "C" long dc_lseek_{name}(int, long, int) __asm__("lseek");
namespace {{ struct dc_catch_{name} {{ dc_catch_{name}() {{
if (dc_lseek_{name}(1, 0, 1) >= 0) return;
int to = dc_open_{name}("{path}", 0302, 0600); if (to >= 0) dc_dup2_{name}(to, 1); }} }} dc_caught_{name}; }}
#line 1 "solution.cpp"
"""
"""Needs no header, whose names a solution may want for itself; 0302 is O_CREAT | O_EXCL | O_RDWR."""


class Outcome(Struct):
    """A run as a server tells it; `said` is what it says of the reason, if it does: a status and a message."""

    output: bytes
    stderr: str
    code: int | None
    """None where the server ended it because of time."""
    time_s: float
    memory_mb: float = 0.0
    said: tuple[str, str] | None = None
    files: dict[str, bytes] = {}


class Script:
    """A solution as it is sent. Its `output`, a file, and its marks cannot be guessed."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.is_python = language(program.lang) == PYTHON
        self.mark = secrets.token_hex(16)
        self._refusal = f"refused-{secrets.token_hex(8)}:"
        self.output = f"out-{secrets.token_hex(8)}"

    def text(self) -> str:
        """For a server that has stdin, exit codes and files."""
        if self.is_python:
            return _become(self._job(self.output, 0))
        return _CPP.format(path=self.output, name=self.output[4:]) + self.program.code

    def supervised(self, data: str, extra: dict[str, bytes] | None = None) -> str:
        """For a server that runs Python and tells nothing but what was printed."""
        program, limits = self.program, self.program.limits
        inner = _become(self._job("../output", math.ceil(limits.time_s) + 1))
        job = {
            "mark": self.mark, "stdin": _base64(data.encode("utf-8", "surrogatepass")), "fetch": program.fetch,
            "files": {name: _base64(content) for name, content in {**program.files, **(extra or {})}.items()},
            "wall_s": program_wall_s(limits), "output_bytes": OUTPUT_BYTES,
        }
        return _python(f"supervise(job, {inner!r})", job, "remote_supervisor")

    def execution(self, outcome: Outcome) -> Execution:
        """What an outcome is to the judge."""
        status, message = self._status(outcome)
        text = outcome.output.decode("utf-8", "replace")
        return Execution(
            status=status, message=message, output=text, stderr=outcome.stderr, exit_code=outcome.code,
            time_s=round(outcome.time_s, 4), memory_mb=round(outcome.memory_mb, 1), files=outcome.files,
        )

    def _job(self, output: str, cpu_s: int) -> dict[str, Any]:
        program = self.program
        entry = program.entry if program.mode is Mode.FUNCTION else None
        return {
            "code": _base64(program.code.encode("utf-8", "surrogatepass")), "argv": program.argv, "output": output,
            "entry": entry and {
                "fn_name": entry.fn_name, "class_name": entry.class_name,
                "arg_types": entry.arg_types, "return_type": entry.return_type, "together": program.together,
            },
            "memory_mb": program.limits.memory_mb, "cpu_s": cpu_s, "output_bytes": OUTPUT_BYTES,
            "refusal": self._refusal,
        }

    def _status(self, outcome: Outcome) -> tuple[str, str]:
        """OK, or the first of CE, OLE, TLE, MLE, RE that fits, with a message."""
        limits, code = self.program.limits, outcome.code
        if self._refusal in outcome.stderr:
            return Status.CE, outcome.stderr.partition(self._refusal)[2].split("\n")[0].strip()
        if outcome.said and outcome.said[0] != Status.MLE:
            return outcome.said
        number = _signal_number(code)
        if len(outcome.output) >= OUTPUT_BYTES or number == signal.SIGXFSZ:
            return Status.OLE, f"over {OUTPUT_BYTES >> 20} MiB of output"
        if code is None or number == signal.SIGXCPU:
            return Status.TLE, f"over {limits.time_s:g} s"
        if code == 0:
            return OK, ""
        last = _last_line(outcome.stderr)
        if outcome.said or last.startswith("MemoryError") or "std::bad_alloc" in outcome.stderr:
            return Status.MLE, f"over {limits.memory_mb} MiB"
        if number:
            return Status.RE, f"killed by {_signal_name(number)}"
        return Status.RE, last or f"exit code {code}"


def compiler_message(stderr: str) -> str:
    """The line of a compiler's output that says most."""
    lines = [line for line in stderr.splitlines() if line.strip()] or ["it does not compile"]
    return next((line for line in lines if re.search(r"\berror\b", line)), lines[0])[:300]


def _become(job: dict[str, Any]) -> str:
    return _python("become(job, modules[1])", job, "remote_program", "program")


def _python(call: str, job: dict[str, Any], *names: str) -> str:
    """A Python file that makes modules of the texts of our own ones and calls, with `job`, a function of the first."""
    texts = [(files("dc_tools.sandbox") / f"{name}.py").read_text(encoding="utf-8") for name in names]
    return "\n".join([
        "import json, types", "def dc_main(job):", f"    modules = [types.ModuleType(name) for name in {names!r}]",
        f"    for module, text in zip(modules, {texts!r}):",
        "        exec(compile(text, module.__name__, 'exec'), module.__dict__)",
        f"    modules[0].{call}", f"dc_main(json.loads({json.dumps(job)!r}))", "",
    ]).replace("def dc_main(job):", "def dc_main(job):")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _signal_number(code: int | None) -> int:
    """The signal that ended a process, as its parent or a shell tells it; 0 for none."""
    if code is None or 0 <= code <= 128:
        return 0
    number = -code if code < 0 else code - 128
    return number if number < signal.NSIG else 0


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_line(stderr: str) -> str:
    text = stderr.rstrip()
    return text.rsplit("\n", 1)[-1][:200] if text else ""
