"""What prompts have in common. Pure."""

from collections.abc import Sequence

WORTH_TOKENS = 16
"""Prompts that begin with fewer of the same tokens are read each by itself."""


def common_prefix(prompt_ids: Sequence[list[int]]) -> list[int]:
    """What several prompts begin with, where that is worth a pass of its own; each has a token more at least."""
    if len(prompt_ids) < 2:
        return []
    first, last = min(prompt_ids), max(prompt_ids)  # what these share, all share
    most = min(map(len, prompt_ids)) - 1
    shared = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), most)
    return first[:shared] if (shared := min(shared, most)) >= WORTH_TOKENS else []
