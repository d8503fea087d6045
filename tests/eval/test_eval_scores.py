"""From rollouts to counts, groups, rows, gates and tables."""

import math

import pytest

from dc_tools.core.errors import UsageError
from dc_tools.core.records import Finish, Problem, Rollout, Source, Status, Tokens, Verdict
from dc_tools.eval.gates import failures, parse_gates
from dc_tools.eval.groups import GroupBy, easy_first, labels, parse_group_by
from dc_tools.eval.rows import Rows, row_names
from dc_tools.eval.summary import Summary, parse_ks, summarize
from dc_tools.eval.tables import as_latex, as_markdown, as_text, group_tables, score_table, verdict_table
from dc_tools.eval.tally import Tally, tally


def judged(*statuses: str) -> list[Rollout]:
    """A rollout for each status, in a word."""
    return [Rollout(code="x", verdict=Verdict(Status(s), passed=0, total=1)) for s in statuses]


def problem(id: str, *statuses: str, **more: object) -> Problem:
    return Problem(**{"id": id, "tests": [], "rollouts": judged(*statuses), **more})


def scored(*problems: Problem, ks: tuple[int, ...] = (1,), by: tuple[GroupBy, ...] = ()) -> Summary:
    return summarize([tally(p) for p in problems], ks, by)


def test_an_internal_error_is_taken_out_of_n() -> None:
    found = tally(problem("a", "AC", "IE", "WA", "IE"))
    assert (found.n, found.c, found.internal, found.rollouts) == (2, 1, 2, 4)


def test_an_answer_without_code_is_counted_and_a_failure_where_it_was_judged() -> None:
    bare = Rollout(text="I cannot.", finish=Finish.LENGTH)
    condemned = Rollout(text="no fence", verdict=Verdict(Status.CE, 0, 3))
    found = tally(Problem("a", [], rollouts=[bare, condemned, *judged("AC")]))
    assert (found.n, found.c, found.no_code, found.truncated, found.unjudged) == (2, 1, 2, 1, 1)


def test_a_program_that_does_not_compile_has_code() -> None:
    found = tally(Problem("a", [], rollouts=[Rollout(text="```python\n(\n```", verdict=Verdict(Status.CE, 0, 1))]))
    assert (found.n, found.no_code) == (1, 0)


def test_a_rollout_that_the_engine_lost_is_not_scored_whatever_its_verdict() -> None:
    lost = Rollout(finish=Finish.ERROR, error="no answer", verdict=Verdict(Status.IE, 0, 0))
    found = tally(Problem("a", [], rollouts=[lost, Rollout(finish=Finish.ERROR), *judged("WA")]))
    assert (found.n, found.engine_errors, found.internal) == (1, 2, 0)


def test_code_without_a_verdict_is_not_scored() -> None:
    found = tally(Problem("a", [], rollouts=[Rollout(code="print(1)"), Rollout(text="```\nprint(1)\n```")]))
    assert (found.n, found.unjudged, found.no_code) == (0, 2, 0)


def test_tokens_are_averaged_over_the_rollouts_that_tell_them() -> None:
    told = [Rollout(code="x", tokens=Tokens([1], [0] * n, [0.0] * n)) for n in (10, 20)]
    found = scored(Problem("a", [], rollouts=[*told, Rollout(code="x")]))
    assert found["response_tokens"] == {"mean": 15.0, "rollouts": 2}


def test_the_mean_is_over_problems_not_over_rollouts() -> None:
    found = scored(problem("a", "AC"), problem("b", *["WA"] * 9), problem("c", "AC", "WA"))
    assert found["pass@1"]["value"] == 0.5  # (1 + 0 + 1/2) / 3, where rollouts would give 2/12
    assert found["pass@1"]["n_problems"] == 3


def test_problems_without_rollouts_are_reported_and_not_in_the_mean() -> None:
    found = scored(problem("a", "AC"), problem("b"))
    assert found["pass@1"]["value"] == 1.0
    assert found["without_rollouts"] == {"count": 1, "ids": ["b"]}


def test_where_internal_errors_leave_fewer_than_k_the_problem_is_out_of_that_mean() -> None:
    found = scored(problem("a", "AC", "IE"), problem("b", "WA", "WA"), ks=(1, 2))
    assert (found["pass@1"]["n_problems"], found["pass@2"]["n_problems"]) == (2, 1)
    assert found["pass@2"]["value"] == 0.0


def test_verdicts_are_broken_down_in_the_order_of_the_statuses() -> None:
    found = scored(problem("a", "WA", "AC", "IE"), problem("b", "TLE", "AC"))
    assert list(found["verdicts"].items()) == [("AC", 2), ("WA", 1), ("TLE", 1), ("IE", 1)]


def test_groups_hold_their_own_estimates_and_a_problem_counts_under_each_tag() -> None:
    found = scored(
        problem("a", "AC", difficulty="hard", tags=["dp", "math"]), problem("b", "WA", difficulty="easy", tags=["dp"]),
        problem("c", "AC", difficulty="easy"), by=(GroupBy.DIFFICULTY, GroupBy.TAG),
    )
    assert {k: g["pass@1"]["value"] for k, g in found["groups"]["difficulty"].items()} == {"easy": 0.5, "hard": 1.0}
    assert {k: g["problems"] for k, g in found["groups"]["tag"].items()} == {"dp": 2, "math": 1, "unknown": 1}


def test_groups_are_in_order_of_difficulty() -> None:
    assert sorted(["unknown", "Hard", "medium", "easy"], key=easy_first) == ["easy", "medium", "Hard", "unknown"]


def test_the_month_of_a_problem_is_a_group() -> None:
    dated = Problem("a", [], source=Source(dataset="lcb", date="2024-08-17"))
    assert labels(dated, GroupBy.MONTH) == ["2024-08"]
    assert labels(dated, GroupBy.SOURCE) == ["lcb"]


@pytest.mark.parametrize("text", ["1,x", "", "0", "1,-2"])
def test_a_wrong_k_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--k"):
        parse_ks(text)


def test_flags_with_commas() -> None:
    assert parse_ks("5,1,5") == [1, 5]
    assert parse_group_by("tag, difficulty,tag") == [GroupBy.TAG, GroupBy.DIFFICULTY]
    with pytest.raises(UsageError, match="choose from difficulty, source, tag, platform, month"):
        parse_group_by("colour")


def test_fewer_rollouts_than_k_are_refused_by_name() -> None:
    rows = Rows(["x"], [1, 4])
    rows.add("x", problem("whole", "AC", "WA", "IE", "AC"))
    rows.add("x", problem("none"))
    with pytest.raises(UsageError, match=r"pass@4 needs n >= k rollouts of each problem: short has n = 3"):
        rows.add("x", problem("short", "AC", "WA", "AC"))


def test_rows_are_named_after_files_folders_of_shards_and_stdin() -> None:
    shards = [f"/x/shards/part-0000{i}.jsonl.zst" for i in (0, 1)]
    files = ["/x/seen.jsonl", "/x/held.out.jsonl.gz", *shards, "-"]
    assert list(row_names(files).values()) == ["seen", "held.out", "shards", "shards", "stdin"]


def test_files_of_the_same_name_are_told_apart_by_their_folders() -> None:
    names = row_names(["/a/judged.jsonl", "/b/judged.jsonl", "/b/other.jsonl"])
    assert list(names.values()) == ["a/judged.jsonl", "b/judged.jsonl", "other"]


ROWS = {"before": scored(problem("a", "WA")), "after": scored(problem("a", "AC"), problem("b", "WA"))}


def test_a_gate_holds_for_every_row_or_for_the_one_it_names() -> None:
    assert failures(parse_gates(["pass@1=0.5"], [1], list(ROWS)), ROWS) == [
        "before: pass@1 is 0, wanted at least 0.5"
    ]
    assert failures(parse_gates(["after:pass@1=0.5"], [1], list(ROWS)), ROWS) == []
    assert failures(parse_gates(["after:pass@1=0.51"], [1], list(ROWS)), ROWS) == [
        "after: pass@1 is 0.5, wanted at least 0.51"
    ]


def test_a_mean_that_rounding_puts_a_hair_below_reaches_its_gate() -> None:
    rows = {"a": {"pass@1": {"value": 0.49999999999999994}}}
    assert failures(parse_gates(["pass@1=0.5"], [1], ["a"]), rows) == []
    assert len(failures(parse_gates(["pass@1=0.500001"], [1], ["a"]), rows)) == 1


def test_an_unknown_score_holds_no_gate() -> None:
    empty = {"x": scored()}
    assert failures(parse_gates(["pass@1=0"], [1], ["x"]), empty) == ["x: pass@1 is unknown, wanted at least 0"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pass@1", "say it as pass@1=0.5"), ("pass@1=much", "say it as"), ("pass@1=nan", "say it as"),
        ("pass@5=0.1", "--k names the k"), ("pass@1>=0.1", "say it as pass@1=0.5"),
        ("later:pass@1=0.1", "no such row; there is before, after"),
    ],
)
def test_a_gate_that_cannot_be_checked_is_refused_at_once(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_gates([text], [1], list(ROWS))


def test_the_tables_are_aligned_and_complete() -> None:
    rows = {"seen": scored(problem("a", "AC", difficulty="easy"), problem("b", "WA"), by=(GroupBy.DIFFICULTY,))}
    assert as_text(score_table(rows, [1])).splitlines() == [
        "run   problems  rollouts               pass@1  truncated  no code  tokens",
        "seen         2         2  50.0 % [0.0, 100.0]      0.0 %    0.0 %       -",
    ]
    assert as_markdown(verdict_table(rows)) == "| run | AC | WA |\n| --- | ---: | ---: |\n| seen | 1 | 1 |"
    assert [(by, len(table)) for by, table in group_tables(rows, [1])] == [("difficulty", 3)]


def test_a_pipe_in_a_name_does_not_break_markdown() -> None:
    assert as_markdown([["run"], ["a|b"]]).endswith("| a\\|b |")


def test_nothing_to_score_is_unknown_not_zero() -> None:
    found = summarize([Tally("a")], [1], [])
    assert found["pass@1"]["value"] is None
    assert found["truncated"]["rate"] is None
    assert not any(isinstance(v, float) and math.isnan(v) for v in found.values())


def test_latex_escapes_what_it_gives_a_meaning() -> None:
    told = as_latex([["run", "p"], ["a_b\\{50 %} & ~^#$", "< 1"]])
    assert told.splitlines()[4] == (
        r"a\_b\textbackslash{}\{50 \%\} \& \textasciitilde{}\textasciicircum{}\#\$ & $<$ 1 \\"
    )


def test_rows_of_one_name_get_as_many_folders_as_tell_them_apart() -> None:
    found = row_names(["/r1/judged/lcb.jsonl", "/r2/judged/lcb.jsonl", "/r1/judged/aime.jsonl"])
    assert list(found.values()) == ["r1/judged/lcb.jsonl", "r2/judged/lcb.jsonl", "aime"]
    with pytest.raises(UsageError, match=r"\./a\.jsonl: it is named twice"):
        row_names(["a.jsonl", "./a.jsonl"])
