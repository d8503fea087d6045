"""What travels to a remote Python with each solution: it gets the solution's input and output in place and becomes it.

Sent as text, after program.py. Standard library of Python 3.10 and later only; nothing of the judge is known here.
"""

import base64
import contextlib
import os
import resource
import stat
import sys
from typing import Any, NoReturn

BLOCK = 1 << 20


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


def _take_input() -> None:
    """Put all of stdin into a file on descriptor 0, as a judge's input is one."""
    try:
        handle = os.memfd_create("in")
    except (AttributeError, OSError):  # not on Linux, or not allowed
        import tempfile

        with tempfile.TemporaryFile() as made:
            handle = os.dup(made.fileno())
    with open(handle, "wb", closefd=False) as stream:
        while data := os.read(0, BLOCK):
            stream.write(data)
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
