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
from dc_tools.curate.coverage import Coverage
from dc_tools.curate.difficulty import Difficulty
from dc_tools.curate.draft import Draft
from dc_tools.curate.formats import Format
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.recording import NO_ARGUMENTS, learned, recorder_program
from dc_tools.curate.runs import SandboxFault
from dc_tools.curate.verify import facts_of, verified
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
    max_solutions: int = 3
    difficulty: Difficulty | None = None


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
        return self._of_the_rollouts() or self._of_the_tests() or self._of_the_solutions()

    def _of_the_rollouts(self) -> Refusal | None:
        difficulty, name = self.settings.difficulty, self.draft.problem.id
        if difficulty is None:
            return None
        if name in difficulty.tried:
            self.facts["difficulty"] = difficulty.tried[name].to_dict()
        return difficulty.refusal(name)

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

    def _of_the_solutions(self) -> Refusal | None:
        """None as soon as one passes all filters; else what the first one failed by."""
        problem, settings = self.draft.problem, self.settings
        places = filters.references_of(problem, settings.max_solutions)
        others = filters.other_languages(problem)
        if others:
            self.facts["other_languages"] = others
        if isinstance(places, Refusal):
            return places if settings.verify else None
        refusals = []
        for place in places:
            refusal = self._of_one(place)
            if refusal is None:
                return None
            refusals.append(refusal)
        further = f"; {len(refusals) - 1} further fail, too" if len(refusals) > 1 else ""
        return Refusal(refusals[0].reason, refusals[0].detail + further)

    def _of_one(self, place: int) -> Refusal | None:
        code = self.draft.problem.solutions[place].code
        try:
            complexity = complexity_of(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return Refusal(Reason.PARSE_ERROR, f"the solution is not Python that can be read: {error}")
        refusal = filters.simple_enough(complexity, self.settings.max_complexity)
        if "complexity" not in self.facts or refusal is None:
            self.facts["complexity"] = complexity.to_dict()
        if refusal or not self.settings.verify:
            return refusal
        return self._of_the_runs(place, code)

    def _of_the_runs(self, place: int, code: str) -> Refusal | None:
        verdict, coverage = verified(self.draft.problem, code, self.pool)
        refusal = coverage if isinstance(coverage, Refusal) else self._of_the_coverage(coverage)
        if refusal is None:
            self.facts["reference"] = {**facts_of(place, verdict), "runs": 2}
        else:
            self.facts.setdefault("refused", []).append(facts_of(place, verdict))
        return refusal

    def _of_the_coverage(self, coverage: Coverage) -> Refusal | None:
        refusal = filters.covered_enough(coverage, self.settings.min_coverage)
        if "coverage" not in self.facts or refusal is None:
            self.facts["coverage"] = coverage.to_dict()
        return refusal


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
