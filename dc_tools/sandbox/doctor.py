"""What isolation this machine gives, found out by trying, and what is missing."""

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Limits, Problem, Test
from dc_tools.sandbox import cgroup, jail, languages
from dc_tools.sandbox.execution import OK, Program, WorkerLost
from dc_tools.sandbox.judge import PRESSURE
from dc_tools.sandbox.levels import BY_NAME, NAMESPACES, SAFE, UNSAFE
from dc_tools.sandbox.local import LocalWorker

PROBES = {
    "reads /etc/passwd": "open('/etc/passwd').read()",
    "makes a socket": "import socket\nsocket.socket()",
    "starts a process": "import os\nos.fork()",
    "executes a program": "import os\nos.execv('/bin/sh', ['sh', '-c', 'true'])",
    "looks at processes": "import os\nos.listdir('/proc')",
    "writes outside /tmp": "open('/var/tmp/dc-sandbox-probe', 'w')",
}
"""What no program may do; each ends with an exception where it is prevented."""
_HINTS = {
    "namespaces": "sysctl kernel.unprivileged_userns_clone=1 (or kernel.apparmor_restrict_unprivileged_userns=0)",
    "landlock": "a kernel from 5.13 on with lsm=landlock",
    "seccomp": "a kernel with CONFIG_SECCOMP_FILTER; a container needs --security-opt seccomp=unconfined",
}
_CPP = "#include <iostream>\nint main() { int a; std::cin >> a; std::cout << a + 1; }"


class Check(NamedTuple):
    """One thing that was tried. `hint` says how to get it."""

    name: str
    is_there: bool
    found: str
    hint: str = ""


class Report(NamedTuple):
    """All that was found; `level` is what programs get here, '' where nothing holds them."""

    level: str
    checks: list[Check]


def examine() -> Report:
    """Try everything once."""
    checks = [_kernel()]
    found = {name: _level(name) for name in SAFE}
    checks += found.values()
    level = next((name for name in SAFE if found[name].is_there), "")
    checks += [*_walls(level or UNSAFE.name), _groups(), _pressure(), _compiler(level), _docker()]
    return Report(level, checks)


def lines(report: Report) -> Iterator[str]:
    """The report for people."""
    for check in report.checks:
        hint = f"  [{check.hint}]" if check.hint and not check.is_there else ""
        yield f"{'ok     ' if check.is_there else 'MISSING'} {check.name}: {check.found}{hint}"
    yield f"programs are held by: {report.level or 'nothing; only --unsafe runs them'}"


def _kernel() -> Check:
    is_known = platform.system() == "Linux" and platform.machine() == "x86_64"
    found = f"{platform.system()} {platform.release()} {platform.machine()}, user id {os.getuid()}"
    return Check("machine", is_known, found, "the local backend runs on Linux on x86-64; docker and remotes anywhere")


def _level(name: str) -> Check:
    version = f", landlock version {jail.landlock_version()}" if BY_NAME[name].landlock else ""
    try:
        LocalWorker([name]).close()
    except CannotRun as error:
        return Check(f"level {name}", False, str(error).partition(f"({name}: ")[2].rstrip(")"), _HINTS[name])
    return Check(f"level {name}", True, f"granted{version}")


def _walls(level: str) -> Iterator[Check]:
    """What programs can do at a level that they should not."""
    try:
        worker = LocalWorker([level])
    except CannotRun:
        return
    with contextlib.closing(worker):
        for name, code in PROBES.items():
            with worker.session(Program(code)) as session:
                run = session.run("")
            prevented = run is not None and run.status != OK
            yield Check(f"a program that {name}", prevented, "is prevented" if prevented else "is NOT prevented")


def _groups() -> Check:
    places = cgroup.sites()
    bounded = sorted(name for place in places for name in place.controllers)
    found = ", ".join(bounded) + f" (version {places[0].version})" if bounded else "none can be made by this user"
    hint = "run in a delegated group (systemd-run --user --scope -p Delegate=yes); limits of processes hold without"
    return Check("control groups", "memory" in bounded, found, hint)


def _pressure() -> Check:
    is_there = Path(PRESSURE).exists()
    return Check(
        "pressure of the machine", is_there, PRESSURE if is_there else f"no {PRESSURE}",
        "psi=1; without it every idle program is tried again",
    )


def _compiler(level: str) -> Check:
    command = languages.COMPILERS[languages.CPP].command[0]
    if not os.path.exists(command):
        return Check("C++", False, f"no {command}", "apt install g++")
    if level != NAMESPACES.name:
        return Check("C++", False, f"compilers need level {NAMESPACES.name}", "or --backend docker")
    problem = Problem(id="probe", tests=[Test("1", "2")], limits=Limits())
    worker = LocalWorker([level])
    with contextlib.closing(worker):
        try:
            with worker.session(Program(_CPP, lang=languages.CPP, limits=problem.limits)) as session:
                run = None if session.refused else session.run("1")
                said = session.refused or (run.message if run else "no answer")
        except WorkerLost as error:
            run, said = None, str(error)
    works = run is not None and run.output == "2"
    found = f"{command} compiles and runs" if works else said
    return Check("C++", works, found, "apt install g++ libc6-dev: static libraries")


def _docker() -> Check:
    from dc_tools.sandbox import docker

    try:
        api = docker.connect()
    except CannotRun as error:
        return Check("docker", False, str(error), "only --backend docker needs it")
    with contextlib.closing(api):
        return Check("docker", True, f"engine {api.version()['Version']} answers")
