"""The command dc-dedup: its flags."""

from typing import Annotated

import typer

from dc_tools.core.command import command
from dc_tools.core.records import Problem
from dc_tools.core.run import Run
from dc_tools.dedup.settings import (
    DEFAULT_SHINGLE,
    DEFAULT_THRESHOLD,
    NGRAM_SHARE,
    Backend,
    Keep,
    Metric,
    Settings,
    Twins,
    Unit,
)


@command(
    "dc-dedup", content_flags=frozenset({"against", "embed_model"}), free_flags=frozenset({"index", "ray_address"}),
    output_flags=frozenset({"index"}), dropped="removed", resumable=False,
)
def main(
    run: Run,
    metric: Annotated[
        Metric, typer.Option(help="Similarity of bodies; either: of Jaccard and containment the higher.")
    ] = Metric.EITHER,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=1.0, show_default=False,
            help="Duplicates are at least so similar (0.95; tfidf 0.8, embed 0.9).",
        ),
    ] = None,
    unit: Annotated[Unit, typer.Option(help="What a shingle is made of.")] = Unit.WORD,
    shingle: Annotated[
        int | None, typer.Option(min=1, help="Units in a shingle (3 words or 12 characters).", show_default=False)
    ] = None,
    keep: Annotated[Keep, typer.Option(help="Which of a cluster stays; among equals the first.")] = Keep.FIRST,
    twins: Annotated[
        Twins, typer.Option(help="Equal texts whose tests contradict each other: problems of their own, or duplicates.")
    ] = Twins.KEEP,
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Remove what matches a record of FILE, or of an index; repeatable."),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Keep what is made of --against there, and use it while they are the same."),
    ] = None,
    ngram: Annotated[
        int | None,
        typer.Option(
            min=2, max=50, metavar="N", help="Remove what has the N-grams of an --against record too; 8, 10 or 13."
        ),
    ] = None,
    ngram_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Part of that record's N-grams; 0: a single one.")
    ] = NGRAM_SHARE,
    approx: Annotated[
        bool, typer.Option("--approx", help="Candidates by MinHash in bands, for texts of like size: fewer bytes.")
    ] = False,
    backend: Annotated[
        Backend, typer.Option(help="What makes the sketches of --approx.", envvar="DC_DEDUP_BACKEND")
    ] = Backend.NATIVE,
    embed_model: Annotated[
        str | None, typer.Option(metavar="DIR", help="The sentence-transformers model of --metric embed.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="Run on all CPUs of this Ray cluster, HOST:PORT, instead of --workers.")
    ] = None,
) -> None:
    """Remove duplicate problems, and those that match an evaluation set, with the evidence.

    Equal statements first (case, Unicode, LaTeX and whitespace aside); then near-duplicates: the bodies, cut at
    Examples, Input, Constraints and the like, as sets of word shingles. Nothing similar is missed, and every match is
    verified by counting. Problems that give different outputs to one test input are no duplicates, unless --twins drop
    says so. Each removed record says in `dedup` which record it matched, by what score, how many tests and solutions
    both have, and the longest text that both have.

    All lines are read before the first is written: TMPDIR holds a copy of them and, but for --approx, 8 bytes for each
    shingle.
    """
    import contextlib

    from dc_tools.core.cluster import connected
    from dc_tools.dedup.stage import deduplicate, summary

    settings = Settings(
        metric, unit, shingle or DEFAULT_SHINGLE[unit], threshold or DEFAULT_THRESHOLD[metric], keep, twins,
        run.options.workers, is_approximate=approx, backend=backend, embed_model=embed_model,
        against=tuple(against or ()), index=index, ngram=ngram, ngram_share=ngram_share, on_cluster=bool(ray_address),
    )
    with connected(ray_address) if ray_address else contextlib.nullcontext():
        run.write(deduplicate(run.read(Problem), settings, run.facts))
    run.say(summary(run.facts))
