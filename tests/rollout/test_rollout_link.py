"""The link by which samplers get new weights: all get the same, and nothing is sent before all are there."""

import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import torch

from dc_tools.rollout.link import Link

CPU = torch.device("cpu")
WEIGHTS = {
    "a": torch.arange(12.0).reshape(3, 4), "b": torch.tensor(7, dtype=torch.int64),
    "c": torch.randn(5, 2, generator=torch.Generator().manual_seed(1)).bfloat16().T,
}
SPECS = [(name, list(t.shape), str(t.dtype).removeprefix("torch.")) for name, t in WEIGHTS.items()]


@pytest.fixture
def threads():
    with ThreadPoolExecutor() as pool:
        yield pool


def ends(threads: ThreadPoolExecutor, seats: list[int | None], timeout_s: float = 30) -> list[Link]:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    receivers = len([seat for seat in seats if seat is not None])
    made = [threads.submit(Link, address, seat, receivers, CPU, timeout_s) for seat in seats]
    return [each.result() for each in made]


def received(link: Link) -> dict[str, torch.Tensor]:
    return dict(link.receive(SPECS))


def test_every_receiver_gets_every_weight_as_it_is_turn_after_turn(threads):
    sender, helper, *receivers = ends(threads, [0, None, 1, 2, 3])
    for turn in range(3):
        got = [threads.submit(received, each) for each in receivers]
        helper.wait()
        sender.wait()
        sender.send([tensor + turn for tensor in WEIGHTS.values()])
        for each in got:
            assert each.result().keys() == WEIGHTS.keys()
            assert all(torch.equal(each.result()[name], tensor + turn) for name, tensor in WEIGHTS.items())


def test_nothing_is_sent_before_all_are_there(threads):
    sender, first, last = ends(threads, [0, 1, 2])
    may_go = threading.Event()

    def late() -> dict[str, torch.Tensor]:
        may_go.wait()
        return received(last)

    got = [threads.submit(received, first), threads.submit(late)]
    waited: Future[None] = threads.submit(sender.wait)
    with pytest.raises(TimeoutError):
        waited.result(timeout=0.5)
    may_go.set()
    waited.result(timeout=20)
    sender.send(WEIGHTS.values())
    assert all(each.result().keys() == WEIGHTS.keys() for each in got)


def test_who_waits_for_one_that_never_comes_is_told(threads):
    sender, present, _ = ends(threads, [0, 1, 2], timeout_s=1)
    got = threads.submit(received, present)
    with pytest.raises(Exception, match=r"(?i)time"):
        sender.wait()
    del sender
    with pytest.raises(RuntimeError):
        got.result()
