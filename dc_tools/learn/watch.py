"""What a run shows of itself besides its numbers: a timeline, the energy it takes, and the places its metrics go to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dc_tools.learn.energy import Reading, readings, spent
from dc_tools.learn.timeline import Span, Spans, Timeline
from dc_tools.learn.track import Tracker

OWN = "driver"


@dataclass(frozen=True)
class Report:
    """What a process did since it was last asked, and the counters of its devices."""

    spans: list[Span]
    readings: dict[str, Reading]


class Watched:
    """A process that reports."""

    def __init__(self) -> None:
        self.spans = Spans()

    def report(self) -> Report:
        """Since the last one."""
        return Report(self.spans.drain(), readings())


class Watch:
    """Collects what the processes of a run report, step by step."""

    def __init__(self, timeline: Path, step: int, trackers: Sequence[Tracker]) -> None:
        """Of a run that has done `step` steps. Errors: `CannotRun`."""
        self.spans = Spans()
        self._timeline, self._trackers = Timeline(timeline), trackers
        self._timeline.cut(step)
        self._before: dict[str, Reading] = {}
        self._now: dict[str, Reading] = {}

    def take(self, reports: Mapping[str, Report]) -> None:
        """Note what processes, by name, report. Errors: `CannotRun`."""
        for process, report in {**reports, OWN: Report(self.spans.drain(), {})}.items():
            self._timeline.add(process, report.spans)
            self._now |= report.readings

    def energy(self, tokens: int, solved: float) -> dict[str, float | None]:
        """Joules since the last time, as far as they were reported; None where no device says."""
        joules, self._before = spent(self._before, self._now), dict(self._now)
        return {
            "joules": joules,
            "joules_per_token": joules / tokens if joules is not None and tokens else None,
            "joules_per_solved": joules / solved if joules is not None and solved else None,
        }

    @property
    def measures_energy(self) -> bool:
        """Whether any counter could be read so far."""
        return bool(self._now)

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        """Send a step's numbers to the trackers."""
        numbers = {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}
        for tracker in self._trackers:
            tracker.log(numbers, step)

    def close(self) -> None:
        """Nothing more will come."""
        for tracker in self._trackers:
            tracker.close()
