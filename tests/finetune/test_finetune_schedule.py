"""Order, cuts and learning rates: numbers worked by hand and properties."""

from itertools import chain

from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from dc_tools.finetune.schedule import Schedule, batch_of, learning_rate, micro_batches, permutation, steps_of


def test_ten_examples_twice_in_batches_of_four_are_five_steps_that_cross_the_epoch() -> None:
    batches = [batch_of(step, 10, 2, 4, seed=3) for step in range(steps_of(10, 2, 4))]
    assert [len(batch) for batch in batches] == [4, 4, 4, 4, 4]
    seen = list(chain(*batches))
    assert seen[:10] == permutation(10, 3, 0)
    assert seen[10:] == permutation(10, 3, 1)
    assert seen[:10] != seen[10:]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 17), st.integers(0, 3))
def test_every_example_is_seen_once_an_epoch(examples: int, epochs: int, size: int, seed: int) -> None:
    batches = [batch_of(step, examples, epochs, size, seed) for step in range(steps_of(examples, epochs, size))]
    seen = list(chain(*batches))
    assert all(batches)
    assert [sorted(seen[e * examples : (e + 1) * examples]) for e in range(epochs)] == [list(range(examples))] * epochs


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 120))
def test_micro_batches_hold_all_and_stay_under_their_budget(lengths: list[int], budget: int) -> None:
    pieces = list(micro_batches(lengths, budget))
    assert sorted(chain(*pieces)) == list(range(len(lengths)))
    assert all(len(piece) == 1 or max(lengths[i] for i in piece) * len(piece) <= budget for piece in pieces)


def test_the_rate_rises_over_the_warm_up_and_falls_to_a_tenth() -> None:
    rates = [learning_rate(step, 20, 1.0, 0.2, Schedule.COSINE) for step in range(20)]
    assert rates[:4] == approx([0.25, 0.5, 0.75, 1.0])
    assert rates[4] == approx(1.0)
    assert rates[12] == approx(0.55)
    assert rates[19] == approx(0.1 + 0.9 * 0.00960736, abs=1e-6)
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_a_constant_rate_stays_after_the_warm_up() -> None:
    assert [learning_rate(s, 10, 2.0, 0.1, Schedule.CONSTANT) for s in (0, 5, 9)] == [2.0, 2.0, 2.0]
