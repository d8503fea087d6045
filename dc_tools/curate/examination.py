"""One draft before the filters, cheap ones first: what is measured on the way, and the first refusal."""

from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from dc_tools.core.records import Status, Test, TestKind, Verdict
from dc_tools.curate import filters
from dc_tools.curate.complexity import Complexity, Unmeasured, complexity_of
from dc_tools.curate.coverage import Coverage
from dc_tools.curate.difficulty import Difficulty
from dc_tools.curate.draft import Draft
from dc_tools.curate.expansion.expand import expanded
from dc_tools.curate.formats import Format
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.statements.bounds import out_of_bounds
from dc_tools.curate.verify import covered, facts_of, judged, verified
from dc_tools.sandbox.judge import JudgePool


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
    expand: int = 0
    seed: int = 0
    packages: tuple[str, ...] = ()
    """What programs may import beside the standard library."""


@dataclass
class Examination:
    """One draft; `facts` gathers what is measured."""

    draft: Draft
    settings: Settings
    pool: JudgePool
    facts: dict[str, Any] = field(default_factory=dict)
    has_new_tests: bool = False
    """Whether tests were taken out or added, beside what the source itself left out."""
    has_new_checker: bool = False
    """Whether the statement asked for another checker than the row."""

    def refusal(self) -> Refusal | None:
        """The first filter's refusal, cheap filters first."""
        return self._of_the_rollouts() or self._of_the_tests() or self._of_the_solutions()

    # -- without running ----------------------------------------------------------------------------------------

    def _of_the_rollouts(self) -> Refusal | None:
        difficulty, name = self.settings.difficulty, self.draft.problem.id
        if difficulty is None:
            return None
        if name in difficulty.tried:
            self.facts["difficulty"] = difficulty.tried[name].to_dict()
        return difficulty.refusal(name)

    def _of_the_tests(self) -> Refusal | None:
        problem = self.draft.problem
        self._set_generated_tests_aside()
        checker = filters.checker_for_order(problem)
        self.has_new_checker, problem.checker = checker is not problem.checker, checker
        refusal = filters.one_answer(problem) or filters.contradicting_tests(problem)
        if refusal:
            return refusal
        distinct = filters.distinct_tests(problem)
        if len(distinct) < len(problem.tests):
            self.draft.left_out["duplicate"] = len(problem.tests) - len(distinct)
            problem.tests = distinct
            self.has_new_tests = True
        outside = out_of_bounds(problem)
        if outside:
            self.facts["out_of_bounds"] = {"tests": len({each.test for each in outside}), "first": outside[0].what}
        least = 1 if self._may_expand else self.settings.min_tests
        return filters.enough_tests(problem, least, self.draft.left_out) or filters.telling_tests(problem)

    @property
    def _may_expand(self) -> bool:
        return self.settings.expand > 0 and self.settings.verify

    def _set_generated_tests_aside(self) -> None:
        """What an earlier curation of the record added is made anew, or else stays as it is."""
        problem = self.draft.problem
        known = (problem.curation or {}).get("expanded")
        count = known.get("tests") if isinstance(known, dict) else None
        if not isinstance(count, int) or not 0 <= count < len(problem.tests):
            return
        kept = len(problem.tests) - count
        if any(test.kind is not TestKind.GENERATED for test in problem.tests[kept:]):
            return
        if self._may_expand:
            problem.tests = problem.tests[:kept]
            self.has_new_tests = True
        else:
            self.facts["expanded"] = known

    # -- with the solutions -------------------------------------------------------------------------------------

    def _of_the_solutions(self) -> Refusal | None:
        """None as soon as one passes all filters; else what the first one failed by."""
        problem, settings = self.draft.problem, self.settings
        places = filters.references_of(problem, settings.max_solutions)
        others = filters.other_languages(problem)
        if others:
            self.facts["other_languages"] = {lang: self._said_of(lang, count) for lang, count in others.items()}
        if isinstance(places, Refusal):
            return places if settings.verify else self._of_another_language()
        refusals, own = [], problem.tests
        for number, place in enumerate(places, 1):
            refusal = self._of_one(place, places[number:])
            if refusal is None:
                self.has_new_tests |= problem.tests is not own
                return None
            problem.tests = own
            if self._may_expand and "expanded" in self.facts:
                self.facts["expanded"]["tests"] = 0  # the record has none of them
            refusals.append(refusal)
        further = f"; {len(refusals) - 1} further fail, too" if len(refusals) > 1 else ""
        return Refusal(refusals[0].reason, refusals[0].detail + further)

    def _said_of(self, lang: str, count: int) -> dict[str, Any]:
        """What is known of the solutions in a language that is not run here: how many, and how complex the first."""
        first = next(solution for solution in self.draft.problem.solutions if solution.lang == lang)
        try:
            return {"solutions": count, "complexity": complexity_of(first.code, lang).to_dict()}
        except Unmeasured:
            return {"solutions": count}

    def _of_another_language(self) -> Refusal | None:
        """Without verification a solution in another language is as good; the first that is measured stands for all."""
        for said in self.facts.get("other_languages", {}).values():
            if "complexity" in said:
                self.facts["complexity"] = said["complexity"]
                return filters.simple_enough(Complexity(**said["complexity"]), self.settings.max_complexity)
        return None

    def _of_one(self, place: int, further: list[int]) -> Refusal | None:
        """The refusal of a solution; `further` are the places of those that may be asked for their agreement."""
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
        return self._of_the_runs(place, further)

    def _of_the_runs(self, place: int, further: list[int]) -> Refusal | None:
        code = self.draft.problem.solutions[place].code
        verdict, coverage = verified(self.draft.problem, code, self.pool)
        if isinstance(coverage, Coverage) and self._may_expand:
            verdict, coverage = self._with_more_tests(place, further, verdict, coverage)
        elif isinstance(coverage, Coverage) and "expanded" in self.facts and "coverage" not in self.facts:
            self.facts["expanded"] = self.facts.pop("expanded")  # to where the earlier curation wrote it
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
        return refusal or filters.enough_tests(self.draft.problem, self.settings.min_tests, self.draft.left_out)

    # -- more tests ---------------------------------------------------------------------------------------------

    def _with_more_tests(
        self, place: int, further: list[int], verdict: Verdict, coverage: Coverage
    ) -> tuple[Verdict, Coverage | Refusal]:
        """The verdict and the coverage with generated tests added, where they hold; without them otherwise."""
        problem, settings = self.draft.problem, self.settings
        own: list[Test] = problem.tests
        agreeing = [place, *self._second(place, further)]
        codes = [problem.solutions[each].code for each in agreeing]
        missing = max(0, settings.min_tests - len(own))
        slowest_s = max((test.time_s for test in verdict.tests), default=0.0)
        made = expanded(
            problem, codes, coverage, settings.expand, self.pool, seed=f"{settings.seed}/{problem.id}",
            slowest_s=slowest_s, least=missing,
        )
        problem.tests = own + made.tests if made.tests else own
        again = covered(problem, codes[0], self.pool, spent_s=self._spent_s(verdict, len(own)))
        if isinstance(again, Refusal):
            problem.tests = own
            return verdict, coverage
        self.facts["expanded"] = made.to_dict(settings.expand, agreeing)
        total = len(problem.tests)
        return structs.replace(verdict, passed=total, total=total), again

    def _spent_s(self, verdict: Verdict, tests: int) -> float:
        """CPU that the reference may want for all tests, by what it took for `tests` of them."""
        return verdict.time_s * max(1, len(self.draft.problem.tests)) / max(1, tests)

    def _second(self, place: int, further: list[int]) -> list[int]:
        """The place of the first further solution that passes all tests, if any does."""
        problem = self.draft.problem
        first = problem.solutions[place].code
        for each in further:
            code = problem.solutions[each].code
            if code != first and judged(problem, code, self.pool).status is Status.AC:
                return [each]
        return []

