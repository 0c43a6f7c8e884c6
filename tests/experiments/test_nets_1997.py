"""The nets of 1997 against the paper's tables, and their arithmetic by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import nets_1997
from experiments.nets_1997 import NETS
from lstm_jax import tasks, train


def shown(net):
    """A task of the net's sizes: a small one of its kind, its inputs widened where they grow."""
    if net.task == "lags_2c":
        return tasks.make("lags_2c", q=1)._replace(input_size=net.options["q"] + 4)
    if net.direct:
        sizes = {"input_size": net.options["p"] + 1, "output_size": net.options["p"] + 1}
        return tasks.make(net.task, p=3)._replace(**sizes)
    small = {"length": 20} if "length" in net.options else {}
    if net.task == "temporal_order":
        small = {"min_length": 20, "max_length": 20}
    return tasks.make(net.task, **{**net.options, **small})


@pytest.mark.parametrize("name", NETS)
def test_the_paper_s_number_of_weights(name):
    net = NETS[name]
    task = shown(net)
    assert train.count_parameters(nets_1997.paper(net, task)) == net.weights
    plain = train.count_parameters(nets_1997.plain(net, task))
    assert abs(plain - net.weights) < 0.1 * net.weights


def test_first_weights_and_biases_are_the_paper_s():
    for name, scale in {"1": 0.2, "3a": 0.1, "6b": 0.1}.items():
        net = NETS[name]
        params = nets_1997.paper(net, shown(net)).init(jax.random.key(0))
        weights = [params["cell"]["w_x"], params["cell"]["w_h"], params["readout"]["w"]]
        for leaf in weights:
            assert 0.8 * scale < np.abs(leaf).max() <= scale
        biases = np.asarray(params["cell"]["b"])
        blocks = net.blocks
        drawn = [biases[2 * blocks :]]  # of the cells
        for values, given in (
            (biases[:blocks], net.input_gate_bias),
            (biases[blocks : 2 * blocks], net.output_gate_bias),
        ):
            if given is None:
                drawn.append(values)
            else:
                np.testing.assert_array_equal(values, given)
        drawn = np.concatenate(drawn)
        assert (np.abs(drawn) <= scale).all() and (drawn != 0).all()
        assert ("b" in params["readout"]) == (name == "6b")


def test_the_net_of_2a_by_hand():
    """Sum of the gated inputs, no squashing of it, and outputs that see the current input."""
    net = NETS["2a"]
    task = tasks.make("lags_2a", p=4)
    model = nets_1997.paper(net, task)
    params = model.init(jax.random.key(1))
    xs = task.sample(jax.random.key(2), 3).xs
    w_x, w = np.asarray(params["cell"]["w_x"], float), np.asarray(params["readout"]["w"], float)
    assert w_x.shape == (5, 2) and w.shape == (6, 5) and set(params["readout"]) == {"w"}
    s, outputs = np.zeros((3, 1)), []
    for x in np.asarray(xs, float):
        gates = 1 / (1 + np.exp(-x @ w_x))
        s = s + gates[:, :1] * gates[:, 1:]
        outputs.append(np.concatenate([s, x], axis=1) @ w)
    np.testing.assert_allclose(model.apply(params, xs), outputs, rtol=1e-5, atol=1e-6)


def test_the_last_step_of_each_row_is_read():
    net = NETS["6a"]
    task = tasks.make("temporal_order", min_length=20, max_length=24)
    model = nets_1997.paper(net, task)
    params, batch = model.init(jax.random.key(3)), task.sample(jax.random.key(4), 5)
    outputs = model.apply(params, batch.xs)
    for row in range(5):
        alone = batch.xs.values[: batch.xs.lengths[row], row : row + 1]
        np.testing.assert_allclose(model.apply(params, alone)[0], outputs[row], atol=1e-6)
    gradient = jax.grad(lambda p: task.loss(model.apply(p, batch.xs), batch))(params)
    assert all(bool(jnp.any(leaf != 0)) for leaf in jax.tree.leaves(gradient))
