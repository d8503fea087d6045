"""dc-curate: the flags."""

import os
import sys
from typing import Annotated

import typer

from dc_tools.core.command import command
from dc_tools.core.run import Run
from dc_tools.curate.formats import Format


def _print_schema(asked: bool) -> None:
    if asked:
        import orjson

        from dc_tools.core.records import json_schema

        sys.stdout.write(orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2).decode() + "\n")
        raise typer.Exit


@command(
    "dc-curate", dropped="dropped", content_flags=frozenset({"difficulty_from"}), free_flags=frozenset({"ray_address"})
)
def main(
    run: Run,
    format: Annotated[Format, typer.Option(help="The rows' format; auto decides row by row.")] = Format.AUTO,
    min_tests: Annotated[int, typer.Option(min=1, help="Distinct tests a problem must have.")] = 5,
    max_complexity: Annotated[int, typer.Option(min=1, help="Cyclomatic complexity its solution may have.")] = 15,
    min_coverage: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the solution's branches that the tests must take.")
    ] = 0.8,
    max_solutions: Annotated[int, typer.Option(min=1, help="Python solutions to try until one passes.")] = 3,
    difficulty_from: Annotated[
        str | None, typer.Option(help="Judged rollouts (dc-sandbox) that say how hard each problem is.", metavar="FILE")
    ] = None,
    keep_rate: Annotated[
        str, typer.Option(help="Share of them accepted, LOW:HIGH, for a problem to be kept.")
    ] = "0.05:0.95",
    verify: Annotated[bool, typer.Option(help="Run the solution on its tests, twice, and measure coverage.")] = True,
    expand: Annotated[
        int, typer.Option(min=0, help="Make up to so many further tests a problem, checked by its solutions.")
    ] = 0,
    packages: Annotated[
        list[str] | None, typer.Option("--package", help="Let programs import this package (numpy). Repeatable.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="Run on all CPUs of this Ray cluster, HOST:PORT, instead of --workers.")
    ] = None,
    print_schema: Annotated[
        bool, typer.Option("--print-schema", is_eager=True, callback=_print_schema, help="Print the record's schema.")
    ] = False,
) -> None:
    """Turn raw dataset rows into problems whose reference solution is verified.

    Reads TACO, APPS, CodeContests, Codeforces (open-r1), LiveCodeBench, SYNTHETIC-1, DeepCoder-Preview and rllm,
    LeetCodeDataset, KodCode, rStar-Coder, SandboxFusion, HumanEval(+), MBPP, and our own records. A problem is kept
    with what was measured in `curation`; it is dropped, with the reason, for: too few tests, a complex or failing or
    nondeterministic solution, branches that no test takes, tests that are not JSON or not equalities, a picture, a
    dialogue, a payload that is not mere data. Where test code must be run to be understood, and for verification,
    programs run in the sandbox only. With --expand, a problem of few tests, or whose tests leave branches out, gets
    further ones: mutated inputs with the output on which two verified solutions, or two runs of the only one, agree.
    """
    import contextlib

    from dc_tools.core.cluster import connected
    from dc_tools.curate.difficulty import read_difficulty
    from dc_tools.curate.examination import Settings
    from dc_tools.curate.report import table
    from dc_tools.curate.seen import Seen
    from dc_tools.curate.stage import FEW_AHEAD, MANY_AHEAD, curate, remember

    difficulty = read_difficulty(difficulty_from, keep_rate) if difficulty_from else None
    settings = Settings(
        format, min_tests, max_complexity, min_coverage, verify, max_solutions, difficulty, expand, run.options.seed,
        tuple(packages or ()),
    )
    seen = Seen()
    with connected(ray_address) if ray_address else contextlib.nullcontext():
        lines = run.read_raw(skipped=lambda line: remember(line, format, seen))
        ahead = MANY_AHEAD if all(map(os.path.isfile, run.files)) else FEW_AHEAD
        run.write(curate(lines, settings, run.options.workers, on_cluster=bool(ray_address), seen=seen, ahead=ahead))
    for row in table(run.counts):
        run.say(row)
