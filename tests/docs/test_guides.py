"""The programs of the user guide run, and the guide's statements about them are true."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import train
from tests.conformance import close
from tests.pages import pages

GUIDES = [page for page in pages("docs/guide") if page.blocks("python")]
LONG = ("attention", "looking_inside")  # for make test-slow


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(page, id=page.file.stem, marks=[pytest.mark.slow] * (page.file.stem in LONG))
        for page in GUIDES
    ],
)
def names(request, tmp_path_factory):
    """The names that a page's programs define, run in order in a folder of their own, which holds a
    trained cell as on the page on experiments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("guide"))
        model = train.Description("gru", 4, 2, 1, "last", {})
        params = model.make_model().init(jax.random.key(0))
        train.save_model("runs/adding/adding_100/gru/model", model, params)
        yield request.param.file.stem, request.param.run()


def test_the_programs_of_a_page_run(names):
    page, left = names
    check = CHECKS.get(page)
    if check is not None:
        check(left)


def many_devices_give_what_one_gives(names):
    arguments = (names["params"], names["xs"], names["targets"])
    expected = jax.jit(jax.value_and_grad(names["loss"]))(*arguments)
    close((names["value"], names["gradients"]), expected, 1e-5)


def a_sequence_is_written_and_aligned(names):
    assert 0 < names["loss"] < 100
    assert names["tokens"].shape == (15, 8)
    steps, weights = names["found"].lengths[:, 0], names["alignments"]
    assert weights.shape == (15, 8, 12)
    beyond = jnp.arange(12) >= names["lengths"][:, None]
    np.testing.assert_array_equal(jnp.where(beyond, weights, 0), 0)  # no padding is read
    written = jnp.arange(15)[:, None] < steps
    np.testing.assert_allclose(weights.sum(axis=-1), written, atol=1e-6)


def a_trained_cell_comes_back(names):
    assert names["cell"] == lj.gru(4)


def the_loss_falls(names):
    losses = names["losses"]
    assert losses.shape == (50,) and losses[-10:].mean() < losses[:10].mean()
    assert names["cell"] == lj.gru(16)
    readout = names["params"]["readout"]
    answers = names["ys"][-1] @ readout["w"] + readout["b"]
    expected = names["model"].answer(names["params"], names["task"].test.xs)
    np.testing.assert_allclose(answers, expected, atol=1e-5)


CHECKS = {
    "many_devices": many_devices_give_what_one_gives,
    "attention": a_sequence_is_written_and_aligned,
    "experiments": a_trained_cell_comes_back,
    "training": the_loss_falls,
}


def test_every_check_has_its_page():
    assert CHECKS.keys() <= {page.file.stem for page in GUIDES}
