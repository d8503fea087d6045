"""Limits as the datasets write them: numbers, texts with units, protocol buffers' durations."""

import math
import re
from typing import Any

from dc_tools.core.records import Limits
from dc_tools.curate.reading.literals import read_data

MOST_TIME_S, MOST_MEMORY_MB = 3600.0, 1 << 20
MIB = 1 << 20
MOST_AMOUNT = 1 << 62
_AMOUNT = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*([a-z]*)", re.IGNORECASE)
_SECONDS = {"ms": 1e-3, "milliseconds": 1e-3, "millisecond": 1e-3, "minutes": 60.0, "minute": 60.0, "min": 60.0}
_MEGABYTES = {
    "b": 1 / MIB, "bytes": 1 / MIB, "kb": 1 / 1024, "kib": 1 / 1024, "kilobytes": 1 / 1024,
    "gb": 1024.0, "gib": 1024.0, "gigabytes": 1024.0, "gigabyte": 1024.0,
}  # fmt: skip


def limits_of(time: Any, memory: Any = None, memory_bytes: Any = None) -> Limits:
    """What the record may say of these; where they say nothing, or nothing above zero, the default.

    `time` is seconds, a text such as `2.0 seconds`, or {seconds, nanos}, perhaps as text; `memory` is MiB or such a
    text. Errors: `Unreadable`.
    """
    default = Limits()
    time_s = _time_s(read_data(time, "time limit") if isinstance(time, str) and time.strip().startswith("{") else time)
    memory_mb = _amount(memory, _MEGABYTES) or (_amount(memory_bytes, {}) or 0.0) / MIB
    return Limits(
        min(time_s, MOST_TIME_S) if time_s else default.time_s,
        min(math.ceil(memory_mb), MOST_MEMORY_MB) if memory_mb else default.memory_mb,
    )


def _time_s(value: Any) -> float | None:
    if isinstance(value, dict):
        return (_amount(value.get("seconds"), {}) or 0.0) + (_amount(value.get("nanos"), {}) or 0.0) / 1e9
    return _amount(value, _SECONDS)


def _amount(value: Any, units: dict[str, float]) -> float | None:
    """A number above zero in the base unit, which is that of every unit not in `units`."""
    if isinstance(value, str):
        found = _AMOUNT.match(value)
        value = float(found[1]) * units.get(found[2].lower(), 1.0) if found else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(min(value, MOST_AMOUNT)) if 0 < value < math.inf else None
