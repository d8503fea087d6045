"""The card of an exported model: what it was made from, how, and with which result. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from dc_tools.learn.recipe import Recipe

SHOWN = ("reward", "solved", "truncated", "response_tokens", "eval_solved")
DIGITS = 12
"""Of a content's sha256 that are shown."""


def model_card(
    base: str, recipe: Recipe, identity: Mapping[str, Any], versions: Mapping[str, str], metrics: Mapping[str, Any]
) -> str:
    """Markdown with a head as the Hugging Face hub reads it. `identity` is a run's fingerprint, `metrics` the line of
    its last step."""
    settings = msgspec.to_builtins(recipe)
    default = msgspec.to_builtins(Recipe())
    step = metrics.get("step", 0)
    sections = [
        f"---\nbase_model: {base}\nlibrary_name: transformers\npipeline_tag: text-generation\n"
        "tags: [reinforcement-learning, code, dc-tools]\n---",
        f"# {base}, {recipe.objective}, {step} steps",
        f"Trained from {base} by dc-learn, with rewards from programs that were run against tests.",
        _table("Result of the last step", {name: metrics[name] for name in SHOWN if name in metrics}),
        _table("Recipe, where it is not the default", {k: v for k, v in settings.items() if v != default[k]}),
        _table("Inputs, sha256", {each["path"]: each["sha256"][:DIGITS] for each in identity.get("inputs", [])}),
        _table("Flags", {k: v for k, v in identity.get("flags", {}).items() if v is not None}),
        _table("Software", versions),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _table(title: str, rows: Mapping[str, Any]) -> str:
    """A table of names and values, or nothing."""
    if not rows:
        return ""
    lines = [f"| {name} | {_cell(value)} |" for name, value in rows.items()]
    return "\n".join([f"## {title}", "", "| | |", "|---|---|", *lines])


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return " ".join(text.split()).replace("|", "\\|")
