"""SandboxFusion's POST /run_code: its request and its response, made of a program and a run of it.

Where the meaning differs: `run_timeout` is CPU seconds (wall limit 4x + 2 s) and `execution_time` CPU time;
`memory_limit_MB` below 1 is `Limits`' default, not boundless; compilers have a limit of their own, so that
`compile_timeout` is not used; `stderr` is the end of it; and `message`, which SandboxFusion leaves empty unless the
sandbox failed, says why a program failed, as `TLE: over 4 s of CPU`.
"""

import base64
import re
import signal
from pathlib import PurePosixPath
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from dc_tools.core.records import Limits, Status
from dc_tools.sandbox.execution import OK, Execution, Program
from dc_tools.sandbox.languages import COMPILERS, CPP, PYTHON
from dc_tools.sandbox.serve_http import Refusal

LANGUAGES = (PYTHON, CPP)
"""Those that are offered, by SandboxFusion's names, which are ours too."""
LONGEST_S = 3600.0
MOST_MB = 1 << 20
_PATH = re.compile(r"`\$\.?([^`]*)`")
_ENDED = {Status.MLE: -signal.SIGKILL, Status.OLE: -signal.SIGXFSZ}
"""Return codes of programs that were stopped, where the run has none."""


class RunRequest(Struct):
    """The request."""

    code: str
    language: str
    stdin: str | None = None
    run_timeout: Annotated[float, Meta(gt=0, le=LONGEST_S)] = 10.0
    compile_timeout: float = 10.0
    memory_limit_MB: Annotated[int, Meta(le=MOST_MB)] = -1
    files: dict[str, str | None] = {}
    """Content in base64 by name; null makes no file."""
    fetch_files: list[str] = []


class CommandResult(Struct):
    """How the compiler, or the program, ended: `Finished`, `Error` or `TimeLimitExceeded`."""

    status: str
    execution_time: float | None = None
    return_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None


class RunResponse(Struct):
    """The response: `Success`, `Failed` (the program's fault) or `SandboxError` (ours)."""

    status: str
    message: str = ""
    compile_result: CommandResult | None = None
    run_result: CommandResult | None = None
    executor_pod_name: str | None = None
    files: dict[str, str] = {}


def parse_request(body: bytes) -> tuple[Program, str]:
    """The program and its input. Errors: `Refusal` that names the place."""
    try:
        request = msgspec.json.decode(body, type=RunRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unprocessable(str(error)) from None
    if request.language not in LANGUAGES:
        offered = ", ".join(LANGUAGES)
        raise unprocessable(f"language '{request.language}' is not one of {offered} - at `$.language`")
    for name in (*request.files, *request.fetch_files):
        if not _is_inside(name):
            raise unprocessable(f"'{name}' is not a name inside the working folder - at `$.files`")
    memory = {"memory_mb": request.memory_limit_MB} if request.memory_limit_MB > 0 else {}
    program = Program(
        code=request.code, limits=Limits(time_s=request.run_timeout, **memory), lang=request.language,
        files={name: _content(name, text) for name, text in request.files.items() if text is not None},
        fetch=list(dict.fromkeys(request.fetch_files)),
    )
    return program, request.stdin or ""


def respond(program: Program, run: Execution) -> RunResponse:
    """The response that a run of the program is."""
    if run.status == Status.IE:
        return sandbox_error(run.message or "the judge failed")
    message = "" if run.status == OK else f"{run.status}: {run.message}"
    if run.status == Status.CE and program.lang in COMPILERS:
        refused = CommandResult("Finished", return_code=1, stdout="", stderr=run.message + "\n")
        return RunResponse("Failed", message, compile_result=refused)
    compiled = CommandResult("Finished", 0.0, 0, "", "") if program.lang in COMPILERS else None
    return RunResponse(
        "Success" if run.status == OK else "Failed", message, compiled, _run_result(run),
        files={name: base64.b64encode(content).decode() for name, content in run.files.items()},
    )


def sandbox_error(message: str) -> RunResponse:
    """The response where the sandbox itself failed: nothing is said about the program."""
    return RunResponse("SandboxError", message)


def unprocessable(message: str) -> Refusal:
    """422, with the place that the message names as ``at `$.a.b` `` in the form FastAPI gives it."""
    found = _PATH.search(message)
    place = [part for part in re.split(r"[.\[\]]+", found[1]) if part] if found else []
    return Refusal(422, [{"loc": ["body", *place], "msg": message, "type": "value_error"}])


def _run_result(run: Execution) -> CommandResult:
    if run.status == Status.TLE:
        return CommandResult("TimeLimitExceeded", run.time_s, None, run.output, run.stderr)
    code, stderr = run.exit_code, run.stderr
    if run.status == Status.CE:
        stderr = run.message + "\n"
    if run.status == Status.MLE and "MemoryError" not in stderr:
        stderr += f"MemoryError: {run.message}\n"
    if run.status != OK and not code:
        code = _ENDED.get(Status(run.status), 1)
    return CommandResult("Finished", run.time_s, 0 if run.status == OK else code, run.output, stderr)


def _is_inside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and "\0" not in name and not name.startswith("/") and ".." not in parts


def _content(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError:
        raise unprocessable(f"the content is not base64 - at `$.files.{name}`") from None
