"""What remote servers do with what they are sent, done by plain processes (no hostile programs), and workers."""

import base64
import contextlib
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sandbox_server import Scripted

from dc_tools.core.exchange import Exchange
from dc_tools.sandbox.remote_worker import RemoteWorker


def interpret(body: dict[str, Any]) -> object:
    """What Together's interpreter answers, by a plain Python here."""
    code = body["code"].encode()
    done = subprocess.run([sys.executable, "-"], input=code, capture_output=True, timeout=60, check=False)
    outputs = [{"type": "stdout", "data": done.stdout.decode()}, {"type": "stderr", "data": done.stderr.decode()}]
    session_id = body.get("session_id") or f"ses_{secrets.token_hex(4)}"
    return {"errors": None, "data": {"session_id": session_id, "status": "success", "outputs": outputs}}


def published(body: dict[str, Any]) -> object:
    """What ByteDance's server does: pipes that nobody reads before the end, and a wait for that."""
    with tempfile.TemporaryDirectory() as folder:
        run, compiled = [sys.executable, "main.py"], None
        if body["language"] == "cpp":
            built = subprocess.run(
                ["g++", "-std=c++17", "-x", "c++", "-", "-o", "main"], input=body["code"].encode(), cwd=folder,
                capture_output=True, check=False,
            )
            run, compiled = ["./main"], result_of("Finished", built.returncode, built.stdout, built.stderr)
            if built.returncode:
                return {"status": "Failed", "message": "", "compile_result": compiled}
        Path(folder, "main.py").write_text(body["code"])
        for file, content in body["files"].items():
            Path(folder, file).parent.mkdir(exist_ok=True)
            Path(folder, file).write_bytes(base64.b64decode(content))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(run, cwd=folder, **pipes) as process:
            assert process.stdin and process.stdout and process.stderr
            with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
                stdin.write(body["stdin"].encode())
            status, began = "Finished", time.monotonic()
            try:
                process.wait(body["run_timeout"])
            except subprocess.TimeoutExpired:
                process.kill()
                status = "TimeLimitExceeded"
            took_s = time.monotonic() - began
            result = result_of(status, process.wait(), process.stdout.read(), process.stderr.read(), took_s)
        found = {n: Path(folder, n) for n in body["fetch_files"] if Path(folder, n).is_file()}
        files = {n: base64.b64encode(path.read_bytes()).decode() for n, path in found.items()}
    is_good = result["return_code"] == 0
    return {
        "status": "Success" if is_good else "Failed", "message": "", "compile_result": compiled, "run_result": result,
        "executor_pod_name": None, "files": files,
    }


def result_of(status: str, code: int, stdout: bytes, stderr: bytes, took_s: float = 0.1) -> dict[str, Any]:
    """A `CommandRunResult`."""
    texts = {"stdout": stdout.decode("utf-8", "replace"), "stderr": stderr.decode("utf-8", "replace")}
    return {"status": status, "execution_time": took_s, "return_code": code if status == "Finished" else None, **texts}


@contextlib.contextmanager
def worker_of(server: Scripted, kind: Callable[[Exchange], RemoteWorker], **options: Any) -> Iterator[RemoteWorker]:
    """A worker at a server, impatient unless told otherwise."""
    exchange = Exchange(server.url, **{"api_key": "sk-secret", "tries": 3, "pause_s": 0.01, **options})
    try:
        yield kind(exchange)
    finally:
        exchange.close()
