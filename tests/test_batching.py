"""Runs that share the calls of their inpainters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment2inpaint.batching import EditRun, InpaintCall, run_batched, single_outcome
from segment2inpaint.errors import BadModel, BadOption, NothingFound
from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, no_progress
from segment2inpaint.types import Fill, Image


class Echo:
    """Paints each crop with its seed; refuses the seed 13."""

    name = "echo"

    def __init__(self, batch: int) -> None:
        self.input_spec = InputSpec(batch_size=batch)
        self.calls: list[list[int]] = []

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        seeds = [crop.seed for crop in crops]
        self.calls.append(seeds)
        assert len({crop.image.shape for crop in crops}) == 1
        if 13 in seeds:
            raise BadModel("no 13")
        progress("inpainting", 1.0)
        return [np.full_like(crop.image, crop.seed) for crop in crops]


def crop(seed: int, side: int = 4) -> Crop:
    return Crop(np.zeros((side, side, 3), np.uint8), np.ones((side, side), np.bool_), seed)


def run(echo: Echo, *rounds: Sequence[Crop], fill: Fill = Fill()) -> EditRun[list[int]]:
    """Asks for each round's crops in turn; returns what colours it was given."""
    colors: list[int] = []
    for crops in rounds:
        (painted,) = yield [InpaintCall(echo, fill, crops)]
        assert painted.seconds >= 0
        assert [i.shape for i in painted.images] == [c.image.shape for c in crops]
        colors += [int(image[0, 0, 0]) for image in painted.images]
    return colors


@given(
    st.lists(st.lists(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 2)), min_size=1))),
    st.integers(1, 5),
)
def test_each_run_gets_its_own_crops_in_order(
    wanted: list[list[list[tuple[int, int]]]], batch: int
) -> None:
    """Whatever crops of whatever sizes share a call, and however many."""
    echo = Echo(batch)
    runs = [run(echo, *[[crop(*one) for one in ask] for ask in rounds]) for rounds in wanted]
    outcomes = list(run_batched(runs))
    assert outcomes == [[seed for ask in rounds for seed, _ in ask] for rounds in wanted]
    assert all(len(call) <= batch for call in echo.calls)


def test_equal_crops_of_several_runs_share_a_call() -> None:
    echo = Echo(3)
    assert list(run_batched(run(echo, [crop(i)]) for i in range(7))) == [[i] for i in range(7)]
    assert echo.calls == [[0, 1, 2], [3, 4, 5], [6]]


def test_crops_with_another_fill_do_not_share_a_call() -> None:
    echo = Echo(3)
    fills = [Fill(), Fill(prompt="a rose"), Fill(seed=8, candidates=2)]
    list(run_batched(run(echo, [crop(i)], fill=fill) for i, fill in enumerate(fills)))
    assert echo.calls == [[0, 2], [1]]


@pytest.mark.parametrize(("batch", "ahead"), [(1, 1), (4, 4)])
def test_no_more_runs_are_started_than_fit_in_a_call(batch: int, ahead: int) -> None:
    """Also where no two crops are alike; an endless source is fine."""
    echo, taken = Echo(batch), 0

    def endless() -> Iterator[EditRun[list[int]]]:
        nonlocal taken
        while True:
            taken += 1
            yield run(echo, [crop(1, side=taken)])

    outcomes = run_batched(endless())
    for done in range(1, 9):
        assert next(outcomes) == [1]
        assert taken <= done - 1 + ahead


def test_only_the_faulty_run_fails() -> None:
    echo = Echo(4)
    bad: EditRun[list[int]] = run(echo, [crop(13)])
    outcomes = list(run_batched([run(echo, [crop(1)]), bad, run(echo, [crop(2)], [crop(3)])]))
    assert outcomes[::2] == [[1], [2, 3]]
    assert isinstance(outcomes[1], BadModel)


def test_an_error_before_the_first_crop_is_an_outcome() -> None:
    def nothing() -> EditRun[list[int]]:
        raise NothingFound("nothing")
        yield []

    echo = Echo(2)
    first, second = run_batched([nothing(), run(echo, [crop(1)])])
    assert isinstance(first, NothingFound)
    assert second == [1]
    with pytest.raises(NothingFound):
        single_outcome(run_batched([nothing()]))


def test_a_bug_is_not_an_outcome() -> None:
    def broken() -> EditRun[list[int]]:
        raise ZeroDivisionError
        yield []

    with pytest.raises(ZeroDivisionError):
        list(run_batched([broken()]))


def test_stopping_early_closes_all_runs() -> None:
    closed = []

    def careful() -> EditRun[list[int]]:
        try:
            return (yield from run(echo, [crop(1)], [crop(2)]))
        finally:
            closed.append(True)

    echo = Echo(2)

    def stop(stage: str, share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_batched([careful(), careful()], stop))
    assert closed == [True, True]


def test_progress_is_that_of_the_head_run_and_only_rises() -> None:
    shares: list[float] = []
    crops = [crop(1), crop(2), crop(3), crop(4, side=9)]
    single_outcome(run_batched([run(Echo(2), crops)], lambda _, share: shares.append(share)))
    assert shares == pytest.approx([0.5, 0.75, 1.0])


def test_the_error_of_a_single_run_is_raised() -> None:
    def refused() -> EditRun[int]:
        raise BadOption("no")
        yield []

    with pytest.raises(BadOption):
        single_outcome(run_batched([refused()]))
