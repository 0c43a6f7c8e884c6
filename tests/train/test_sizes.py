"""The hidden size that fits a budget, for cells that accept every size and for others."""

import functools

import pytest

import lstm_jax as lj
from lstm_jax import train


@pytest.mark.parametrize(("make", "budget"), [(lj.lstm, 50), (lj.gru, 1000), (lj.rnn, 4500),
                                             (lj.min_gru, 500), (lj.lru, 4500)])  # fmt: skip
def test_size_for_is_nearer_than_its_neighbours(make, budget):
    def distance(size):
        return abs(train.count_parameters(train.recurrent(make(size), 2, 1)) - budget)

    size = train.size_for(make, budget, 2, 1)
    assert distance(size) <= min(distance(max(size - 1, 1)), distance(size + 1))


def test_sizes_of_equal_state():
    assert train.state_size(lj.lstm(7)) == 14
    assert train.state_size(lj.chain(lj.gru(3), lj.lstm(2))) == 3 + 4
    assert train.size_near(lj.lstm, 64, train.state_size) == 32
    assert train.size_near(lj.gru, 64, train.state_size) == 64


@pytest.mark.parametrize("counts", [lambda size: 7, lambda size: min(10 * size, 100)])
def test_a_count_that_does_not_grow_never_comes_near(counts):
    with pytest.raises(
        ValueError, match=r"budget: expected at most (7|100), .*not grow .*got 1000"
    ):
        train.size_near(lambda size: size, 1000, counts)


def test_a_budget_below_the_smallest_size_is_refused():
    with pytest.raises(ValueError, match=r"budget: expected at least 14, .*got 3"):
        train.size_for(lj.lstm, 3, 1, 1)


# By the registered name: which sizes it accepts.
PARTIAL = {
    "mlstm(heads=4)": 4,
    "slstm(heads=3)": 3,
    "attention(heads=2)": 2,
    "attention(heads=6, positions='learned')": 6,
    "linear_attention(heads=5)": 5,
    "linear_attention_gated(heads=4)": 4,
    "delta_net(heads=7)": 7,
    "lstm_1997(block_size=2)": 2,
}


@pytest.mark.parametrize("cell", PARTIAL)
@pytest.mark.slow
def test_the_nearest_of_the_sizes_that_a_cell_accepts(cell):
    def distance(size):
        made = train.recurrent(lj.cells.make(cell, size), 2, 1)
        return abs(train.count_parameters(made) - 4500)

    step = PARTIAL[cell]
    size = train.size_for(functools.partial(lj.cells.make, cell), 4500, 2, 1)
    assert size % step == 0
    assert distance(size) <= min(distance(max(size - step, step)), distance(size + step))


def refusing(accepts, text="size: expected another, got {}"):
    def make(size):
        if not accepts(size):
            raise ValueError(text.format(size))
        return size

    return make


@pytest.mark.parametrize(
    ("accepts", "budget", "nearest"),
    [
        (lambda size: size % 7 == 0, 50, 49),
        (lambda size: size % 7 == 0, 53, 56),
        (lambda size: size & (size - 1) == 0, 700, 512),  # powers of two
        (lambda size: size <= 60, 50, 50),
        (lambda size: size in (3, 60), 35, 60),
        (lambda size: size in (3, 60), 31, 3),
        (lambda size: size == 64, 60, 64),  # within a tenth
        (lambda size: size == 64, 64, 64),
        (lambda size: size > 2000, 2100, 2100),
        (lambda size: size % 90 == 0, 100, 90),
    ],
)
def test_sizes_that_are_refused_are_passed_over(accepts, budget, nearest):
    assert train.size_near(refusing(accepts), budget, lambda size: size) == nearest
    for text in ("size must not be {}", "size: takes another"):
        other = refusing(accepts, text)
        assert train.size_near(other, budget, lambda size: size) == nearest


@pytest.mark.parametrize(
    ("accepts", "message"),
    [
        (
            lambda size: size % 400 == 0,
            "budget: expected at least 400, the count at size 400, .*got 100",
        ),
        (
            lambda size: size <= 60,
            ("budget: expected at most 60, .*largest that is accepted, got 100"),
        ),
        (lambda size: size == 3, "budget: expected at most 3, .*largest that is accepted, got 100"),
        (lambda size: False, "budget: .* a size from 1 to 4096, got 100 .*: size: .*got 4096"),
    ],
)
def test_a_budget_that_no_accepted_size_fits_is_an_error(accepts, message):
    with pytest.raises(ValueError, match=message):
        train.size_near(refusing(accepts), 100, lambda size: size)


def test_an_error_that_is_not_of_the_size_is_raised_as_it_is():
    with pytest.raises(ValueError, match=r"^heads: expected a positive integer, got 0$"):
        train.size_for(functools.partial(lj.cells.make, "mlstm(heads=0)"), 4500, 2, 1)
    tried = []

    def refused(size):
        tried.append(size)
        raise ValueError("dropout: got 1.0")

    with pytest.raises(ValueError, match=r"^dropout: got 1.0$"):
        train.size_near(refused, 100, lambda size: size)
    assert len(tried) < 30  # each may take long
    tried.clear()

    def faulty(size):
        tried.append(size)
        raise ValueError("operands could not be broadcast together")

    with pytest.raises(ValueError, match="could not be broadcast"):
        train.size_near(faulty, 100, lambda size: size)
    assert tried == [1]
