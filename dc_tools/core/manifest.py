"""What was run, on what, with which result: enough to run it again and to know whether it is the same run."""

import os
import platform
import subprocess
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import orjson

import dc_tools
from dc_tools.core.errors import CannotRun
from dc_tools.core.targets import is_stream, resolved

PACKAGES = ("msgspec", "orjson", "numpy", "torch", "transformers", "peft", "ray", "vllm", "datasketch", "radon")


@dataclass(frozen=True)
class Fingerprint:
    """What makes two runs the same run: the command, its inputs by content, and the flags that shape the output."""

    command: str
    inputs: list[dict[str, str]]
    flags: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain = {"command": self.command, "inputs": self.inputs, "flags": self.flags}
        return dict(orjson.loads(orjson.dumps(plain, default=str)))

    def difference(self, other: dict[str, Any]) -> str | None:
        """In words, the first thing in which `other` (an earlier `to_dict`) differs; None where they agree."""
        mine = self.to_dict()
        if mine["command"] != other.get("command"):
            return f"it was made by {other.get('command')}"
        theirs = other.get("flags", {})
        for name in sorted({*mine["flags"], *theirs}):
            was, now = theirs.get(name), mine["flags"].get(name)
            if was != now:
                return f"--{name.replace('_', '-')} was {was}, now {now}"
        if mine["inputs"] != other.get("inputs"):
            return "the inputs have changed"
        return None


@dataclass
class Counts:
    """Records in and out of a run."""

    read: int = 0
    written: int = 0
    dropped: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    """Why records were dropped."""
    marks: dict[str, int] = field(default_factory=dict)
    """What a stage counts about the records it kept, as `rollouts AC`."""
    faults: int = 0
    """Internal errors that kept records met."""

    def to_dict(self) -> dict[str, Any]:
        """The names of the manifest and of the closing line."""
        counts: dict[str, Any] = {
            "in": self.read, "out": self.written, "dropped": self.dropped, "rejected": self.rejected,
        }
        named = {"reasons": self.reasons, "marks": self.marks}
        counts |= {name: dict(sorted(of_name.items())) for name, of_name in named.items() if of_name}
        return counts | ({"faults": self.faults} if self.faults else {})


def manifest_of(
    fingerprint: Fingerprint, seed: int, counts: Counts, started: float, ended: float, extra: dict[str, Any]
) -> dict[str, Any]:
    """The manifest; `started` and `ended` are Unix seconds, `extra` the room's own facts."""
    return {
        **fingerprint.to_dict(),
        "version": dc_tools.__version__,
        "git": git_revision(),
        "seed": seed,
        "counts": counts.to_dict(),
        "packages": package_versions(),
        "python": platform.python_version(),
        "host": platform.node(),
        "started": round(started, 3),
        "seconds": round(ended - started, 3),
        **extra,
    }


def read_manifest(path: Path) -> dict[str, Any] | None:
    """An earlier manifest, or None where there is none. Errors: `CannotRun` for one that is not JSON."""
    try:
        return dict(orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CannotRun(f"{path}: not a manifest: {error}") from error


def write_atomic(path: Path, data: bytes) -> None:
    """Make `path` hold `data`, whole or not at all, durably."""
    target = resolved(str(path))
    partial = target.with_name(f"{target.name}.partial")
    try:
        if is_stream(str(path)):
            path.write_bytes(data)
            return
        with partial.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(target)
    except OSError as error:
        raise CannotRun(f"{path}: {error.strerror}") from error


def sync(path: Path) -> None:
    """Make a file's content, or the renames in a folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """Write `manifest` as indented JSON."""
    write_atomic(path, orjson.dumps(manifest, default=str, option=orjson.OPT_INDENT_2) + b"\n")


@cache
def git_revision() -> str | None:
    """The revision of the checkout this package runs from, `+` where it was changed; None outside one."""
    root = Path(dc_tools.__file__).parent.parent
    if not (root / ".git").exists():
        return None
    try:
        run = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=12"],
            capture_output=True, text=True, timeout=5, check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip()


def package_versions() -> dict[str, str]:
    """Versions of the packages that can change a result, where installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
