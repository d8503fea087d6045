"""Runs programs on a server with SandboxFusion's API, this project's own (`dc-sandbox serve`) or another.

Each run is one POST /run_code, so a C++ program is compiled for each test. `time_s` is what the server calls
`execution_time`: CPU time from ours, wall time from SandboxFusion, whose `run_timeout` is wall time too. Memory used is
not known. How well programs are held is the server's matter.
"""

import base64
import contextlib
import re
from collections.abc import Iterator

from dc_tools.core.records import Mode, Status
from dc_tools.sandbox.execution import Execution, Program, WorkerLost, program_wall_s
from dc_tools.sandbox.languages import COMPILE_WALL_S
from dc_tools.sandbox.remote_script import Outcome, Script, compiler_message
from dc_tools.sandbox.remote_worker import RemoteWorker
from dc_tools.sandbox.serve_fusion import CommandResult, RunResponse

BESIDE_MB = 64
"""More than the program's limit, which the script itself sets: the interpreter's own memory."""
QUEUE_S = 300.0
"""How long a busy server may let a request wait."""
_SAID = re.compile(r"(TLE|MLE|OLE|RE): (.*)", re.DOTALL)


class Response(RunResponse):
    """The answer; one of status SandboxError counts as none, so that it is asked for again."""

    def __post_init__(self) -> None:
        if self.status not in ("Success", "Failed"):
            raise ValueError(f"status {self.status}: {' '.join(self.message.split())[:300]}")


class SandboxFusionWorker(RemoteWorker):
    """One program at a time on a server with SandboxFusion's API."""

    level = "sandbox-fusion"

    @contextlib.contextmanager
    def session(self, program: Program, *, fast: bool = False) -> Iterator["FusionSession"]:
        """Keep a program ready; nothing is sent before the first run."""
        yield FusionSession(self, program)


class FusionSession:
    """One program. A compiler that refuses it says so in each run."""

    refused: str | None = None
    probes = b""
    memory_mb = 0.0

    def __init__(self, worker: SandboxFusionWorker, program: Program) -> None:
        self._worker, self._program, self._script = worker, program, Script(program)

    def run(self, data: str, files: dict[str, bytes] | None = None) -> Execution:
        """Run on one input. Errors: `WorkerLost`."""
        program, script = self._program, self._script
        if not script.is_python and (program.argv or program.mode is Mode.FUNCTION):
            return Execution(status=Status.IE, message=f"this backend gives {program.lang} no arguments and calls none")
        given = {**program.files, **(files or {})}
        body = {
            "code": script.text(), "language": "python" if script.is_python else "cpp",
            "stdin": data.encode("utf-8", "replace").decode(), "run_timeout": program.limits.time_s,
            "compile_timeout": COMPILE_WALL_S, "memory_limit_MB": program.limits.memory_mb + BESIDE_MB,
            "files": {name: base64.b64encode(content).decode() for name, content in given.items()},
            "fetch_files": [script.output, *program.fetch],
        }
        wait_s = program_wall_s(program.limits) + COMPILE_WALL_S + QUEUE_S
        return self._execution(self._worker.ask("/run_code", body, Response, wait_s))

    def _execution(self, response: Response) -> Execution:
        compiled, run = response.compile_result, response.run_result
        if compiled and (compiled.status != "Finished" or compiled.return_code):
            late = compiled.status == "TimeLimitExceeded"
            message = "compiling took too long" if late else compiler_message(compiled.stderr or "")
            return Execution(status=Status.CE, message=message)
        if run is None or run.status == "Error":
            raise WorkerLost(f"an answer without a run: {(run and run.stderr) or response.message}"[:300])
        return self._script.execution(self._outcome(response, run))

    def _outcome(self, response: Response, run: CommandResult) -> Outcome:
        try:
            files = {name: base64.b64decode(text) for name, text in response.files.items()}
        except ValueError:
            raise WorkerLost("an answer with a file that is not base64") from None
        output = files.pop(self._script.output, None)
        said = _SAID.fullmatch(response.message)
        return Outcome(
            output=(run.stdout or "").encode("utf-8", "surrogatepass") if output is None else output,
            stderr=run.stderr or "", code=None if run.status == "TimeLimitExceeded" else run.return_code or 0,
            time_s=run.execution_time or 0.0, said=(said[1], said[2]) if said else None, files=files,
        )
