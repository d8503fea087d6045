"""A small real command on the core: numbers in; doubled, dropped below a threshold or rejected above a ceiling.

`--delay-ms` makes each line cost time, `--pieces` groups outcomes, `--need` is a gate on the number of lines kept.
"""

import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Annotated

import typer

from dc_tools.core.command import command
from dc_tools.core.parallel import ordered_map
from dc_tools.core.records import Line, Struct
from dc_tools.core.run import Dropped, Kept, Outcome, Rejected, Run


class Number(Struct):
    """What the command wants to see of a line."""

    value: int


def slow_double(delay_ms: float, pair: tuple[Line, Number]) -> tuple[Line, int]:
    """The line and twice its value, after a while."""
    time.sleep(delay_ms / 1000)
    return pair[0], pair[1].value * 2


def outcomes(pairs: Iterable[tuple[Line, int]], threshold: int, ceiling: int) -> Iterator[Outcome]:
    """One outcome for each line."""
    for line, double in pairs:
        line.fields.put("double", double)
        if double < 2 * threshold:
            yield Dropped(line, "below")
        elif double > 2 * ceiling:
            yield Rejected(line, f"above {ceiling}")
        else:
            yield Kept(line)


def grouped(items: Iterable[Outcome], size: int) -> Iterator[list[Outcome]]:
    """Pieces of `size` outcomes."""
    piece: list[Outcome] = []
    for item in items:
        piece.append(item)
        if len(piece) == size:
            yield piece
            piece = []
    yield piece


@command("dc-demo", dropped="dropped")
def main(
    run: Run,
    threshold: Annotated[int, typer.Option(help="Smaller values are dropped.")] = 0,
    ceiling: Annotated[int, typer.Option(help="Larger values are rejected.")] = 1 << 40,
    delay_ms: Annotated[float, typer.Option(help="Cost of a line.")] = 0.0,
    pieces: Annotated[int, typer.Option(help="Outcomes per piece.")] = 1,
    need: Annotated[int, typer.Option(help="Gate: lines that must be kept.")] = 0,
) -> None:
    """Double numbers."""
    doubled = ordered_map(partial(slow_double, delay_ms), run.read(Number), run.options.workers)
    run.write(grouped(outcomes(doubled, threshold, ceiling), pieces))
    run.facts["threshold_used"] = threshold
    if run.counts.written < need:
        run.fail_gate(f"kept {run.counts.written}, needed {need}")


if __name__ == "__main__":
    main()
