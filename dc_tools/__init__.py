"""dc_tools: reinforcement learning for code as seven Unix commands that pass JSONL to one another."""

__version__ = "0.1.0"
