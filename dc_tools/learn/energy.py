"""What the devices that a process works on have used, in joules: its NVIDIA GPUs, its machine's processor packages.

Counters only grow, so a use is the difference of two readings. Readings of several processes can be merged: a device
has one key, whoever reads it. Does not tell one process's share of a device that several use.
"""

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

RAPL = Path("/sys/class/powercap")


class Reading(NamedTuple):
    """A counter at a moment."""

    joules: float
    wraps_at: float | None
    """Joules at which it begins anew at zero; None where it never does."""


def readings(gpus: Sequence[int] | None = None, rapl: Path = RAPL) -> dict[str, Reading]:
    """The counters that can be read: a GPU's by its UUID, a processor's as HOSTNAME/package-0.

    Of the GPUs that CUDA_VISIBLE_DEVICES shows, those at the positions `gpus`, or all. A part of a GPU (MIG) has no
    counter. What cannot be read is not there; most systems let only root read a processor's.
    """
    return dict(_gpus(gpus)) | dict(_packages(rapl))


def spent(before: Mapping[str, Reading], after: Mapping[str, Reading]) -> float | None:
    """Joules between two readings, of the devices that are in both; None where that is no device.

    A counter that wrapped is taken to have done so once. A busy processor's may wrap every four minutes (65 kJ), mostly
    every twenty (262 kJ): what is longer than that comes out too small by whole turns. One that fell though it never
    wraps, as with a new driver, is left out.
    """
    used = [_grown(before[name], after[name]) for name in before.keys() & after.keys()]
    known = [joules for joules in used if joules is not None]
    return sum(known) if known else None


def visible(setting: str | None, uuids: Sequence[str]) -> list[int]:
    """Which of a machine's GPUs a CUDA_VISIBLE_DEVICES shows, in its order; what follows an unknown one is not shown.

    Numbers count as the driver does, which is CUDA's way too where all GPUs are of one kind.
    """
    if setting is None:
        return list(range(len(uuids)))
    found: list[int] = []
    for entry in setting.split(","):
        name = entry.strip()
        if name.isdecimal():
            near = [int(name)] if int(name) < len(uuids) else []
        else:
            near = [index for index, uuid in enumerate(uuids) if name and uuid.startswith(name)]
        if len(near) != 1:
            break
        found += near
    return found


def _grown(before: Reading, after: Reading) -> float | None:
    if after.joules >= before.joules:
        return after.joules - before.joules
    return None if after.wraps_at is None else after.joules - before.joules + after.wraps_at


def _gpus(positions: Sequence[int] | None) -> Iterator[tuple[str, Reading]]:
    try:
        import pynvml
    except ImportError:
        return
    with contextlib.suppress(pynvml.NVMLError):  # no driver, or one that lost a GPU
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        uuids = [pynvml.nvmlDeviceGetUUID(handle) for handle in handles]
        for at, index in enumerate(visible(os.environ.get("CUDA_VISIBLE_DEVICES"), uuids)):
            if positions is None or at in positions:
                with contextlib.suppress(pynvml.NVMLError):  # a kind that does not count
                    millijoules = pynvml.nvmlDeviceGetTotalEnergyConsumption(handles[index])
                    yield uuids[index], Reading(millijoules / 1000, None)
        pynvml.nvmlShutdown()


def _packages(root: Path) -> Iterator[tuple[str, Reading]]:
    for folder in sorted(root.glob("intel-rapl:*")):
        try:
            name = (folder / "name").read_text().strip()
            if folder.name.count(":") == 1 and name.startswith("package"):
                used, most = (int((folder / file).read_text()) for file in ("energy_uj", "max_energy_range_uj"))
                yield f"{socket.gethostname()}/{name}", Reading(used / 1e6, most / 1e6)
        except (OSError, ValueError):
            continue
