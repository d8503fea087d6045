"""What travels to a remote interpreter that tells nothing but what was printed: it runs a solution's script as a child.

Sent as text. Standard library of Python 3.10 and later only; nothing of the judge is known here.
"""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import zlib
from typing import Any

STDERR_BYTES = 4000


def supervise(job: dict[str, Any], script: str) -> None:
    """Run `script`, which becomes the solution, as a child; print how it ended between two marks.

    The mark is in no file and no process but this one.
    """
    folder = tempfile.mkdtemp()
    try:
        result = _ran(job, script, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    packed = base64.b64encode(zlib.compress(json.dumps(result).encode())).decode()
    print(job["mark"] + packed + job["mark"], flush=True)


def _ran(job: dict[str, Any], script: str, folder: str) -> dict[str, Any]:
    work, output = os.path.join(folder, "work"), os.path.join(folder, "output")
    os.mkdir(work)
    files = {"script.py": script.encode(), "in": base64.b64decode(job["stdin"])}
    files.update({os.path.join("work", name): base64.b64decode(text) for name, text in job["files"].items()})
    for name, content in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(content)
    with open(os.path.join(folder, "in"), "rb") as stdin, open(os.path.join(folder, "err"), "wb+") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-s", "-B", "-X", "utf8", os.path.join(folder, "script.py")], stdin=stdin,
            stdout=subprocess.DEVNULL, stderr=stderr, cwd=work, start_new_session=True,
            env={"PATH": "/usr/bin:/bin", "HOME": work, "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0"},
        )
        is_late = threading.Event()

        def kill() -> None:
            is_late.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(job["wall_s"], kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = -(status & 127) or status >> 8
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        stderr.seek(max(0, os.fstat(stderr.fileno()).st_size - STDERR_BYTES))
        said = stderr.read().decode("utf-8", "replace")
    most = job["output_bytes"]
    names = [name for name in job["fetch"] if os.path.isfile(os.path.join(work, name))]
    return {
        "code": process.returncode, "late": is_late.is_set(), "stderr": said, "output": _read(output, most),
        "cpu_s": usage.ru_utime + usage.ru_stime, "memory_mb": usage.ru_maxrss / 1024,
        "files": {name: _read(os.path.join(work, name), most) for name in names},
    }


def _read(path: str, most: int) -> str:
    try:
        with open(path, "rb") as stream:
            return base64.b64encode(stream.read(most)).decode()
    except OSError:
        return ""
