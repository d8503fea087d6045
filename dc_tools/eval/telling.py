"""The scores as they are told: tables and remarks for people, one object for programs."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

from dc_tools.core.run import Run
from dc_tools.eval.compare import Comparison
from dc_tools.eval.summary import Summary
from dc_tools.eval.tables import all_tables, as_latex, as_markdown, as_text, comparison_table
from dc_tools.eval.wanted import Wanted

SCHEMA = "dc-eval/1"
SHOWN_IDS = 5
MANY, SEVERAL = 0.5, 8
NOTHING = {"programs": "code", "answers": "a final answer"}
HINT = "look at some; the chat template, --prompt-style or --max-tokens may be wrong"
IN_TABLES = {"markdown": as_markdown, "latex": as_latex}


def scores(summaries: Mapping[str, Summary], comparisons: Mapping[str, Comparison]) -> dict[str, Any]:
    """The one object: that of the only row, or all of them by name."""
    if len(summaries) == 1:
        return {"schema": SCHEMA, **next(iter(summaries.values()))}
    compared = {"comparisons": {name: asdict(each) for name, each in comparisons.items()}} if comparisons else {}
    return {"schema": SCHEMA, "runs": summaries, **compared}


def tell(
    run: Run, want: Wanted, summaries: Mapping[str, Summary], comparisons: Mapping[str, Comparison]
) -> dict[str, Any] | orjson.Fragment:
    """Tables for people on stderr; returns what the output is, one object or tables in a markup."""
    tables = all_tables(summaries, want.ks)
    if comparisons:
        tables.append(comparison_table(next(iter(summaries)), comparisons))
    run.say("pass@k with 95 % intervals over problems\n\n" + "\n\n".join(map(as_text, tables)) + "\n")
    for name, summary in summaries.items():
        for remark in remarks(summary):
            run.say(f"{name}: {remark}")
    for name, comparison in comparisons.items():
        for remark in _changes(comparison):
            run.say(f"{name}: {remark}")
    if want.format in IN_TABLES:
        return orjson.Fragment("\n\n".join(map(IN_TABLES[want.format], tables)).encode())
    return scores(summaries, comparisons)


def remarks(summary: Summary) -> list[str]:
    """What a reader of the scores must know, in words."""
    bare, wanted = summary["without_rollouts"], NOTHING[summary["judged"]]
    fails = "" if summary["unjudged"] else ", counted as failures"
    said: list[tuple[int | str, str]] = [
        (bare["count"], f"problems without rollouts, not in the mean ({', '.join(bare['ids'][:SHOWN_IDS])})"),
        (summary["internal_errors"], "rollouts that could not be judged (IE), not scored"),
        (summary["engine_errors"], "rollouts that failed in the engine, not scored"),
        (summary["unjudged"], "rollouts without a verdict, not scored"),
        (summary["no_code"]["count"], f"answers without {wanted}{fails}"),
        (summary["unended_thinking"]["count"], f"answers whose <think> never ends{fails}"),
    ]
    if summary.get("benchmark") and summary["cost"]["sampling_s"] is None:
        said.append((summary["repeated"]["count"], "samples that their problem had before, counted like any other"))
    if (summary["no_code"]["rate"] or 0) > MANY and summary["rollouts"] >= SEVERAL:
        said.append((f"{summary['no_code']['rate']:.0%}", f"answers without {wanted}: {HINT}"))
    for name in (name for name in summary if name.startswith("pass@")):
        short = summary["problems"] - bare["count"] - summary[name]["n_problems"]
        said.append((short, f"problems with too few scored rollouts, not in {name}"))
    return [f"{text}: {count}" for count, text in said if count] + _of_rating(summary.get("rating"))


def _of_rating(rating: Summary | None) -> list[str]:
    """What a rating leaves out, and what flatters it."""
    if rating is None:
        return []
    dropped = ", ".join(f"{name} ({why})" for name, why in rating["dropped"].items())
    lost = rating["problems_without_contest"] + rating["problems_without_name"]
    single = rating["tests_per_problem"]["single"]
    said = [
        (dropped, f"contests that are not counted: {dropped}"),
        (lost, f"problems of no contest that is counted: {len(lost)} ({', '.join(lost[:SHOWN_IDS])})"),
        (single, f"problems with a single test, which flatters: {single}"),
    ]
    return [text for held, text in said if held]


def _changes(comparison: Comparison) -> list[str]:
    """Which problems changed, and which were not compared, in words."""
    said = [
        ("better", [change.id for change in comparison.better]), ("worse", [change.id for change in comparison.worse]),
        ("only in the first, not compared", comparison.only_first),
        ("only here, not compared", comparison.only_second),
    ]
    return [
        f"{text}: {len(ids)} ({', '.join(ids[:SHOWN_IDS])}{', ...' if len(ids) > SHOWN_IDS else ''})"
        for text, ids in said if ids
    ]
