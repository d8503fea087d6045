"""A future that is made of others."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def combined(make: Callable[..., B], *given: "Future[A]") -> "Future[B]":
    """What `make` makes of the results of `given`, once all are there; the first error, also one of `make`, is its own.

    Nothing waits: `make` runs in the thread that the last result comes from.
    """
    made: Future[B] = Future()

    def heard(left: "Sequence[Future[A]]") -> None:
        if left:
            left[0].add_done_callback(lambda _: heard(left[1:]))
            return
        try:
            made.set_result(make(*(each.result() for each in given)))
        except BaseException as error:
            made.set_exception(error)

    heard(given)
    return made
