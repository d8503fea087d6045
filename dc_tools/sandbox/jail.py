"""The walls around untrusted programs: namespaces, a minimal root, landlock, seccomp and limits, by raw system calls.

Standard library only, since this runs inside the worker. Linux on x86-64. What a wall does not promise: protection from
bugs of the kernel itself.
"""

import ctypes
import errno
import os
import resource
import stat
import struct
from collections.abc import Sequence

NOBODY = 65534
TMP_SIZE = 16 << 20
TMP_INODES = 512
MAX_THREADS = 64
MAX_PROCESSES = 4096
"""Where there is no user namespace of our own, all processes of the user count together."""
MAX_FILES = 64
STACK_BYTES = 100 << 20
"""Below the 128 MiB that the kernel keeps free under the stack of a process started with a smaller limit."""

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE, MS_RELATIME = 32, 4096, 16384, 1 << 18, 1 << 21
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
SYS_SECCOMP, SYS_CLONE3, SYS_CLOSE_RANGE, SYS_PIVOT_ROOT, SYS_CAPSET = 317, 435, 436, 155, 126
SYS_LANDLOCK_CREATE, SYS_LANDLOCK_ADD, SYS_LANDLOCK_RESTRICT = 444, 445, 446

_libc = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: object) -> int:
    """A raw system call; raises `OSError`."""
    values = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *values))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{os.strerror(code)} (system call {number})")
    return result


def _checked(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent` ends; a new user id forgets it, so call it after."""
    _libc.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)
    if parent and os.getppid() != parent:
        os._exit(0)


def clone_into(namespaces: int) -> int:
    """Fork into new namespaces; like `os.fork`."""
    arguments = ctypes.create_string_buffer(struct.pack("11Q", namespaces, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0), 88)
    return syscall(SYS_CLONE3, arguments, 88)


# -- namespaces and the minimal root ----------------------------------------------------------------------------------


def enter_namespaces(read_only: Sequence[str]) -> None:
    """Leave the host: new namespaces, a root that holds only `read_only` paths and /tmp, user nobody.

    Root does the mounting first and drops to nobody in a further user namespace; anyone else does all in one. Errors:
    `OSError` where the machine refuses.
    """
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    outer = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC
    if os.getuid() == 0:
        _unshare(outer)
        _new_root(read_only)
        become_nobody()
        _libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
        _enter_user_namespace(proc, CLONE_NEWNS)
    else:
        _enter_user_namespace(proc, outer)
        _new_root(read_only)
    os.close(proc)


def become_nobody() -> None:
    """Give up root for good."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def fresh_tmp() -> None:
    """Put an empty, small /tmp in place of the last one."""
    _libc.umount2(b"/tmp", MNT_DETACH)
    options = f"size={TMP_SIZE},nr_inodes={TMP_INODES},mode=1777"
    _mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options)


def _unshare(flags: int) -> None:
    _checked(_libc.unshare(ctypes.c_int(flags)), "unshare")


def _enter_user_namespace(proc: int, more: int) -> None:
    uid, gid = os.getuid(), os.getgid()
    _unshare(CLONE_NEWUSER | more)
    for name, text in (
        ("setgroups", "deny"), ("uid_map", f"{NOBODY} {uid} 1"), ("gid_map", f"{NOBODY} {gid} 1"),
    ):
        handle = os.open(f"self/{name}", os.O_WRONLY, dir_fd=proc)
        os.write(handle, text.encode())
        os.close(handle)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    encoded = [None if t is None else t.encode() for t in (source, target, kind, options)]
    result = _libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])
    _checked(result, f"mount {target}")


def _new_root(read_only: Sequence[str]) -> None:
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    sources = [(path, os.open(path, os.O_PATH)) for path in read_only]
    base = "/tmp"
    _mount("tmpfs", base, "tmpfs", MS_NOSUID, "size=1m,mode=755")
    for path, handle in sources:
        target = base + path
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            os.makedirs(target, 0o755, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o444))
        _mount(f"/proc/self/fd/{handle}", target, None, MS_BIND | MS_REC)
        os.close(handle)
        _remount_read_only(target)
    for name in ("tmp", ".old"):
        os.makedirs(f"{base}/{name}", 0o755, exist_ok=True)
    syscall(SYS_PIVOT_ROOT, base.encode(), f"{base}/.old".encode())
    os.chdir("/")
    _checked(_libc.umount2(b"/.old", MNT_DETACH), "umount")
    os.rmdir("/.old")
    _mount("none", "/", None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID)


def _remount_read_only(target: str) -> None:
    kept = os.statvfs(target).f_flag
    flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | (kept & (MS_NODEV | MS_NOEXEC))
    for visible, flag in ((os.ST_NOATIME, 1024), (os.ST_NODIRATIME, 2048), (os.ST_RELATIME, MS_RELATIME)):
        flags |= flag if kept & visible else 0
    _mount("none", target, None, flags)


# -- landlock ---------------------------------------------------------------------------------------------------------

_READ = 1 << 2 | 1 << 3
_WRITE_FILE = 1 << 1
_TMP_RIGHTS = _READ | _WRITE_FILE | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8
_TRUNCATE = 1 << 14
_FS_BITS = {1: 13, 2: 14, 3: 15, 4: 15}
"""Landlock version -> how many file rights it knows (16 from version 5 on)."""


def landlock_version() -> int:
    """The kernel's landlock version, 0 where it has none."""
    try:
        return syscall(SYS_LANDLOCK_CREATE, 0, 0, 1)
    except OSError:
        return 0


def landlock(version: int, readable: Sequence[str], writable: Sequence[str]) -> None:
    """Allow reading below `readable`, plain files and folders below `writable`, and nothing else, for good.

    Links, devices, sockets, TCP, signals to outsiders and abstract sockets are refused as far as `version` knows them.
    """
    rights = (1 << _FS_BITS.get(version, 16)) - 1
    attributes = struct.pack("QQQ", rights, 3, 3)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = syscall(SYS_LANDLOCK_CREATE, ctypes.create_string_buffer(attributes, len(attributes)), len(attributes), 0)
    for paths, allowed in ((readable, _READ), (writable, _TMP_RIGHTS | _TRUNCATE)):
        for path in paths:
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
            folder = stat.S_ISDIR(os.fstat(handle).st_mode)
            wanted = allowed if folder else (allowed | (_WRITE_FILE if path == "/dev/null" else 0)) & ~(1 << 3)
            rule = ctypes.create_string_buffer(struct.pack("=Qi", wanted & rights, handle), 12)
            syscall(SYS_LANDLOCK_ADD, ruleset, 1, rule, 0)
            os.close(handle)
    syscall(SYS_LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)


def no_new_privileges() -> None:
    """Never again gain rights by exec; landlock and seccomp ask for it."""
    _checked(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


# -- seccomp ----------------------------------------------------------------------------------------------------------

_ALLOWED = {
    "read": 0, "write": 1, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "ioctl": 16,
    "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "access": 21, "pipe": 22, "select": 23, "sched_yield": 24,
    "mremap": 25, "msync": 26, "mincore": 27, "madvise": 28, "dup": 32, "dup2": 33, "pause": 34, "nanosleep": 35,
    "getitimer": 36, "alarm": 37, "setitimer": 38, "getpid": 39, "exit": 60, "uname": 63,
    "flock": 73, "fsync": 74, "fdatasync": 75, "truncate": 76, "ftruncate": 77, "getdents": 78, "getcwd": 79,
    "chdir": 80, "fchdir": 81, "rename": 82, "mkdir": 83, "rmdir": 84, "open": 2, "creat": 85, "unlink": 87,
    "readlink": 89, "chmod": 90, "umask": 95, "gettimeofday": 96, "getrlimit": 97, "getrusage": 98, "sysinfo": 99,
    "times": 100, "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108, "getppid": 110, "getpgrp": 111,
    "getgroups": 115, "getpgid": 121, "getsid": 124, "rt_sigpending": 127, "rt_sigtimedwait": 128,
    "rt_sigsuspend": 130, "sigaltstack": 131, "arch_prctl": 158, "gettid": 186, "time": 201, "futex": 202,
    "sched_getaffinity": 204, "getdents64": 217, "set_tid_address": 218, "restart_syscall": 219,
    "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231, "epoll_wait": 232,
    "epoll_ctl": 233, "openat": 257, "mkdirat": 258, "newfstatat": 262, "unlinkat": 263,
    "renameat": 264, "readlinkat": 267, "faccessat": 269, "pselect6": 270, "ppoll": 271, "set_robust_list": 273,
    "epoll_pwait": 281, "eventfd2": 290, "epoll_create1": 291, "dup3": 292, "pipe2": 293, "preadv": 295,
    "pwritev": 296, "getrandom": 318, "membarrier": 324, "statx": 332, "rseq": 334,
    "close_range": 436, "faccessat2": 439, "wait4": 61, "setrlimit": 160, "setsid": 112,
}
_SIGNALS = {"kill": 62, "tgkill": 234}
_PRLIMIT, _FCNTL, _SOCKETPAIR = 302, 72, 53
_SENDTO, _RECVFROM = 44, 45
_OWNER_COMMANDS = (8, 10, 15)
"""F_SETOWN, F_SETSIG, F_SETOWN_EX: they make the kernel send signals to others."""
_STREAMS = (1, 0x801, 0x80001, 0x80801)
"""SOCK_STREAM, with and without SOCK_NONBLOCK and SOCK_CLOEXEC."""
_CLONE = 56
_CLONE_THREAD = 0x00010000
_CLONE_NEW = 0x7E020000 | 0x00000080
_LOAD, _RETURN, _EQUAL, _AT_LEAST, _ANY_BIT = 0x20, 0x06, 0x15, 0x35, 0x45
_RET_ALLOW, _RET_ERRNO, _RET_KILL = 0x7FFF0000, 0x00050000, 0x80000000
_AUDIT_ARCH_X86_64 = 0xC000003E
_Step = tuple[int, int, int, int]
"""One instruction of the filter: code, jump if true, jump if false, operand."""
_ALLOW: _Step = (_RETURN, 0, 0, _RET_ALLOW)
_DENY: _Step = (_RETURN, 0, 0, _RET_ERRNO | errno.EPERM)
_kept_alive: list[object] = []
"""Filter bodies, which the kernel reads through a pointer."""


def seccomp_program(own_pid: int | None = None) -> ctypes.Array[ctypes.c_char]:
    """The system calls a program may make; all others fail with EPERM, calls of another architecture kill.

    Threads may be made, processes not; a pair of connected sockets (asyncio wants one), but no other socket. Without a
    pid namespace `own_pid` is the only process that may be signalled.
    """
    load_arch, load_number = (_LOAD, 0, 0, 4), (_LOAD, 0, 0, 0)
    kill = (_RETURN, 0, 0, _RET_KILL)
    steps: list[_Step] = [
        load_arch, (_EQUAL, 1, 0, _AUDIT_ARCH_X86_64), kill,
        load_number, (_AT_LEAST, 0, 1, 0x40000000), kill,
        (_EQUAL, 0, 1, SYS_CLONE3), (_RETURN, 0, 0, _RET_ERRNO | errno.ENOSYS),
        (_EQUAL, 0, 5, _CLONE), _argument(0),
        (_ANY_BIT, 2, 0, _CLONE_NEW), (_ANY_BIT, 0, 1, _CLONE_THREAD), _ALLOW, _DENY,
        *_when(_FCNTL, 1, _OWNER_COMMANDS, _DENY, _ALLOW),
        *_when(_PRLIMIT, 0, (0,), _ALLOW, _DENY),
        *_when(_SOCKETPAIR, 1, _STREAMS, _ALLOW, _DENY),
    ]
    for number in sorted({*_ALLOWED.values(), _SENDTO, _RECVFROM}):
        steps += [(_EQUAL, 0, 1, number), _ALLOW]
    for number in _SIGNALS.values():
        steps += [(_EQUAL, 0, 1, number), _ALLOW] if own_pid is None else _when(number, 0, (own_pid,), _ALLOW, _DENY)
    steps.append(_DENY)
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    body = ctypes.create_string_buffer(code, len(code))
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(body)), 16)
    _kept_alive.append(body)
    return head


def _argument(index: int) -> _Step:
    return (_LOAD, 0, 0, 16 + 8 * index)


def _when(number: int, index: int, values: Sequence[int], then: _Step, otherwise: _Step) -> list[_Step]:
    """Steps for one call: `then` where argument `index` is one of `values`, `otherwise` where it is not."""
    tests = [(_EQUAL, len(values) - i, 0, value) for i, value in enumerate(values)]
    return [(_EQUAL, 0, len(values) + 3, number), _argument(index), *tests, otherwise, then]


def seccomp(program: ctypes.Array[ctypes.c_char]) -> None:
    """Obey `program` from here on."""
    syscall(SYS_SECCOMP, 1, 0, program)


# -- limits and rights ------------------------------------------------------------------------------------------------


def drop_capabilities() -> None:
    """Give up every capability, also those a user namespace gave."""
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0), 8)
    syscall(SYS_CAPSET, header, ctypes.create_string_buffer(24))


def close_from(first: int) -> None:
    """Close every descriptor from `first` on."""
    syscall(SYS_CLOSE_RANGE, first, 0xFFFFFFFF, 0)


def limit_memory(size: int) -> None:
    """Bound the address space of this process and its children, for good."""
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def limit(cpu_s: float, output_bytes: int, *, threads: int) -> None:
    """Hard limits of one test; memory is limited earlier, by the cell. The stack may be grown by the program itself."""
    seconds = int(cpu_s) + 2
    pairs = [
        (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_FSIZE, output_bytes), (resource.RLIMIT_NOFILE, MAX_FILES),
        (resource.RLIMIT_CORE, 0), (resource.RLIMIT_MSGQUEUE, 0), (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_NPROC, threads),
    ]
    hard_stack = resource.getrlimit(resource.RLIMIT_STACK)[1]
    soft_stack = STACK_BYTES if hard_stack == resource.RLIM_INFINITY else min(STACK_BYTES, hard_stack)
    resource.setrlimit(resource.RLIMIT_STACK, (soft_stack, hard_stack))
    for which, value in pairs:
        hard = resource.getrlimit(which)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (bound, bound))
