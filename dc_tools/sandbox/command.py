"""dc-sandbox: the flags."""

from typing import Annotated

import typer

from dc_tools.core.command import command
from dc_tools.core.records import Problem
from dc_tools.core.run import Run


@command("dc-sandbox")
def main(
    run: Run,
    packages: Annotated[
        list[str] | None, typer.Option("--package", help="Let programs import this package (numpy). Repeatable.")
    ] = None,
) -> None:
    """Judge the solutions and rollouts that lack a verdict, each test in a jailed process.

    Adds `verdict` to solutions[] and rollouts[]: AC WA TLE MLE OLE RE CE, or IE where the judge itself failed (exit
    code 1, never counted against a program). Time is CPU time (limits.time_s; wall limit 4x + 2 s), memory is address
    space (limits.memory_mb), output 16 MiB. A program sees no network, no other process, and no file but the standard
    library and a small /tmp of its own. Not covered: bugs of the kernel itself.
    """
    from dc_tools.sandbox.judge import JudgePool
    from dc_tools.sandbox.stage import judge_lines, summary

    with JudgePool(run.options.workers, packages=packages or []) as pool:
        run.write(judge_lines(run.read(Problem), pool))
    run.say(summary(run.counts.marks))
