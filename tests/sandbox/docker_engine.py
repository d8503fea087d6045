"""A real docker engine for tests: the one that runs on this machine, else Debian's dockerd in a folder of its own.

A pytest plugin: name it in `pytest_plugins`. Tests that need an engine are skipped, with the reason, where none can be
had. An engine of ours needs root; its processes, mounts and control groups are gone after `stop`, whatever happened.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dc_tools.core.errors import CannotRun
from dc_tools.sandbox import docker

START_S, STOP_S = 60.0, 30.0
DRIVERS = ((), ("--storage-driver=vfs",))
"""The engine's own choice of storage, then what works on any file system."""


class Engine:
    """A dockerd in a temporary folder."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="dc-docker-", dir="/tmp"))
        self.host = f"unix://{self.root}/docker.sock"
        self.group = self.root.name
        self.log = self.root / "log"
        (self.root / "daemon.json").write_text("{}")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers. Errors: `CannotRun` with the end of its log."""
        for driver in DRIVERS:
            self._process = self._launch(driver)
            deadline = time.monotonic() + START_S
            while self._process.poll() is None and time.monotonic() < deadline:
                if answers(self.host):
                    return
                time.sleep(0.02)
            self.kill()
        raise CannotRun(f"dockerd did not start: {self.log.read_text()[-500:]}")

    def kill(self) -> None:
        """End it and its containerd at once, as a crash would; its containers may live on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        kept = self.root / "exec/containerd/containerd.pid"  # the next start would wait for this process
        if kept.exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(kept.read_text()), signal.SIGKILL)
            kept.unlink()

    def stop(self) -> None:
        """End it and its containers, and remove all traces."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
            self.kill()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for place in sorted(self.mounts(), reverse=True):
            subprocess.run(["umount", "--lazy", place], check=True)
        for folder in self.groups():
            for inner in sorted(folder.rglob("*/"), reverse=True):
                inner.rmdir()
            folder.rmdir()
        shutil.rmtree(self.root)

    def processes(self) -> list[int]:
        """The engine, its containerd, the shims, and what runs in its containers."""
        inside = {pid for folder in self.groups() for file in folder.rglob("cgroup.procs") for pid in _words(file)}
        named = {file.parent.name for file in Path("/proc").glob("[0-9]*/cmdline") if str(self.root) in _text(file)}
        return sorted(int(pid) for pid in inside | named)

    def mounts(self) -> list[str]:
        """Where something of the engine is mounted."""
        places = [line.split()[4] for line in _text(Path("/proc/self/mountinfo")).splitlines()]
        return [place for place in places if place.startswith(str(self.root))]

    def groups(self) -> list[Path]:
        """The control groups around its containers."""
        return [folder for folder in Path("/sys/fs/cgroup").glob(f"*/{self.group}") if folder.is_dir()] + [
            folder for folder in [Path("/sys/fs/cgroup", self.group)] if folder.is_dir()
        ]

    def _launch(self, driver: tuple[str, ...]) -> "subprocess.Popen[bytes]":
        argv = [
            "setpriv", "--pdeathsig=TERM",  # so that it ends even where nobody is left to stop it
            "dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false", f"--host={self.host}",
            f"--data-root={self.root}/data", f"--exec-root={self.root}/exec", f"--pidfile={self.root}/pid",
            f"--config-file={self.root}/daemon.json", f"--cgroup-parent=/{self.group}",
            "--exec-opt=native.cgroupdriver=cgroupfs", *driver,
        ]
        with self.log.open("ab") as log:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def answers(host: str | None) -> bool:
    """Whether an engine is there."""
    try:
        docker.connect(host).close()
    except CannotRun:
        return False
    return True


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str | None]:
    """The URL of an engine for all tests; None for the machine's own."""
    if answers(None):
        yield None
        return
    engine = _ours()
    try:
        engine.start()
        yield engine.host
    finally:
        engine.stop()


@pytest.fixture
def new_engine() -> Iterator[Callable[[], Engine]]:
    """Makes engines that a test may stop and kill."""
    made: list[Engine] = []

    def start() -> Engine:
        made.append(_ours())
        made[-1].start()
        return made[-1]

    yield start
    for engine in made:
        if engine.root.exists():
            engine.stop()


@pytest.fixture(scope="session")
def docker_image(docker_host: str | None) -> Iterator[str]:
    """An image of this machine's Python, and g++ where there is one, in the engine of `docker_host`."""
    name = f"dc-sandbox-test:{os.getpid()}"
    with contextlib.closing(docker.connect(docker_host)) as api:
        docker.import_image(api, name, cpp=shutil.which("g++") is not None)
        yield name
        api.remove_image(name, force=True)


def _ours() -> Engine:
    if os.getuid() != 0:
        pytest.skip("no docker engine answers, and only root can start one")
    for program in ("dockerd", "setpriv"):
        if not shutil.which(program):
            pytest.skip(f"no docker engine answers, and {program} is not there to start one (apt: docker.io)")
    return Engine()


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def _words(file: Path) -> list[str]:
    return _text(file).split()
