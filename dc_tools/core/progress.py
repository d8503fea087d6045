"""What people see on stderr while a command works: a bar on a terminal, a line a minute otherwise."""

import os
import sys
import time
from typing import Any

MINUTE = 60.0


class Progress:
    """Counts records; `total_bytes` of input, where known, makes the bar a fraction."""

    def __init__(self, name: str, *, quiet: bool, total_bytes: int | None) -> None:
        self.name, self.quiet, self.total = name, quiet, total_bytes
        self._started = self._said = time.monotonic()
        self._records, self._bytes = 0, 0
        self._bar: Any = None
        if not quiet and sys.stderr.isatty():
            self._bar, self._task = _rich_bar(name, total_bytes)

    def advance(self, size: int) -> None:
        """One more record of `size` input bytes is done."""
        self._records += 1
        self._bytes += size
        if self._bar:
            self._bar.update(self._task, advance=size if self.total else 1, records=self._records)
        elif not self.quiet and time.monotonic() - self._said > MINUTE:
            self._said = time.monotonic()
            share = f" ({100 * self._bytes // self.total} %)" if self.total else ""
            self.say(f"{self._records} records{share}, {self._said - self._started:.0f} s")

    def say(self, text: str) -> None:
        """One line for people, unless quiet."""
        if not self.quiet:
            say(self.name, text)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar:
            self._bar.stop()
            self._bar = None


def say(name: str, text: str) -> None:
    """One prefixed line on stderr; a stderr that is gone is not our concern."""
    try:
        sys.stderr.write(f"{name}: {text}\n")
        sys.stderr.flush()
    except OSError:
        return


def _rich_bar(name: str, total: int | None) -> tuple[Any, Any]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    console = Console(stderr=True, no_color="NO_COLOR" in os.environ)
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[records]} records"),
        TimeElapsedColumn(),
    )
    bar = RichProgress(*columns, console=console, transient=True)
    bar.start()
    return bar, bar.add_task(name, total=total or None, records=0)
