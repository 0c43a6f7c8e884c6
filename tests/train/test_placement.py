"""``fit`` over several devices gives the numbers of one."""

import jax
import numpy as np
import optax
import pytest

import lstm_jax as lj
from lstm_jax import train
from tests.train.finite import (
    assert_close,
    assert_equal,
    fit,
    language_model,
    mean_model,
    ragged,
    text,
)

pytestmark = pytest.mark.devices(4)

ROWS, TARGETS = ragged(30)
RNG = np.random.default_rng(3)


def mixed():
    columns = {
        "readings": ROWS,
        "tokens": [RNG.integers(0, 4, 5) for _ in ROWS],
        "place": RNG.integers(0, 3, 30),
        "sizes": RNG.normal(size=(30, 2)),
    }
    inputs = train.inputs.mixed(
        {
            "readings": train.inputs.numbers(2),
            "tokens": train.inputs.summary(train.inputs.embedding(4, 2), lj.gru(2)),
            "place": train.inputs.embedding(3, 2),
            "sizes": train.inputs.numbers(2),
        }
    )
    model = train.network(lj.gru(3), inputs, train.heads.regression())
    return dict(model=model, data=train.Dataset(columns, TARGETS))


def every_step():
    data = train.Dataset(ROWS, [row[:, 0] for row in ROWS], per="step")
    return dict(model=mean_model(every=True), data=data)


def streams():
    resets = RNG.random(203) < 0.1
    return dict(
        model=language_model(),
        data=train.Streams(text(), window=6, resets=resets),
        validation=train.Streams(text(40, seed=1), window=20),
        loss="cross_entropy",
        metrics=["perplexity"],
    )


def noisy():
    data = train.Dataset(ROWS, TARGETS)
    return dict(
        model=mean_model(noise=0.3), data=data, validation=data.take(np.arange(7)),
        metrics=["r2", "mae"], optimizer=optax.adam(0.01),
    )  # fmt: skip


@pytest.mark.parametrize(
    "case", [noisy, streams, every_step, mixed], ids=lambda case: case.__name__
)
def test_several_devices_give_the_numbers_of_one(case):
    options = dict(case(), batch_size=4)
    one = fit(**options)
    several = fit(**options, devices=jax.devices()[:4])
    assert_close(several._replace(compiles=0), one._replace(compiles=0))
    for leaf in jax.tree.leaves((several.params, several.last)):
        assert len(leaf.devices()) == 1


def test_training_goes_on_on_other_devices(tmp_path):
    options = dict(noisy(), batch_size=4, checkpoint=tmp_path, devices=jax.devices()[:4])
    straight = fit(**options | {"checkpoint": None, "epochs": 3})
    fit(**options | {"epochs": 1})
    same = fit(**options | {"epochs": 3, "checkpoint": tmp_path})
    assert_equal(same._replace(compiles=0), straight._replace(compiles=0))
    other = fit(**options | {"epochs": 4, "devices": None})
    expected = fit(**options | {"epochs": 4, "devices": None, "checkpoint": None})
    assert_close(other._replace(compiles=0), expected._replace(compiles=0))


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(batch_size=6), "batch_size: expected a multiple of 4, .* got 6"),
        (dict(devices=[]), "devices: expected one or more"),
        (dict(devices="all"), "devices: expected a list of devices"),
        (dict(devices=[0, 1]), "devices: expected a list of devices"),
    ],
)
@pytest.mark.usefixtures("without_shape_annotations")
def test_wrong_devices(options, message):
    devices = {"devices": jax.devices()[:4]}
    with pytest.raises((ValueError, TypeError), match=message):
        fit(**noisy() | devices | options)
