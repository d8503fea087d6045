"""dc-eval: the flags."""

from typing import Annotated, Any

import typer

from dc_tools.core.command import command
from dc_tools.core.run import Run
from dc_tools.rollout.prompts import PromptStyle


def _takes_files(flags: dict[str, Any]) -> bool:
    """Whether an absent FILE means stdin: a model sampled on a benchmark needs none."""
    return not ((flags["model"] or flags["base_url"]) and flags["datasets"])


def _flag(name: str, text: str, **more: Any) -> Any:
    return typer.Option(name, help=text, **more)


@command(
    "dc-eval", content_flags=frozenset({"model", "data", "contests", "users"}), resumable=False,
    needs_input=_takes_files, output_flags=frozenset({"report", "samples_out"}),
)
def main(
    run: Run,
    k: Annotated[str, _flag("--k", "The k of pass@k, with commas: 1,5.")] = "1",
    group_by: Annotated[str, _flag("--group-by", "Of difficulty, source, platform, tag, month.")] = "difficulty,source",
    minimums: Annotated[
        list[str] | None, _flag("--min", "Gate pass@1=0.5, for one file NAME:pass@1=0.5; exit 4 if missed. Repeatable.")
    ] = None,
    compare: Annotated[bool, _flag("--compare", "Compare each further FILE with the first, by problem.")] = False,
    no_judge: Annotated[bool, _flag("--no-judge", "Leave rollouts without a verdict unjudged and unscored.")] = False,
    datasets: Annotated[str | None, _flag("--datasets", "FILE holds samples for this benchmark.")] = None,
    partial: Annotated[bool, _flag("--partial", "Score samples that leave problems of --datasets out.")] = False,
    data: Annotated[str | None, _flag("--data", "Folder or file with the problems of --datasets.")] = None,
    grader: Annotated[str | None, _flag("--grader", "For lcb: real, lcb (the original's), or real,lcb.")] = None,
    extraction: Annotated[str | None, _flag("--extraction", "For lcb: last-block or lcb (the original's).")] = None,
    start_date: Annotated[str | None, _flag("--start-date", "For lcb: first day, YYYY-MM-DD, of the window.")] = None,
    end_date: Annotated[str | None, _flag("--end-date", "For lcb: last day of the window.")] = None,
    contests: Annotated[str | None, _flag("--contests", "For codeforces: file of contests, or the API's URL.")] = None,
    users: Annotated[str | None, _flag("--users", "For codeforces: table of ratings, for the percentile.")] = None,
    method: Annotated[str | None, _flag("--method", "For codeforces: codeelo or official.")] = None,
    model: Annotated[str | None, _flag("--model", "Model to sample: a folder, URL, or name on --base-url.")] = None,
    base_url: Annotated[str | None, _flag("--base-url", "Server to sample from, as http://localhost:8000/v1.")] = None,
    n: Annotated[int, _flag("--n", "Rollouts a problem.", min=1)] = 1,
    temperature: Annotated[float, _flag("--temperature", "0 is greedy.", min=0.0)] = 0.6,
    top_p: Annotated[float, _flag("--top-p", "Share of probability to sample from.", min=0.0, max=1.0)] = 0.95,
    max_tokens: Annotated[int, _flag("--max-tokens", "Most tokens of one answer.", min=1)] = 1024,
    prompt_style: Annotated[PromptStyle, _flag("--prompt-style", "fenced is for small models.")] = PromptStyle.CHAT,
    samples_out: Annotated[str | None, _flag("--samples-out", "File for the judged lines.")] = None,
    report: Annotated[str | None, _flag("--report", "HTML file with tables, curves and a viewer.")] = None,
    runs: Annotated[list[str] | None, _flag("--run", "Training run whose curves go into --report. Repeatable.")] = None,
    format: Annotated[str, _flag("--format", "json, markdown or latex.")] = "json",
) -> None:
    """Score rollouts: pass@k with intervals, by group, with gates and a report.

    FILE holds problems with rollouts; each FILE is one row, named after it. Rollouts without a verdict are judged
    first; with --model new ones are sampled first. With --datasets, FILE holds samples {task_id, completion} or
    {task_id, solution} for the problems in --data. The output is one JSON object: the row's, or {"runs": {NAME: ...}}
    for several. Rollouts that could not be judged (IE) are never scored; answers without code are failures.
    """
    from dc_tools.eval.evaluation import evaluate, wanted
    from dc_tools.eval.sampling import asked
    from dc_tools.rollout.engine import Sampling

    options = {
        "grader": grader, "extraction": extraction, "start_date": start_date, "end_date": end_date,
        "contests": contests, "users": users, "method": method,
    }
    sampling = Sampling(n, temperature, top_p, max_tokens, run.options.seed)
    want = wanted(
        k, group_by, asked(model, base_url, prompt_style, sampling), minimums=minimums or [], judge=not no_judge,
        format=format, dataset=datasets, data=data, samples_out=samples_out, report=report, runs=runs or [],
        compare=compare, partial=partial, options={name: value for name, value in options.items() if value},
    )
    evaluate(run, want)
