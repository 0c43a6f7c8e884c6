"""The nets of 1997 against the paper's tables, and against computations by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.history import _nets_1997
from experiments.history._nets_1997 import NETS
from lstm_jax import tasks, train
from tests.selection import mostly_slow


def small_task(net):
    """A task with the net's sizes: a small one of its kind, with wider inputs if they depend on its
    length."""
    if net.task == "lags_2c":
        return tasks.make("lags_2c", q=1)._replace(input_size=net.options["q"] + 4)
    if net.direct:
        sizes = {"input_size": net.options["p"] + 1, "output_size": net.options["p"] + 1}
        return tasks.make(net.task, p=3)._replace(**sizes)
    small = {"length": 20} if "length" in net.options else {}
    if net.task == "temporal_order":
        small = {"min_length": 20, "max_length": 20}
    return tasks.make(net.task, **{**net.options, **small})


@pytest.mark.parametrize("name", mostly_slow(NETS, list(NETS)[::4]))
def test_the_paper_s_number_of_weights(name):
    net = NETS[name]
    task = small_task(net)
    switch = int(net.direct)  # whether the cell is a part of the net yet
    assert train.count_parameters(_nets_1997.paper_model(net, task)) == net.weights + switch
    plain = train.count_parameters(_nets_1997.plain_model(net, task))
    assert abs(plain - net.weights) < 0.1 * net.weights


@pytest.mark.slow
def test_first_weights_and_biases_are_the_paper_s():
    for name, scale in {"1": 0.2, "3a": 0.1, "6b": 0.1}.items():
        net = NETS[name]
        params = _nets_1997.paper_model(net, small_task(net)).init(jax.random.key(0))
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
    """A squashed sum of the gated inputs, and outputs that read the current input."""
    net = NETS["2a"]
    task = tasks.make("lags_2a", p=4)
    model = _nets_1997.paper_model(net, task)
    params = model.init(jax.random.key(1))
    xs = task.sample(jax.random.key(2), 3).xs
    w_x, w = np.asarray(params["cell"]["w_x"], float), np.asarray(params["readout"]["w"], float)
    assert w_x.shape == (5, 2) and w.shape == (6, 5) and set(params["readout"]) == {"w"}
    s, outputs = np.zeros((3, 1)), []
    for x in np.asarray(xs, float):
        gates = 1 / (1 + np.exp(-x @ w_x))
        s = s + gates[:, :1] * (2 * gates[:, 1:] - 1)
        outputs.append(np.concatenate([4 / (1 + np.exp(-s)) - 2, x], axis=1) @ w)
    added = params | {_nets_1997.ADDED: jnp.ones(())}
    np.testing.assert_allclose(model.apply(added, xs), outputs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.apply(params, xs), np.asarray(xs) @ w[1:], atol=1e-6)


@pytest.mark.slow
def test_the_cell_is_added_after_so_many_sequences():
    """Until then none of its weights change; from then on all of them do."""
    task = tasks.make("lags_2a", p=4)
    model = _nets_1997.paper_model(NETS["2a"], task)
    optimizer = _nets_1997.add_cell_after(3, optax.sgd(1.0))
    state = train.start(model, optimizer, jax.random.key(0))
    first, seen = state.params, []
    for _ in range(5):
        options = {"steps": 1, "batch_size": 1}
        state, _ = train.take_steps(model, task, optimizer, state, jax.random.key(1), **options)
        seen.append(float(state.params[_nets_1997.ADDED]))
        cell, at_first = state.params["cell"]["w_x"], first["cell"]["w_x"]
        weights, weights_at_first = (p["readout"]["w"] for p in (state.params, first))
        assert (weights[1:] != weights_at_first[1:]).any()
        if len(seen) <= 3:
            np.testing.assert_array_equal(cell, at_first)
            np.testing.assert_array_equal(weights[0], weights_at_first[0])
        else:
            assert (cell != at_first).any() and (weights[0] != weights_at_first[0]).all()
    assert seen == [0, 0, 1, 1, 1]
    plain = {"w": jnp.ones(2)}
    updates, _ = optimizer.update(plain, optimizer.init(plain), plain)
    np.testing.assert_array_equal(updates["w"], [-1, -1])


@pytest.mark.slow
def test_without_recurrence_units_see_the_inputs_alone():
    """The gates and g at a step do not depend on earlier steps, so the state is a sum of what each
    step adds."""
    net = NETS["2c"]
    task = tasks.make("lags_2c", q=4)
    net = net._replace(options={"q": 4})
    model = _nets_1997.nonrecurrent_model(net, task)
    params, batch = model.init(jax.random.key(0)), task.sample(jax.random.key(1), 3)
    np.testing.assert_array_equal(params["cell"]["w_h"], 0)
    w_x = np.asarray(params["cell"]["w_x"], float)
    for row in range(3):
        xs = np.asarray(batch.xs.values[: batch.xs.lengths[row], row], float)
        gates = 1 / (1 + np.exp(-xs @ w_x))
        s = (gates[:, :2] * (2 * gates[:, 4:] - 1)).sum(axis=0)
        y = gates[-1, 2:4] * (4 / (1 + np.exp(-s)) - 2)
        expected = y @ np.asarray(params["readout"]["w"])
        np.testing.assert_allclose(model.apply(params, batch.xs)[row], expected, atol=1e-6)
    # Whatever stands in their place, and without a gradient.
    other = params | {"cell": params["cell"] | {"w_h": jnp.ones((6, 6))}}
    np.testing.assert_array_equal(model.apply(other, batch.xs), model.apply(params, batch.xs))
    gradient = jax.grad(lambda p: task.loss(model.apply(p, batch.xs), batch))(params)
    np.testing.assert_array_equal(gradient["cell"]["w_h"], 0)


@pytest.mark.slow
def test_the_last_step_of_each_row_is_read():
    net = NETS["6a"]
    task = tasks.make("temporal_order", min_length=20, max_length=24)
    model = _nets_1997.paper_model(net, task)
    params, batch = model.init(jax.random.key(3)), task.sample(jax.random.key(4), 5)
    outputs = model.apply(params, batch.xs)
    for row in range(5):
        alone = batch.xs.values[: batch.xs.lengths[row], row : row + 1]
        np.testing.assert_allclose(model.apply(params, alone)[0], outputs[row], atol=1e-6)
    gradient = jax.grad(lambda p: task.loss(model.apply(p, batch.xs), batch))(params)
    assert all(bool(jnp.any(leaf != 0)) for leaf in jax.tree.leaves(gradient))
