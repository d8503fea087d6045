"""The command dc-dedup: its flags."""

from typing import Annotated

import typer

from dc_tools.core.command import command
from dc_tools.core.records import Problem
from dc_tools.core.run import Run
from dc_tools.dedup.settings import DEFAULT_SHINGLE, Keep, Metric, Settings, Twins, Unit


@command("dc-dedup", content_flags=frozenset({"against"}), dropped="removed", resumable=False)
def main(
    run: Run,
    metric: Annotated[
        Metric, typer.Option(help="Similarity of bodies; either: the higher, which is containment.")
    ] = Metric.EITHER,
    unit: Annotated[Unit, typer.Option(help="What a shingle is made of.")] = Unit.WORD,
    shingle: Annotated[
        int | None, typer.Option(min=1, help="Units in a shingle (3 words or 12 characters).", show_default=False)
    ] = None,
    threshold: Annotated[float, typer.Option(min=0.01, max=1.0, help="Duplicates are at least so similar.")] = 0.95,
    keep: Annotated[Keep, typer.Option(help="Which of a cluster stays; among equals the first.")] = Keep.FIRST,
    twins: Annotated[
        Twins, typer.Option(help="Equal texts whose tests contradict each other: problems of their own, or duplicates.")
    ] = Twins.KEEP,
    against: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Remove what matches a record of FILE; repeatable.")
    ] = None,
) -> None:
    """Remove duplicate problems, and those that match an evaluation set, with the evidence.

    Equal statements first (case, Unicode, LaTeX and whitespace aside); then near-duplicates: the bodies, cut at
    Examples, Input, Constraints and the like, as sets of word shingles. Nothing similar is missed, and every match is
    verified by counting. Problems that give different outputs to one test input are no duplicates, unless --twins drop
    says so. Each removed record says in `dedup` which record it matched, by what score, how many tests and solutions
    both have, and the longest text that both have.

    All lines are read before the first is written: TMPDIR holds a copy of them, memory 8 bytes for each shingle.
    """
    from dc_tools.dedup.stage import deduplicate, summary

    size = shingle or DEFAULT_SHINGLE[unit]
    settings = Settings(metric, unit, size, threshold, keep, twins, run.options.workers)
    run.write(deduplicate(run.read(Problem), settings, against or [], run.facts))
    run.say(summary(run.facts))
