"""dc-eval: the flags."""

from pathlib import Path
from typing import Annotated, Any

import typer

from dc_tools.core.command import command
from dc_tools.core.run import Run
from dc_tools.rollout.connect import EngineName, Source
from dc_tools.rollout.prompts import PromptStyle


def _takes_files(flags: dict[str, Any]) -> bool:
    """Whether an absent FILE means stdin: a model sampled on a benchmark needs none."""
    return not ((flags["model"] or flags["base_url"]) and flags["datasets"])


def _flag(name: str, text: str, **more: Any) -> Any:
    return typer.Option(name, help=text, **more)


def _is_folder(output: str) -> bool:
    """Whether -o names a folder for all that an evaluation gives."""
    return output.endswith("/") or Path(output).is_dir()


NAMES = "humaneval, humaneval+, lcb, codeforces, aime, plain"
SCORING = ("k", "group_by", "minimums", "compare", "format", "traces", "runs")
"""Flags that say how what was judged is scored and shown."""


def _has_more_to_do(flags: dict[str, Any], earlier: dict[str, Any]) -> bool:
    """Whether a finished run met faults in its folder, which --resume has another try at, or was scored otherwise."""
    had_faults = bool(earlier.get("counts", {}).get("faults")) and earlier.get("is_folder", False)
    return had_faults or earlier.get("scoring") != {name: flags[name] for name in SCORING}


@command(
    "dc-eval", content_flags=frozenset({"model", "data", "contests", "users"}), resumable=False,
    needs_input=_takes_files, output_flags=frozenset({"report", "samples_out"}), makes_folder=_is_folder,
    wants_more=_has_more_to_do,
    free_flags=frozenset(
        {"base_url", "api_key_file", "concurrency", "timeout", "tp", "dp", "ray_address", "device", *SCORING}
    ),
)
def main(
    run: Run,
    k: Annotated[str, _flag("--k", "The k of pass@k, with commas: 1,5.")] = "1",
    group_by: Annotated[str, _flag("--group-by", "Of difficulty, source, platform, tag, month.")] = (
        "difficulty,source,month"
    ),
    minimums: Annotated[
        list[str] | None, _flag("--min", "Gate pass@1=0.5, for one file NAME:pass@1=0.5; exit 4 if missed. Repeatable.")
    ] = None,
    compare: Annotated[bool, _flag("--compare", "Compare each further FILE with the first, by problem.")] = False,
    no_judge: Annotated[bool, _flag("--no-judge", "Leave rollouts without a verdict unjudged and unscored.")] = False,
    datasets: Annotated[str, _flag("--datasets", f"Of {NAMES}: of FILE's samples, or several to ask.")] = "",
    partial: Annotated[bool, _flag("--partial", "Score samples that leave problems of --datasets out.")] = False,
    data: Annotated[str | None, _flag("--data", "Folder, file or hf:// name of problems; default: the hub's.")] = None,
    grader: Annotated[str | None, _flag("--grader", "For lcb: real, lcb (the original's), or real,lcb.")] = None,
    extraction: Annotated[str | None, _flag("--extraction", "For lcb: last-block or lcb (the original's).")] = None,
    release: Annotated[str | None, _flag("--release", "For lcb: release_v5, v5 alone, or v4_v6.")] = None,
    start_date: Annotated[str | None, _flag("--start-date", "For lcb: first day, YYYY-MM-DD, of the window.")] = None,
    end_date: Annotated[str | None, _flag("--end-date", "For lcb: last day of the window.")] = None,
    contests: Annotated[str | None, _flag("--contests", "For codeforces: file of contests, or the API's URL.")] = None,
    users: Annotated[str | None, _flag("--users", "For codeforces: table of ratings, for the percentile.")] = None,
    method: Annotated[str | None, _flag("--method", "For codeforces: codeelo or official.")] = None,
    model: Annotated[str | None, _flag("--model", "Model: a folder, owner/name, URL, or name on --base-url.")] = None,
    base_url: Annotated[str | None, _flag("--base-url", "Server to sample from, as http://localhost:8000/v1.")] = None,
    engine: Annotated[
        EngineName | None, _flag("--engine", "Default: openai with a URL, vllm with --tp or --dp, else transformers.")
    ] = None,
    tp: Annotated[int, _flag("--tp", "vllm: GPUs that share the weights.", min=1)] = 1,
    dp: Annotated[int, _flag("--dp", "vllm: engines over Ray, each with all weights.", min=1)] = 1,
    ray_address: Annotated[str | None, _flag("--ray-address", "vllm: a Ray cluster; default: our own if --dp.")] = None,
    context: Annotated[int | None, _flag("--context", "vllm: most tokens of prompt and answer.", min=1)] = None,
    concurrency: Annotated[int, _flag("--concurrency", "openai: requests at a time.", min=1)] = 16,
    timeout: Annotated[float, _flag("--timeout", "openai: seconds for one try of a request.", min=1.0)] = 600.0,
    api_key_file: Annotated[Path | None, _flag("--api-key-file", "openai: file that holds the API key.")] = None,
    device: Annotated[str, _flag("--device", "transformers: auto, cpu, cuda, cuda:1, ...")] = "auto",
    n: Annotated[int, _flag("--n", "Rollouts a problem.", min=1)] = 1,
    temperature: Annotated[float, _flag("--temperature", "0 is greedy.", min=0.0)] = 0.6,
    top_p: Annotated[float, _flag("--top-p", "Share of probability to sample from.", min=0.0, max=1.0)] = 0.95,
    max_tokens: Annotated[int, _flag("--max-tokens", "Most tokens of one answer.", min=1)] = 1024,
    prompt_style: Annotated[PromptStyle, _flag("--prompt-style", "fenced is for small models.")] = PromptStyle.CHAT,
    samples_out: Annotated[str | None, _flag("--samples-out", "File for the judged lines.")] = None,
    report: Annotated[str | None, _flag("--report", "HTML file with tables, curves and a viewer.")] = None,
    traces: Annotated[int, _flag("--traces", "Most failing rollouts that --report traces line by line.", min=0)] = 50,
    runs: Annotated[list[str] | None, _flag("--run", "Training run whose curves go into --report. Repeatable.")] = None,
    format: Annotated[str, _flag("--format", "json, markdown or latex.")] = "json",
) -> None:
    """Score rollouts: pass@k with intervals, by group, with gates and a report.

    FILE holds problems with rollouts; each FILE is one row, named after it. Rollouts without a verdict are judged
    first; with --model new ones are sampled in place of a line's. With --datasets, FILE holds samples {task_id,
    completion} or {task_id, solution} for the problems in --data. The output is one JSON object: the row's, or
    {"runs": {NAME: ...}} for several. -o FOLDER/ takes all: scores, report, judged lines, and --resume goes on with it
    problem by problem. Rollouts that could not be judged (IE) are never scored; answers without code are failures.
    """
    from dc_tools.eval.evaluation import evaluate
    from dc_tools.eval.sampling import asked
    from dc_tools.eval.wanted import wanted
    from dc_tools.rollout.engine import Sampling

    run.facts["scoring"] = {name: run.flags[name] for name in SCORING}
    options = {
        "grader": grader, "extraction": extraction, "release": release, "start_date": start_date,
        "end_date": end_date, "contests": contests, "users": users, "method": method,
    }
    source = Source(
        EngineName.TRANSFORMERS, model, base_url, api_key_file, concurrency, timeout, tp=tp, dp=dp, context=context,
        ray_address=ray_address, device=device,
    )
    sampling = Sampling(n, temperature, top_p, max_tokens, run.options.seed)
    want = wanted(
        k, group_by, datasets, asked(engine, source, prompt_style, sampling), minimums=minimums or [],
        judge=not no_judge, format=format, data=data, samples_out=samples_out, report=report, traces=traces,
        runs=runs or [], compare=compare, partial=partial,
        options={name: value for name, value in options.items() if value},
    )
    evaluate(run, want)
