"""Futures of futures: the result, the error, and what happens in which order."""

from concurrent.futures import CancelledError, Future

import pytest

from dc_tools.core.futures import combined


def test_the_result_is_made_once_all_are_there_in_whatever_order() -> None:
    first: Future[int] = Future()
    second: Future[int] = Future()
    made = combined(lambda a, b: (a, b), first, second)
    second.set_result(2)
    assert not made.done()
    first.set_result(1)
    assert made.result(0) == (1, 2)


def test_an_error_of_any_of_them_is_the_error() -> None:
    first: Future[int] = Future()
    gone: Future[int] = Future()
    gone.cancel()
    first.set_result(0)
    with pytest.raises(CancelledError):
        combined(lambda a, b: a, first, gone).result(0)
    with pytest.raises(ZeroDivisionError):
        combined(lambda a: 1 // a, first).result(0)
