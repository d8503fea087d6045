"""The curation of lines: each row becomes a draft, passes the filters in order of cost, and is kept or dropped."""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec

from dc_tools.core.errors import BadLine
from dc_tools.core.parallel import ordered
from dc_tools.core.records import Line, Problem, Status, encode
from dc_tools.core.run import Dropped, Kept, Outcome, Rejected
from dc_tools.curate import filters, sources
from dc_tools.curate.complexity import complexity_of
from dc_tools.curate.draft import Draft
from dc_tools.curate.formats import Format
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.recording import NO_ARGUMENTS, learned, recorder_program
from dc_tools.curate.verify import SandboxFault, reference_facts, verified
from dc_tools.sandbox.judge import JudgePool

LEFT_OUT = "tests_left_out"


@dataclass(frozen=True)
class Settings:
    """The thresholds."""

    format: Format = Format.AUTO
    min_tests: int = 5
    max_complexity: int = 15
    min_coverage: float = 0.8
    verify: bool = True


def curate(lines: Iterable[Line], settings: Settings, workers: int) -> Iterator[Outcome]:
    """One outcome for each line, in order; at most two lines a worker are in flight."""
    pool = JudgePool(workers)
    threads = ThreadPoolExecutor(2 * workers, thread_name_prefix="curate")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            yield from ordered((threads.submit(curated, line, settings, pool) for line in lines), 2 * workers)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            pool.close()
            threads.shutdown(wait=True)


def curated(line: Line, settings: Settings, pool: JudgePool) -> Outcome:
    """What becomes of one line."""
    try:
        draft = sources.draft(line, settings.format)
        if isinstance(draft, Draft) and draft.must_run:
            draft = _with_learned_tests(draft, pool)
        if isinstance(draft, Refusal):
            return _dropped(line, draft, {})
        examined = _Examination(draft, settings, pool)
        refusal = examined.refusal()
    except BadLine as error:
        return Rejected(line, error.error)
    except RecursionError:
        return _dropped(line, Refusal(Reason.PARSE_ERROR, "the code is nested too deeply"), {})
    except SandboxFault as error:
        return Rejected(line, f"the sandbox failed: {error}")
    record = _record(line, draft)
    if refusal:
        return _dropped(record, refusal, examined.facts)
    record.fields.put("curation", examined.facts)
    return Kept(record)


def _with_learned_tests(draft: Draft, pool: JudgePool) -> Draft | Refusal:
    assert draft.script is not None
    run = pool.execute(recorder_program(draft.script, draft.problem.limits), [NO_ARGUMENTS]).runs[0]
    if run.status == Status.IE:
        raise SandboxFault(run.message)
    return learned(draft, run)


@dataclass
class _Examination:
    """One draft before the filters; `facts` gathers what is measured on the way."""

    draft: Draft
    settings: Settings
    pool: JudgePool
    facts: dict[str, Any] = field(default_factory=dict)

    def refusal(self) -> Refusal | None:
        """The first filter's refusal, cheap filters first."""
        return self._of_the_tests() or self._of_the_solution()

    def _of_the_tests(self) -> Refusal | None:
        problem = self.draft.problem
        refusal = filters.one_answer(problem) or filters.contradicting_tests(problem)
        if refusal:
            return refusal
        distinct = filters.distinct_tests(problem)
        if len(distinct) < len(problem.tests):
            self.draft.left_out["duplicate"] = len(problem.tests) - len(distinct)
            problem.tests = distinct
        return filters.enough_tests(
            problem, self.settings.min_tests, self.draft.left_out
        ) or filters.telling_tests(problem)

    def _of_the_solution(self) -> Refusal | None:
        problem, settings = self.draft.problem, self.settings
        place = filters.reference_of(problem)
        if isinstance(place, Refusal):
            return place if settings.verify else None
        code = problem.solutions[place].code
        try:
            complexity = complexity_of(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return Refusal(Reason.PARSE_ERROR, f"the solution is not Python that can be read: {error}")
        self.facts["complexity"] = complexity.to_dict()
        refusal = filters.simple_enough(complexity, settings.max_complexity)
        if refusal or not settings.verify:
            return refusal
        return self._of_the_runs(place, code)

    def _of_the_runs(self, place: int, code: str) -> Refusal | None:
        coverage = verified(self.draft.problem, code, self.pool)
        if isinstance(coverage, Refusal):
            return coverage
        self.facts["reference"] = reference_facts(self.draft.problem, place)
        self.facts["coverage"] = coverage.to_dict()
        return filters.covered_enough(coverage, self.settings.min_coverage)


def _record(line: Line, draft: Draft) -> Line:
    """The draft as a line: what the row itself held where it was a record, a new one otherwise."""
    if draft.left_out:
        draft.problem.meta[LEFT_OUT] = dict(sorted((draft.left_out + _left_out_before(draft.problem)).items()))
    if draft.own is None:
        return Line(encode(draft.problem), line.file, line.number, line.index)
    if draft.left_out:
        draft.own.fields.put("tests", draft.problem.tests)
        draft.own.fields.put("meta", draft.problem.meta)
    return draft.own


def _left_out_before(problem: Problem) -> Counter[str]:
    """What an earlier curation of the record says that it left out."""
    try:
        return Counter(msgspec.convert(problem.meta.get(LEFT_OUT, {}), dict[str, int]))
    except msgspec.ValidationError:
        return Counter()


def _dropped(line: Line, refusal: Refusal, facts: dict[str, Any]) -> Dropped:
    line.fields.put("curation", {"reason": refusal.reason.value, "detail": refusal.detail, **facts})
    return Dropped(line, refusal.reason.value)
