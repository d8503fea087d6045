"""The walls around untrusted programs: namespaces, a minimal root, landlock and limits, by raw system calls.

Standard library only, since this runs inside the worker. Linux on x86-64. What a wall does not promise: protection from
bugs of the kernel itself.
"""

import ctypes
import os
import resource
import signal
import stat
import struct
from collections.abc import Sequence

NOBODY = 65534
TMP_SIZE = 16 << 20
BUILD_TMP_SIZE = 192 << 20
"""While a compiler works: an object file and a program, each with large tables in it."""
TMP_INODES = 512
MAX_THREADS = 64
MAX_PROCESSES = 4096
"""Where there is no user namespace of our own, all processes of the user count together."""
MAX_FILES = 64
NO_CORE = 1
"""0 still hands a crash to the host's handler of cores where there is one (a pipe in core_pattern); 1 does not."""
STACK_BYTES = 100 << 20
"""Below the 128 MiB that the kernel keeps free under the stack of a process started with a smaller limit."""

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE, MS_RELATIME = 32, 4096, 16384, 1 << 18, 1 << 21
MNT_DETACH = 2
_TMP_FLAGS = MS_NOSUID | MS_NODEV | MS_NOEXEC
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
SYS_CLONE, SYS_CLONE3, SYS_CLOSE_RANGE, SYS_PIVOT_ROOT, SYS_CAPSET = 56, 435, 436, 155, 126
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
    """Fork into new namespaces; like `os.fork`. By the older call, since container engines refuse clone3."""
    return syscall(SYS_CLONE, namespaces | signal.SIGCHLD, 0, 0, 0, 0)


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
    _mount("tmpfs", "/tmp", "tmpfs", _TMP_FLAGS, options)


def resize_tmp(size: int) -> None:
    """Let the /tmp of `fresh_tmp` hold more, or again less."""
    _mount("tmpfs", "/tmp", None, MS_REMOUNT | _TMP_FLAGS, f"size={size}")


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

_EXECUTE = 1
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


def ruleset(version: int, readable: Sequence[str], writable: Sequence[str], runnable: Sequence[str] = ()) -> int:
    """A descriptor of rules: read below `readable`, plain files and folders below `writable`, nothing else.

    `runnable` may be read and executed. Links, devices, sockets, TCP, signals to outsiders and abstract sockets are
    refused as far as `version` knows them.
    """
    rights = (1 << _FS_BITS.get(version, 16)) - 1
    attributes = struct.pack("QQQ", rights, 3, 3)[: 8 if version < 4 else 16 if version < 6 else 24]
    made = syscall(SYS_LANDLOCK_CREATE, ctypes.create_string_buffer(attributes, len(attributes)), len(attributes), 0)
    os.set_inheritable(made, False)
    for paths, allowed in ((readable, _READ), (writable, _TMP_RIGHTS | _TRUNCATE), (runnable, _READ | _EXECUTE)):
        for path in paths:
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
            folder = stat.S_ISDIR(os.fstat(handle).st_mode)
            wanted = allowed if folder else (allowed | (_WRITE_FILE if path == "/dev/null" else 0)) & ~(1 << 3)
            rule = ctypes.create_string_buffer(struct.pack("=Qi", wanted & rights, handle), 12)
            syscall(SYS_LANDLOCK_ADD, made, 1, rule, 0)
            os.close(handle)
    return made


def obey(rules: int) -> None:
    """Hold to a ruleset from here on, for good, and close it."""
    syscall(SYS_LANDLOCK_RESTRICT, rules, 0)
    os.close(rules)


def no_new_privileges() -> None:
    """Never again gain rights by exec; landlock and seccomp ask for it."""
    _checked(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


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
    limit_stack(STACK_BYTES)
    for which, value in (
        (resource.RLIMIT_CPU, int(cpu_s) + 2), (resource.RLIMIT_FSIZE, output_bytes),
        (resource.RLIMIT_NOFILE, MAX_FILES), (resource.RLIMIT_CORE, NO_CORE), (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_MEMLOCK, 0), (resource.RLIMIT_NPROC, threads),
    ):
        bound(which, value)


def bound(which: int, value: int) -> None:
    """Set a limit for good, where it is not lower already."""
    least = _within(value, resource.getrlimit(which)[1])
    resource.setrlimit(which, (least, least))


def free_stack() -> None:
    """Let the stack grow as far as memory does. A number would also be the size of every thread's stack."""
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.setrlimit(resource.RLIMIT_STACK, (hard, hard))


def limit_stack(size: int) -> None:
    """Bound the stack; the program may ask for more."""
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.setrlimit(resource.RLIMIT_STACK, (_within(size, hard), hard))


def _within(value: int, hard: int) -> int:
    return value if hard == resource.RLIM_INFINITY else min(value, hard)
