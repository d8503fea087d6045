"""Evaluation: judged rollouts to numbers with intervals, gates, and a report that opens from disk."""
