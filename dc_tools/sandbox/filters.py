"""Seccomp filters: which system calls a program may make. Linux on x86-64, no package needed.

Calls of another architecture (32-bit, x32) kill in all of them. Standard library only, since this runs in the worker.
"""

import ctypes
import errno
import struct
from collections.abc import Sequence

from dc_tools.sandbox import jail

EXEC_FD = 48
"""Where a compiled program lies, open for the one exec that its process may make."""
Filter = ctypes.Array[ctypes.c_char]

_SECCOMP = 317
_READING = {
    "read": 0, "write": 1, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17,
    "pwrite64": 18, "readv": 19, "writev": 20, "access": 21, "select": 23, "sched_yield": 24, "mremap": 25,
    "msync": 26, "mincore": 27, "madvise": 28, "dup": 32, "dup2": 33, "nanosleep": 35, "getpid": 39, "exit": 60,
    "uname": 63, "ftruncate": 77, "getdents": 78, "getcwd": 79, "readlink": 89, "gettimeofday": 96, "getrlimit": 97,
    "getrusage": 98, "sysinfo": 99, "times": 100, "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108,
    "getppid": 110, "getpgrp": 111, "getgroups": 115, "getpgid": 121, "getsid": 124, "sigaltstack": 131,
    "arch_prctl": 158, "gettid": 186, "time": 201, "futex": 202, "sched_getaffinity": 204, "getdents64": 217,
    "set_tid_address": 218, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230,
    "exit_group": 231, "newfstatat": 262, "readlinkat": 267, "faccessat": 269, "pselect6": 270, "ppoll": 271,
    "set_robust_list": 273, "dup3": 292, "preadv": 295, "pwritev": 296, "getrandom": 318, "membarrier": 324,
    "statx": 332, "rseq": 334, "close_range": 436, "faccessat2": 439,
}
"""Calls that leave nothing behind in the process that they are made in."""
_CHANGING = {
    "rt_sigaction": 13, "pipe": 22, "pause": 34, "getitimer": 36, "alarm": 37, "setitimer": 38, "wait4": 61,
    "flock": 73, "fsync": 74, "fdatasync": 75, "chdir": 80, "fchdir": 81, "umask": 95, "setsid": 112,
    "rt_sigpending": 127, "rt_sigtimedwait": 128, "rt_sigsuspend": 130, "setrlimit": 160, "epoll_wait": 232,
    "epoll_ctl": 233, "epoll_pwait": 281, "eventfd2": 290, "epoll_create1": 291, "pipe2": 293, "sendto": 44,
    "recvfrom": 45,
}
_OPENING = {"open": 2, "openat": 257}
_FILES = {
    "truncate": 76, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "unlink": 87, "mkdirat": 258, "unlinkat": 263,
    "renameat": 264,
}
_OWN_FILES = {"chmod": 90}
"""What landlock does not know: to be had only where no file of the host is in sight."""
_BUILDING = {
    "fork": 57, "vfork": 58, "execve": 59, "link": 86, "symlink": 88, "fchmod": 91, "fallocate": 285, "fchmodat": 268,
    "utimensat": 280, "fadvise64": 221, "memfd_create": 319, "prlimit64": 302, "renameat2": 316, "copy_file_range": 326,
    "getxattr": 191, "lgetxattr": 192, "fgetxattr": 193, "statfs": 137, "fstatfs": 138, "waitid": 247, "kill": 62,
    "tgkill": 234, "setpgid": 109,
}
"""What a compiler driver and its parts need besides."""
_SIGNALS = {"kill": 62, "tgkill": 234}
_FCNTL, _IOCTL, _SOCKETPAIR, _PRLIMIT, _SIGACTION, _EXECVEAT, _CLONE = 72, 16, 53, 302, 13, 322, 56
_OWNER_COMMANDS = (8, 10, 15)
"""F_SETOWN, F_SETSIG, F_SETOWN_EX: they make the kernel send signals to others."""
_OWN_COMMANDS = (0, 1, 2, 3, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC: they change nothing that another process shares."""
_OWN_REQUESTS = (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5450, 0x5451)
"""TCGETS, TCGETS2, TIOCGWINSZ, FIONREAD, FIONCLEX, FIOCLEX: likewise. Others make a socket signal any process."""
_FIONBIO = 0x5421
_STREAMS = (1, 0x801, 0x80001, 0x80801)
"""SOCK_STREAM, with and without SOCK_NONBLOCK and SOCK_CLOEXEC."""
_WRITING_FLAGS = 0o3 | 0o100 | 0o1000 | 0o20000000
"""O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_TMPFILE."""
_AT_EMPTY_PATH = 0x1000
_CLONE_THREAD = 0x00010000
_CLONE_NEW = 0x7E020000 | 0x00000080
_LOAD, _RETURN, _EQUAL, _AT_LEAST, _ANY_BIT = 0x20, 0x06, 0x15, 0x35, 0x45
_RET_ALLOW, _RET_ERRNO, _RET_TRAP, _RET_KILL = 0x7FFF0000, 0x00050000, 0x00030000, 0x80000000
_AUDIT_ARCH_X86_64 = 0xC000003E
_Step = tuple[int, int, int, int]
"""One instruction of the filter: code, jump if true, jump if false, operand."""
_ALLOW: _Step = (_RETURN, 0, 0, _RET_ALLOW)
_DENY: _Step = (_RETURN, 0, 0, _RET_ERRNO | errno.EPERM)
_NO_CLONE3: list[_Step] = [(_EQUAL, 0, 1, jail.SYS_CLONE3), (_RETURN, 0, 0, _RET_ERRNO | errno.ENOSYS)]
_TRAP: _Step = (_RETURN, 0, 0, _RET_TRAP)
_kept_alive: list[object] = []
"""Filter bodies, which the kernel reads through a pointer."""


def full(own_pid: int | None = None, *, opens: bool = True, owns_files: bool = True, execs: bool = False) -> Filter:
    """What a process of its own may do; all other calls fail with EPERM.

    Threads may be made, processes not; a pair of connected sockets (asyncio wants one), but no other socket. Without a
    pid namespace `own_pid` is the only process that may be signalled. `opens`: files may be opened; `owns_files`: all
    files in sight are its own; `execs`: what lies open at `EXEC_FD` may be executed.
    """
    allowed = {*_READING.values(), *_CHANGING.values()}
    allowed |= {*_OPENING.values(), *_FILES.values()} if opens else set()
    allowed |= set(_OWN_FILES.values()) if owns_files else set()
    steps = [
        *_NO_CLONE3,
        (_EQUAL, 0, 5, _CLONE), _argument(0),
        (_ANY_BIT, 2, 0, _CLONE_NEW), (_ANY_BIT, 0, 1, _CLONE_THREAD), _ALLOW, _DENY,
        *_when(_FCNTL, 1, _OWNER_COMMANDS, _DENY, _ALLOW),
        *_when(_IOCTL, 1, (*_OWN_REQUESTS, _FIONBIO), _ALLOW, _DENY),
        *_when(_PRLIMIT, 0, (0,), _ALLOW, _DENY),
        *_when(_SOCKETPAIR, 1, _STREAMS, _ALLOW, _DENY),
    ]
    if execs:
        steps += [
            (_EQUAL, 0, 6, _EXECVEAT), _argument(0), (_EQUAL, 0, 3, EXEC_FD), _argument(4),
            (_EQUAL, 0, 1, _AT_EMPTY_PATH), _ALLOW, _DENY,
        ]
    for number in _SIGNALS.values():
        steps += [(_EQUAL, 0, 1, number), _ALLOW] if own_pid is None else _when(number, 0, (own_pid,), _ALLOW, _DENY)
    return _filter([*steps, *_tree(_ranges(allowed), _DENY)])


def fast(*, opens: bool = True) -> Filter:
    """What a program may do in a process that other tests will use after it: nothing that stays.

    Any other call ends the process on the spot; what it meant to do is then done in a process of its own.
    """
    steps: list[_Step] = [
        *_NO_CLONE3,
        *_when(_FCNTL, 1, _OWN_COMMANDS, _ALLOW, _TRAP), *_when(_IOCTL, 1, _OWN_REQUESTS, _ALLOW, _TRAP),
        *_unless_null(_PRLIMIT, 2), *_unless_null(_SIGACTION, 1),
    ]
    if opens:
        for number, flags in ((_OPENING["open"], 1), (_OPENING["openat"], 2)):
            steps += [(_EQUAL, 0, 4, number), _argument(flags), (_ANY_BIT, 0, 1, _WRITING_FLAGS), _TRAP, _ALLOW]
    return _filter([*steps, *_tree(_ranges(set(_READING.values())), _TRAP)])


def building() -> Filter:
    """What a compiler may do: make processes and files, but nothing with the network or other people's processes."""
    names = (_READING, _CHANGING, _OPENING, _FILES, _OWN_FILES, _BUILDING)
    allowed = {number for group in names for number in group.values()}
    steps: list[_Step] = [
        *_NO_CLONE3,
        (_EQUAL, 0, 4, _CLONE), _argument(0), (_ANY_BIT, 0, 1, _CLONE_NEW), _DENY, _ALLOW,
        *_when(_FCNTL, 1, _OWNER_COMMANDS, _DENY, _ALLOW), *_when(_IOCTL, 1, _OWN_REQUESTS, _ALLOW, _DENY),
    ]
    return _filter([*steps, *_tree(_ranges(allowed), _DENY)])


def obey(program: Filter) -> None:
    """Hold to a filter from here on, for good."""
    jail.syscall(_SECCOMP, 1, 0, program)


def _filter(steps: Sequence[_Step]) -> Filter:
    kill = (_RETURN, 0, 0, _RET_KILL)
    head: list[_Step] = [
        (_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _AUDIT_ARCH_X86_64), kill,
        (_LOAD, 0, 0, 0), (_AT_LEAST, 0, 1, 0x40000000), kill,
    ]
    whole = [*head, *steps]
    code = b"".join(struct.pack("HBBI", *step) for step in whole)
    body = ctypes.create_string_buffer(code, len(code))
    _kept_alive.append(body)
    return ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(whole), ctypes.addressof(body)), 16)


def _ranges(numbers: set[int]) -> list[tuple[int, int]]:
    """First and last of each run of consecutive numbers."""
    firsts = [n for n in sorted(numbers) if n - 1 not in numbers]
    lasts = [n for n in sorted(numbers) if n + 1 not in numbers]
    return list(zip(firsts, lasts, strict=True))


def _tree(ranges: Sequence[tuple[int, int]], otherwise: _Step) -> list[_Step]:
    """Steps that allow the calls of `ranges`, by binary search.

    The kernel walks a new filter once for every call there is, so that a list would cost more than a fork's pages.
    """
    if len(ranges) == 1:
        first, last = ranges[0]
        return [(_AT_LEAST, 0, 2, first), (_AT_LEAST, 1, 0, last + 1), _ALLOW, otherwise]
    middle = len(ranges) // 2
    low, high = _tree(ranges[:middle], otherwise), _tree(ranges[middle:], otherwise)
    return [(_AT_LEAST, len(low), 0, ranges[middle][0]), *low, *high]


def _argument(index: int, *, high: bool = False) -> _Step:
    return (_LOAD, 0, 0, 16 + 8 * index + 4 * high)


def _when(number: int, index: int, values: Sequence[int], then: _Step, otherwise: _Step) -> list[_Step]:
    """Steps for one call: `then` where argument `index` is one of `values`, `otherwise` where it is not."""
    tests = [(_EQUAL, len(values) - i, 0, value) for i, value in enumerate(values)]
    return [(_EQUAL, 0, len(values) + 3, number), _argument(index), *tests, otherwise, then]


def _unless_null(number: int, index: int) -> list[_Step]:
    """Steps for one call that only asks where argument `index`, a pointer, is null: allowed then, else trapped."""
    low, high = _argument(index), _argument(index, high=True)
    return [(_EQUAL, 0, 6, number), low, (_EQUAL, 0, 3, 0), high, (_EQUAL, 0, 1, 0), _ALLOW, _TRAP]
