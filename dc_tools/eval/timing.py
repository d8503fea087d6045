"""How long the sampling of a problem took: kept beside its line, since a line holds no times."""

import msgspec


class Timing(msgspec.Struct, omit_defaults=True):
    """How long the sampling of one problem took."""

    row: str
    id: str
    wall_s: float
    """Seconds since the answers to the problem before."""
    latency_s: list[float] = []
    """Of each answer, as far as the engine knows, from when it began with it to its end."""
