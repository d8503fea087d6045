"""Compiling inside the cell: a compiler behind its own walls turns a source into one program in memory.

The compiler sees the system's headers and libraries and writes to /tmp alone; what it makes can be run only through
`filters.EXEC_FD`. Standard library only.
"""

import ctypes
import os
import re
import resource
import select
import signal
import struct

from dc_tools.sandbox import filters, jail, languages

_ENVIRONMENT = {"PATH": "/usr/bin", "LANG": "C.UTF-8", "TMPDIR": "/tmp", "HOME": "/tmp", "MALLOC_ARENA_MAX": "1"}
"""One arena, since each reserves 64 MiB of the memory that is counted."""
_EXECVEAT, _AT_EMPTY_PATH = 322, 0x1000
_TELLING = re.compile(r"\berror: (?!ld returned)|Error: |undefined reference|multiple definition")
"""What lines say what is wrong: the compiler's, the assembler's, the linker's."""
_LOADED = 1
"""PT_LOAD of an ELF file."""


class Refused(Exception):
    """The compiler would not have the program, and why."""


def build(lang: str, source: bytes, rules: int | None, cpu_s: int) -> int:
    """Compile in /tmp, in `cpu_s` for each part of the compiler; a descriptor of the program. Errors: `Refused`."""
    compiler = languages.COMPILERS[lang]
    with open(f"/tmp/{compiler.source}", "wb") as stream:
        stream.write(source)
    said = os.memfd_create("said", os.MFD_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            _become_compiler(compiler, said, rules, cpu_s)
        finally:
            os._exit(127)
    reason = _watched(pid)
    if reason:
        raise Refused(reason)
    if _exit_code(pid) != 0 or not os.path.exists("/tmp/program"):
        raise Refused(_complaint(said))
    os.close(said)
    return _in_memory("/tmp/program")


def needed_bytes(program: int) -> int:
    """Memory that a program asks for before it runs: its code and its static data."""
    head = os.pread(program, 64, 0)
    (offset,), (size, count) = struct.unpack_from("<Q", head, 32), struct.unpack_from("<HH", head, 54)
    segments = [os.pread(program, 56, offset + size * i) for i in range(count)]
    sizes = [struct.unpack_from("<Q", s, 40)[0] for s in segments if struct.unpack_from("<I", s)[0] == _LOADED]
    return int(sum(sizes))


def become(program: int, argv: list[str]) -> None:
    """Be the compiled program; the last system call of ours."""
    arguments = [b"solution", *(a.encode("utf-8", "surrogateescape") for a in argv), None]
    environment = [*(f"{name}={value}".encode() for name, value in _ENVIRONMENT.items()), None]
    pointers = [(ctypes.c_char_p * len(texts))(*texts) for texts in (arguments, environment)]
    jail.syscall(_EXECVEAT, program, b"", *pointers, _AT_EMPTY_PATH)


def _become_compiler(compiler: languages.Compiler, said: int, rules: int | None, cpu_s: int) -> None:
    os.setsid()
    null = os.open("/dev/null", os.O_RDONLY)
    for handle, target in ((null, 0), (said, 1), (said, 2)):
        os.dup2(handle, target)
    megabytes = languages.COMPILE_MEMORY_MB
    for which, value in (
        (resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_AS, megabytes << 20),
        (resource.RLIMIT_NPROC, 64), (resource.RLIMIT_CORE, jail.NO_CORE), (resource.RLIMIT_FSIZE, 64 << 20),
    ):
        jail.bound(which, value)
    if rules is not None:
        jail.obey(rules)
    jail.drop_capabilities()
    os.chdir("/tmp")
    filters.obey(filters.building())
    os.execve(compiler.command[0], list(compiler.command), _ENVIRONMENT)


def _watched(pid: int) -> str:
    """Wait for the compiler to end, without reaping it; why it and its parts were stopped, '' where they were not."""
    handle = os.pidfd_open(pid)
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    ended = waiting.poll(1000 * languages.COMPILE_WALL_S)
    os.close(handle)
    if ended:
        return ""
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return f"compiling took over {languages.COMPILE_WALL_S} s"


def _exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _complaint(said: int) -> str:
    """What the compiler said first that is an error, on one line."""
    lines = os.pread(said, 1 << 20, 0).decode("utf-8", "replace").splitlines()
    telling = [line for line in lines if _TELLING.search(line)] or lines
    return (telling[0] if telling else "the compiler was stopped by its limits")[:300]


def _in_memory(path: str) -> int:
    size = os.stat(path).st_size
    handle = os.memfd_create("program", os.MFD_CLOEXEC)
    source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    at = 0
    while at < size:
        at += os.sendfile(handle, source, at, size - at)
    os.close(source)
    return handle
