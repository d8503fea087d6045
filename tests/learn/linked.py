"""A trainer and samplers in this process, each end of their link in a thread of its own."""

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dc_tools.learn.trainer import Trainer


def join(trainer: Trainer, *samplers: Any) -> list[Any]:
    """Make the link; what will be sent."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    seats = 1 + len(samplers)
    with ThreadPoolExecutor() as threads:
        specs = threads.submit(trainer.join, address, seats, 60)
        for done in [threads.submit(s.join, address, seat, seats, 60) for seat, s in enumerate(samplers, 1)]:
            done.result()
        return specs.result()


def send(trainer: Trainer, specs: list[Any], *samplers: Any) -> None:
    """The trainer's weights to all."""
    with ThreadPoolExecutor() as threads:
        for done in [threads.submit(trainer.send), *(threads.submit(s.receive, specs) for s in samplers)]:
            done.result()
