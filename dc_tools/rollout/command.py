"""The command dc-rollout."""

from pathlib import Path
from typing import Annotated

import typer

from dc_tools.core.command import command
from dc_tools.core.run import Run
from dc_tools.rollout.connect import EngineName, Source, opened
from dc_tools.rollout.engine import Sampling
from dc_tools.rollout.prompts import PromptStyle
from dc_tools.rollout.stage import sampled


@command(
    "dc-rollout", content_flags=frozenset({"model"}),
    free_flags=frozenset({"base_url", "api_key_file", "concurrency", "timeout", "tp", "dp", "ray_address"}),
)
def main(
    run: Run,
    model: Annotated[
        str | None, typer.Option(help="Folder of a model, or the name it has on the server (openai).")
    ] = None,
    engine: Annotated[EngineName, typer.Option(help="Sample by transformers or vLLM, or from a server.")] = (
        EngineName.TRANSFORMERS
    ),
    base_url: Annotated[
        str | None, typer.Option(help="openai: the server, as http://localhost:8000/v1; key in OPENAI_API_KEY.")
    ] = None,
    api_key_file: Annotated[Path | None, typer.Option(help="openai: file that holds the API key.")] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Samples of each problem.")] = 1,
    temperature: Annotated[float, typer.Option(min=0.0, help="Sampling temperature; 0 is greedy.")] = 0.6,
    top_p: Annotated[float, typer.Option(min=0.0, max=1.0, help="Sample from the likeliest tokens of this mass.")] = (
        0.95
    ),
    max_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of one answer.")] = 1024,
    tokens: Annotated[bool, typer.Option("--tokens", help="Keep token ids and log-probabilities.")] = False,
    prompt_style: Annotated[
        PromptStyle, typer.Option(help="chat: instructions. fenced: an example and an open code block (small models).")
    ] = PromptStyle.CHAT,
    rows: Annotated[int, typer.Option(min=1, help="transformers: samples that grow at a time.")] = 32,
    batch_prompts: Annotated[
        int, typer.Option(min=1, help="transformers: problems begun together; more keep the rows fuller.")
    ] = 16,
    concurrency: Annotated[int, typer.Option(min=1, help="openai: requests at a time.")] = 16,
    timeout: Annotated[float, typer.Option(min=1.0, help="openai: seconds for one try of a request.")] = 600.0,
    tp: Annotated[int, typer.Option("--tp", min=1, help="vllm: GPUs that share the weights.")] = 1,
    dp: Annotated[int, typer.Option("--dp", min=1, help="vllm: engines over Ray, each with all weights.")] = 1,
    context: Annotated[
        int | None, typer.Option(min=1, help="vllm: most tokens of prompt and answer; default: the model's.")
    ] = None,
    ray_address: Annotated[str | None, typer.Option(help="vllm: a Ray cluster; default: our own if --dp.")] = None,
    device: Annotated[str, typer.Option(help="transformers: auto, cpu, cuda, cuda:1, ...")] = "auto",
) -> None:
    """Sample answers to problems from a language model: adds `rollouts` to each line.

    Each rollout has the text, the code found in it, why it ended, the model and the seed; dc-sandbox judges it.
    Same input, flags and weights give the same bytes on a CPU; on a GPU or from a server only nearly so.
    """
    source = Source(
        engine, model, base_url, api_key_file, concurrency, timeout, tokens, tp, dp, context, ray_address, device,
        batch_prompts, rows,
    )
    sampling = Sampling(n, temperature, top_p, max_tokens, run.options.seed)
    with opened(source) as found:
        run.write(sampled(run, found, sampling, prompt_style, piece=source.piece, tokens=tokens))
