"""What dc-sandbox does: judge a run's lines, examine the machine, make an image."""

import contextlib
import os
from collections.abc import Iterator

import orjson

from dc_tools.core.records import Line, Problem
from dc_tools.core.run import Kept, Run
from dc_tools.sandbox import doctor
from dc_tools.sandbox.backends import DOCKER, Wanted, judges
from dc_tools.sandbox.languages import COMPILERS, CPP
from dc_tools.sandbox.stage import judge_lines, summary


def judge_run(run: Run, wanted: Wanted, *, retry_errors: bool) -> None:
    """Judge all lines."""
    with judges(wanted) as judge:
        run.write(judge_lines(run.read(Problem), judge, retry_errors=retry_errors))
    run.say(summary(run.counts.marks))


def examine_machine(run: Run) -> Iterator[Kept]:
    """Say what was found; the same as one JSON line."""
    report = doctor.examine()
    for line in doctor.lines(report):
        run.say(line)
    checks = [check._asdict() for check in report.checks]
    yield Kept(Line(orjson.dumps({"level": report.level, "checks": checks})))


def make_an_image(run: Run, name: str) -> None:
    """Make a docker image from this machine's own Python and compiler."""
    from dc_tools.sandbox import docker

    has_compiler = os.path.exists(COMPILERS[CPP].command[0])
    with contextlib.closing(docker.connect()) as api:
        docker.import_image(api, name, cpp=has_compiler)
    run.say(f"made {name}: dc-sandbox --backend {DOCKER} --image {name}")
