"""Processes on a Ray cluster that hold something costly: they answer in turn, and come back when they are lost."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from dc_tools.core.cluster import Replicas, connected, fetch
from dc_tools.core.errors import CannotRun

pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("default")


class Held:
    """Counts what it was asked."""

    def __init__(self, start: int) -> None:
        self.count = start
        if start < 0:
            raise CannotRun("below zero")

    def pid(self) -> int:
        """Of the process that holds it."""
        return os.getpid()

    def squared(self, number: int) -> int:
        """The second power."""
        return number * number

    def refused(self) -> None:
        """Fails as commands do."""
        raise CannotRun("not today")


@pytest.fixture
def joined(cluster: Any) -> Iterator[None]:
    """Connected to three nodes of one CPU."""
    from ray import cloudpickle

    here = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(here)  # the nodes cannot import tests
    with connected(cluster.address):
        yield
    cloudpickle.unregister_pickle_by_value(here)


def test_what_a_replica_cannot_do_is_the_error_it_had(joined: None) -> None:
    for replicas, method in ((Replicas(1, Held, -1), "pid"), (Replicas(1, Held, 0), "refused")):
        with pytest.raises(CannotRun, match=r"below zero|not today"):
            fetch(replicas.ask(method))


def test_a_cluster_without_room_says_so(joined: None) -> None:
    with pytest.raises(CannotRun, match=r"500 processes need 500 CPUs; the cluster has \d+"):
        Replicas(500, Held, 0)
    with pytest.raises(CannotRun, match="1 processes need 1 GPUs; the cluster has 0"):
        Replicas(1, Held, 0, gpus=1)


def test_replicas_answer_in_turn_and_again_after_they_were_killed(joined: None) -> None:
    replicas = Replicas(2, Held, 0, at_once=4)
    pids = [fetch(replicas.ask("pid")) for _ in range(4)]
    assert len(set(pids)) == 2 and pids[:2] == pids[2:]
    asked = [replicas.ask("squared", number) for number in range(10)]
    with contextlib.suppress(ProcessLookupError):
        os.kill(pids[0], signal.SIGKILL)
    asked += [replicas.ask("squared", number) for number in range(10, 20)]
    assert [fetch(each) for each in asked] == [number * number for number in range(20)]
    assert pids[0] not in {fetch(replicas.ask("pid")) for _ in range(2)}
