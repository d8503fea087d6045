"""What travels to a remote Python with each solution: it gets the solution's input and output in place and becomes it.

Sent as text, after program.py. Standard library of Python 3.8 and later only; nothing of the judge is known here.
"""

import base64
import contextlib
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import zlib
from typing import Any, NoReturn

CAUGHT = "output"
STDERR_BYTES = 4000


def become(job: dict[str, Any], program: Any) -> NoReturn:
    """Be the solution in this process, by the functions of program.py.

    Where stdout is a pipe, its output, or value, goes to the file `job["output"]`: some servers stop reading a pipe
    after 64 KiB. Where it is a file already, or none can be made, it goes to stdout.
    """
    here = os.path.dirname(os.path.abspath(sys.argv[0]))
    sys.path[:] = [path for path in sys.path if path and os.path.abspath(path) != here]
    program.prepare()
    _take_input()
    _catch_output(job["output"], program.VALUE_FD if job["entry"] else 1)
    _limit(job)
    try:
        code = compile(base64.b64decode(job["code"]), program.FILE, "exec", dont_inherit=True)
    except BaseException as error:
        where = f" (line {error.lineno})" if isinstance(error, SyntaxError) and error.lineno else ""
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        line = f"{job['refusal']} {type(error).__name__}: {said}{where}\n"
        os.write(2, line.encode("utf-8", "replace"))
        os._exit(1)
    program.run(code, job, None)
    os._exit(1)


def supervise(job: dict[str, Any], script: str) -> None:
    """Run `script`, which becomes the solution, as a child; print how it ended between two marks.

    For servers that tell nothing but what was printed. The mark is in no file and no process but this one.
    """
    folder = tempfile.mkdtemp()
    try:
        result = _ran(job, script, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    packed = base64.b64encode(zlib.compress(json.dumps(result).encode())).decode()
    print(job["mark"] + packed + job["mark"], flush=True)


def _ran(job: dict[str, Any], script: str, folder: str) -> dict[str, Any]:
    work, output = os.path.join(folder, "work"), os.path.join(folder, CAUGHT)
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


def _take_input() -> None:
    """Put all of stdin into a file on descriptor 0, as a judge's input is one."""
    try:
        handle = os.memfd_create("in")
    except (AttributeError, OSError):
        with tempfile.TemporaryFile() as made:
            handle = os.dup(made.fileno())
    with open(handle, "wb", closefd=False) as stream:
        shutil.copyfileobj(sys.stdin.buffer, stream)
    os.lseek(handle, 0, os.SEEK_SET)
    os.dup2(handle, 0)
    os.close(handle)


def _catch_output(path: str, target: int) -> None:
    try:
        if stat.S_ISREG(os.fstat(1).st_mode):
            raise FileExistsError(path)
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except OSError:
        handle = os.dup(1)
    os.dup2(handle, target)
    if target != 1:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _limit(job: dict[str, Any]) -> None:
    """What the server may not have limited, as far as this process may."""
    memory = job["memory_mb"] << 20
    with contextlib.suppress(OSError), open("/proc/self/statm") as stream:
        memory += int(stream.read().split()[0]) * resource.getpagesize()
    wanted = {resource.RLIMIT_AS: memory, resource.RLIMIT_FSIZE: job["output_bytes"]}
    if job["cpu_s"]:
        wanted[resource.RLIMIT_CPU] = job["cpu_s"]
    for name, value in wanted.items():
        with contextlib.suppress(OSError, ValueError):
            hard = resource.getrlimit(name)[1]
            resource.setrlimit(name, (value if hard < 0 else min(value, hard), hard))
