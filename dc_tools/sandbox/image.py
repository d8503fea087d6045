"""The files of a docker image that runs Python, taken from this machine: no registry and no network is needed.

Found are the interpreter, the standard library, the shared libraries they need, time zones, and on request g++. Files
and links lie where they lie here, readable by all. Nothing of this package is among them: a worker's sources are sent
to it. Linux with glibc's or musl's `ldd`.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

from dc_tools.core.errors import CannotRun

LEFT_OUT = frozenset({
    "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages", "dist-packages",
})
"""Parts of the standard library that no judged program needs."""
TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
}
"""Small files of the image that are not this machine's."""
_HEADERS = (
    "bits/stdc++.h", "fcntl.h", "poll.h", "pthread.h", "sched.h", "strings.h", "unistd.h", "sys/mman.h",
    "sys/resource.h", "sys/stat.h", "sys/time.h", "sys/types.h", "sys/wait.h",
)
_WHOLE = frozenset({"bits", "gnu", "sys"})
"""Folders of C headers that are taken whole, since headers choose among these by flags and macros."""
_TOOL_S = 120.0
"""Longest time that one call of ldd or g++ may take."""


class Tree:
    """Files and links to copy, each under the very path it has on this machine."""

    def __init__(self) -> None:
        self.files: set[Path] = set()
        self.links: dict[Path, str] = {}

    def add(self, path: Path) -> None:
        """Take a file and every link on the way to it; a folder is taken without what is in it."""
        at, ahead = Path("/"), list(path.parts[:0:-1])
        while ahead:
            step = at.parent if ahead[-1] == ".." else at / ahead[-1]
            ahead.pop()
            if step.is_symlink():
                target = os.readlink(step)
                self.links[step] = target
                at = Path("/") if target.startswith("/") else at
                ahead += [part for part in Path(target).parts[::-1] if part != "/"]
            else:
                at = step
        if at.is_file():
            self.files.add(at)

    def name(self, program: str, path: Path) -> None:
        """Let a program be found as /usr/bin/PROGRAM too."""
        self.add(path)
        wanted = Path("/usr/bin", program)
        if wanted != path and wanted not in self.files:
            self.links[wanted] = str(path)

    def add_all(self, folder: Path, left_out: frozenset[str] = frozenset()) -> None:
        """Take what is below a folder, except names in `left_out` and what other versions compiled."""
        own = f".{sys.implementation.cache_tag}.pyc"
        self.add(folder)
        for at, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if name not in left_out and not name.startswith("config-")]
            for name in set(names) - left_out:
                if (not name.endswith(".pyc") or name.endswith(own)) and not name.startswith("_tkinter"):
                    self.add(Path(at, name))

    def add_libraries(self) -> None:
        """Take the shared libraries that the files so far need."""
        binaries = sorted(str(path) for path in self.files if _is_elf(path))
        for line in _output(["ldd", *binaries]).splitlines():
            found = re.match(r"\s+(?:\S+ => )?(/\S+) \(0x", line)
            if found:
                self.add(Path(found[1]))

    def folders(self) -> list[Path]:
        """All folders that files and links lie in, outer ones first."""
        return sorted({folder for path in (*self.files, *self.links) for folder in path.parents} - {Path("/")})


def python_tree(*, cpp: bool = False) -> Tree:
    """Everything of this machine that goes into the image; `cpp`: g++ too. Errors: `CannotRun`."""
    tree = Tree()
    interpreter = Path(os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable))
    tree.name("python3", interpreter)
    for name in ("stdlib", "platstdlib"):
        folder = sysconfig.get_path(name, vars={"installed_base": sys.base_prefix, "base": sys.base_prefix})
        tree.add_all(Path(os.path.realpath(folder)), LEFT_OUT)
    if cpp:
        _add_compiler(tree)
    tree.add_libraries()
    tree.add(Path("/etc/ld.so.cache"))
    tree.add_all(Path("/usr/share/zoneinfo"), frozenset({"right", "posix", "localtime"}))
    return tree


def write_tar(tree: Tree, stream: IO[bytes]) -> None:
    """Write the image's file system: all of root's, without set-user bits, and an empty /tmp for everybody."""
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        links = {path: target for path, target in tree.links.items() if path not in tree.files}
        inside = {folder for folder in tree.folders() if folder not in links}
        for folder in sorted(inside | {Path("/etc"), Path("/proc"), Path("/sys"), Path("/dev")}):
            tar.addfile(_member(folder, tarfile.DIRTYPE, 0o755))
        tar.addfile(_member(Path("/tmp"), tarfile.DIRTYPE, 0o1777))
        for path, target in sorted(links.items()):
            member = _member(path, tarfile.SYMTYPE, 0o777)
            member.linkname = target
            tar.addfile(member)
        for path in sorted(tree.files):
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                member = _member(path, tarfile.REGTYPE, 0o755 if status.st_mode & 0o100 else 0o644)
                member.size, member.mtime = status.st_size, int(status.st_mtime)
                tar.addfile(member, file)
        for name, text in TEXTS.items():
            member = _member(Path("/", name), tarfile.REGTYPE, 0o644)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))


def _member(path: Path, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(str(path).lstrip("/"))
    member.type, member.mode = kind, mode
    return member


def _add_compiler(tree: Tree) -> None:
    """Take what a static C++ program is compiled and linked with, as g++ itself names it."""
    source = "".join(f"#include <{name}>\n" for name in _HEADERS) + "int main() {}\n"
    flags = ["g++", "-x", "c++", "-O2", "-pthread"]
    headers = _output([*flags, "-M", "-"], source).split()
    linked = _output([*flags, "-static", "-Wl,--trace", "-o", "/dev/null", "-"], source)
    starts = [_output(["g++", f"-print-file-name={name}"]).strip() for name in ("crt1.o", "crti.o", "crtn.o")]
    for word in (*headers, *re.split(r"[\s()]+", linked), *starts):
        if word.startswith("/") and not word.startswith("/tmp/") and Path(word).is_file():
            tree.add(Path(word))
    around = {Path(word).parent for word in headers if Path(word).parent.name in _WHOLE and word.startswith("/")}
    for folder in (*around, *_search_folders(_output([*flags, "-v", "-E", "-o", "/dev/null", "-"]))):
        tree.add_all(folder)
    for name in ("g++", "as", "ld"):
        tree.name(name, Path(shutil.which(name) or _missing(name)))
    for name in ("cc1plus", "collect2", "lto-wrapper"):
        tree.add(Path(_output(["g++", f"-print-prog-name={name}"]).strip()))
    tree.add(Path(_output(["g++", "-print-file-name=liblto_plugin.so"]).strip()))


def _search_folders(said: str) -> Iterator[Path]:
    """The folders with C++ headers or the compiler's own, which go into the image whole."""
    searched = said.partition("#include <...> search starts here:")[2].partition("End of search list")[0]
    for word in searched.split():
        if "c++" in word or "/gcc/" in word:
            yield Path(word)


def _missing(program: str) -> NoReturn:
    raise CannotRun(f"making an image needs '{program}', which is not installed here")


def _output(argv: list[str], given: str = "") -> str:
    """What a tool says, on both streams; its exit code says nothing (ldd has one for static programs)."""
    try:
        done = subprocess.run(
            argv, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_TOOL_S,
            check=False, env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        _missing(argv[0])
    except subprocess.TimeoutExpired as error:
        raise CannotRun(f"{argv[0]} did not end within {_TOOL_S:.0f} s") from error
    return done.stdout


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"
