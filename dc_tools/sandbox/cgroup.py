"""Control groups, version 1 or 2, where this user may make them: the outer bound on what a worker's processes use.

A group is made beside or below the grader's own, locked while its grader lives, and removed on close. What a killed
grader left is swept by the next one. Where no group can be made, limits of single processes are all there is.
"""

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PREFIX = "dc-sandbox-"
BESIDE_BYTES = 128 << 20
"""What a solution may use beside its own memory: outputs, /tmp, the cell around it, the kernel's tables."""
PROCESSES = 96
"""Threads and processes of a worker together: itself, the cell, and the threads of one program."""
_GONE_S = 5.0


@dataclass(frozen=True)
class Site:
    """A folder of a control group file system in which groups can be made, and what they can bound there."""

    folder: Path
    version: int
    controllers: frozenset[str]


class Group:
    """One worker's group. `memory` says whether it bounds memory."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self._parts: list[tuple[Site, Path, int]] = []
        self._limit = 0
        name = PREFIX + secrets.token_hex(6)
        for site in sites:
            with contextlib.suppress(OSError):
                self._parts.append((site, site.folder / name, _make(site.folder / name)))
        self._write("pids", "pids.max", str(PROCESSES))
        self._write("memory", "memory.swap.max", "0")
        self._write("memory", "memory.swappiness", "0")

    @property
    def memory(self) -> bool:
        """Whether memory is bounded."""
        return any("memory" in site.controllers for site, _, _ in self._parts)

    def add(self, pid: int) -> None:
        """Put a process, and all that it will fork, into the group."""
        for _, folder, _ in self._parts:
            with contextlib.suppress(OSError):
                (folder / "cgroup.procs").write_text(str(pid))

    def limit(self, size: int) -> None:
        """Bound the memory of all processes together, in bytes; what the kernel will not have is left as it was."""
        if size != self._limit:
            self._limit = size
            self._write("memory", "memory.max", str(size))
            self._write("memory", "memory.limit_in_bytes", str(size))

    def kills(self) -> int:
        """How many processes the kernel has killed here for lack of memory."""
        for site, folder, _ in self._parts:
            if "memory" in site.controllers:
                file = folder / ("memory.events" if site.version == 2 else "memory.oom_control")
                with contextlib.suppress(OSError):
                    found = dict(line.split() for line in file.read_text().splitlines())
                    return int(found.get("oom_kill", 0))
        return 0

    def close(self) -> None:
        """End what is still in it and remove it."""
        for _, folder, lock in self._parts:
            deadline = time.monotonic() + _GONE_S
            while not _removed(folder) and time.monotonic() < deadline:
                _kill_all(folder)
                time.sleep(0.002)
            os.close(lock)
        self._parts = []

    def _write(self, controller: str, file: str, value: str) -> None:
        for site, folder, _ in self._parts:
            if controller in site.controllers and (folder / file).exists():
                with contextlib.suppress(OSError):
                    (folder / file).write_text(value)


def sites(root: Path = Path("/")) -> list[Site]:
    """Where this process may make groups: one place that bounds memory and processes, or one for each, or none.

    Version 1: below the own group. Version 2: there too where the controllers are handed down (the root group), else
    beside it, where the user owns the folder above (`user@.service`, or root).
    """
    found: dict[str, Site] = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, names, path = line.split(":", 2)
        for mounted, kind, options, at in _mounts(root):
            version = 2 if kind == "cgroup2" else 1
            if (version == 2) == (not names) and (version == 2 or set(names.split(",")) <= options):
                own = root / at.lstrip("/") / _below(path, mounted)
                above = [own.parent] if version == 2 and own != root / at.lstrip("/") else []
                for folder in (own, *above):
                    offered = frozenset(names.split(",")) if version == 1 else _handed_down(folder)
                    wanted = frozenset((offered & {"memory", "pids"}) - found.keys())
                    if wanted and os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK):
                        site = Site(folder, version, wanted)
                        found.update(dict.fromkeys(wanted, site))
    return list(dict.fromkeys(found.values()))


def sweep(places: Sequence[Site]) -> None:
    """Remove the groups of graders that have ended."""
    for site in places:
        with contextlib.suppress(OSError):
            for folder in list(site.folder.glob(f"{PREFIX}*")):
                _sweep_one(folder)


def _make(folder: Path) -> int:
    """A new group and the lock that says its grader lives."""
    folder.mkdir()
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_SH)
    if not folder.exists():  # somebody swept it between the two steps
        os.close(lock)
        raise FileNotFoundError(folder)
    return lock


def _sweep_one(folder: Path) -> None:
    with contextlib.suppress(OSError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _removed(folder):
                _kill_all(folder)
        finally:
            os.close(lock)


def _kill_all(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if (folder / "cgroup.kill").exists():
            (folder / "cgroup.kill").write_text("1")
            return
        for pid in _lines(folder / "cgroup.procs"):
            os.kill(int(pid), 9)


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _handed_down(folder: Path) -> frozenset[str]:
    return frozenset(word for line in _lines(folder / "cgroup.subtree_control") for word in line.split())


def _mounts(root: Path) -> Iterator[tuple[str, str, set[str], str]]:
    """The control group file systems: what of each is mounted, its kind, its options, and where."""
    for line in _lines(root / "proc/self/mountinfo"):
        place, _, source = line.partition(" - ")
        mounted, at = place.split()[3:5]
        kind, _, options = source.split()[:3]
        if kind in ("cgroup", "cgroup2"):
            yield mounted, kind, set(options.split(",")), at


def _below(path: str, mounted: str) -> str:
    """A group's path from the mount's own root; the mount itself where it lies outside."""
    inside = path == mounted or path.startswith(mounted.rstrip("/") + "/")
    return path.removeprefix(mounted).strip("/") if inside else ""


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
