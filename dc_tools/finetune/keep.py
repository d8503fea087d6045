"""What a training run keeps and shows, beside the model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Keep:
    """What is kept, and what is shown, of a run."""

    save_every: int
    """Steps between checkpoints."""
    adapter: bool
    show_mask: int
    """How many examples to show."""
    little_memory: bool
    """Whether to compute activations twice instead of keeping them."""
