"""``lj.nnx.Recurrent`` under the transforms of NNX, in graph mode and in tree mode."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import lstm_jax as lj
from lstm_jax.nnx.variables import values_of

B, T, D, H = 4, 6, 3, 4
ROWS = jax.random.normal(jax.random.key(1), (B, T, D))
CELL = lj.chain(lj.lstm(H), lj.residual(lj.gru(H)))
NOISY = lj.chain(lj.lstm(H), lj.dropout(lj.gru(H), 0.5))


def close(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(lambda a, e: np.testing.assert_allclose(a, e, atol=1e-5), actual, expected)


def make(cell=CELL, seed=0, in_features=D, **options):
    return lj.nnx.Recurrent(cell, in_features, rngs=nnx.Rngs(seed), **options)


def run(cell, params, rows, **options):
    return lj.unroll(cell, params, rows.swapaxes(0, 1), **options)[1].swapaxes(0, 1)


def loss_of(model, rows=ROWS):
    return jnp.sum(jnp.sin(model(rows)))


def loss_of_params(params, cell=CELL, rows=ROWS, key=None):
    return jnp.sum(jnp.sin(run(cell, params, rows, key=key)))


@pytest.fixture(params=["graph", "tree"])
def mode(request):
    graph = request.param == "graph"
    with nnx.set_graph_mode(graph), nnx.set_graph_updates(graph):
        yield request.param


def test_jit_traces_once(mode):
    traces = []

    @nnx.jit
    def call(model, rows):
        traces.append(rows.shape)
        return model(rows)

    model = make()
    for scale in (1.0, 2.0):
        close(call(model, scale * ROWS), run(CELL, lj.nnx.get_params(model), scale * ROWS))
    close(call(make(seed=1), ROWS), make(seed=1)(ROWS))
    assert len(traces) == 1


def test_grad(mode):
    model = make()
    value, gradient = nnx.value_and_grad(loss_of)(model)
    params = lj.nnx.get_params(model)
    expected, by_params = jax.value_and_grad(loss_of_params)(params)
    close(value, expected)
    found = nnx.to_pure_dict(nnx.state(gradient, nnx.Param))["params"]
    close(found, dict(enumerate(by_params)))


def test_grad_of_a_noisy_stateful_module(mode):
    model = make(NOISY, stateful=True)
    model.reset_carry((B,))
    key = nnx.clone(model.rngs)()
    params = lj.nnx.get_params(model)
    parts = nnx.split(model, nnx.Param, ...)

    @jax.jit
    @partial(jax.grad, has_aux=True)
    def gradient(weights, graph_rest):
        graph, rest = graph_rest
        rest = jax.tree.map(lambda leaf: leaf, rest)  # variables of this trace, which may change
        module = nnx.merge(graph, weights, rest)
        loss = loss_of(module)
        return loss, values_of(module.carry)

    found, carry = gradient(parts[1], (parts[0], parts[2]))
    expected = jax.grad(partial(loss_of_params, cell=NOISY, key=key))(params)
    close(nnx.to_pure_dict(found)["params"], dict(enumerate(expected)))
    state, _ = lj.unroll(NOISY, params, ROWS.swapaxes(0, 1), key=key)
    close(carry, state)


def test_grad_leaves_the_carry_and_the_count_of_the_stream():
    model = make(NOISY, stateful=True)
    model.reset_carry((B,))
    key = nnx.clone(model.rngs)()
    gradient = nnx.jit(nnx.grad(loss_of))(model)
    assert {type(leaf) for _, leaf in nnx.to_flat_state(gradient)} == {nnx.Param}
    state, _ = lj.unroll(NOISY, lj.nnx.get_params(model), ROWS.swapaxes(0, 1), key=key)
    close(values_of(model.carry), state)
    assert model.rngs.count[...] == 1


@pytest.mark.slow
def test_vmap_over_seeds(mode):
    @nnx.vmap
    def build(keys):
        return lj.nnx.Recurrent(NOISY, D, rngs=nnx.Rngs(keys))

    keys = jax.random.split(jax.random.key(3), 5)
    models = build(keys)
    assert lj.nnx.get_params(models)[0]["w_x"].shape == (5, D, 4 * H)
    ys = nnx.vmap(lambda model, rows: model(rows), in_axes=(0, None))(models, ROWS)
    for i, key in enumerate(keys):
        close(ys[i], lj.nnx.Recurrent(NOISY, D, rngs=nnx.Rngs(key))(ROWS))


def test_vmap_over_rows(mode):
    model = make()
    by_row = nnx.vmap(lambda model, row: model(row), in_axes=(None, 0))
    close(by_row(model, ROWS), model(ROWS))


def test_scan_over_layers(mode):
    keys = jax.random.split(jax.random.key(3), 3)
    layers = nnx.vmap(
        lambda key: lj.nnx.Recurrent(lj.lstm(D), D, rngs=nnx.Rngs(key))
    )(keys)  # fmt: skip

    @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
    def stack(rows, layer):
        return layer(rows)

    expected = ROWS
    for key in keys:
        expected = lj.nnx.Recurrent(lj.lstm(D), D, rngs=nnx.Rngs(key))(expected)
    close(stack(ROWS, layers), expected)


def test_scan_over_chunks_of_a_stateful_module():
    model = make(stateful=True)
    model.reset_carry((B,))
    chunks = ROWS.reshape(B, 3, 2, D).swapaxes(0, 1)
    axes = nnx.StateAxes({lj.nnx.Carry: nnx.Carry, ...: None})

    @nnx.scan(in_axes=(axes, 0), out_axes=0)
    def over_chunks(model, rows):
        return model(rows)

    ys = over_chunks(model, chunks).swapaxes(0, 1).reshape(B, T, H)
    close(ys, run(CELL, lj.nnx.get_params(model), ROWS))
    state, _ = lj.unroll(CELL, lj.nnx.get_params(model), ROWS.swapaxes(0, 1))
    close(values_of(model.carry), state)


def test_a_stateful_module_continues_under_jit(mode):
    model = make(stateful=True)
    traces = []

    @nnx.jit
    def call(model, rows):
        traces.append(rows.shape)
        return model(rows)

    for _ in range(2):
        model.reset_carry((B,))
        chunks = [call(model, ROWS[:, :3]), call(model, ROWS[:, 3:])]
        close(jnp.concatenate(chunks, axis=1), run(CELL, lj.nnx.get_params(model), ROWS))
    assert len(traces) == 1


def test_jit_may_make_the_first_carry():
    model = make(stateful=True)
    call = nnx.jit(lambda model, rows: model(rows))
    chunks = [call(model, ROWS[:, :3]), call(model, ROWS[:, 3:])]
    close(jnp.concatenate(chunks, axis=1), run(CELL, lj.nnx.get_params(model), ROWS))


@pytest.mark.slow
def test_remat(mode):
    model = make()
    again = nnx.remat(lambda model, rows: model(rows))
    close(nnx.grad(lambda m: jnp.sum(jnp.sin(again(m, ROWS))))(model), nnx.grad(loss_of)(model))


@pytest.mark.slow
def test_the_optimizer_trains_it_as_optax_does(mode):
    model = make()
    optimizer = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)
    params = lj.nnx.get_params(model)
    plain = optax.adam(0.1)
    state = plain.init(params)

    @nnx.jit
    def step(model, optimizer):
        gradient = nnx.grad(loss_of)(model)
        optimizer.update(model, gradient)

    for _ in range(3):
        step(model, optimizer)
        updates, state = plain.update(jax.grad(loss_of_params)(params), state)
        params = optax.apply_updates(params, updates)
    close(lj.nnx.get_params(model), params)


def test_split_and_merge(mode):
    model = make(NOISY, stateful=True)
    model.reset_carry((B,))
    model(ROWS)
    graph, params, carry, rest = nnx.split(model, nnx.Param, lj.nnx.Carry, ...)
    assert len(jax.tree.leaves(params)) == 7 and len(jax.tree.leaves(carry)) == 4
    assert {type(leaf) for _, leaf in nnx.to_flat_state(rest)} == {nnx.RngCount, nnx.RngKey}
    other = nnx.merge(graph, params, carry, rest)
    close(jax.jit(lambda state, rows: nnx.merge(graph, *state)(rows))((params, carry, rest), ROWS),
          nnx.clone(model)(ROWS))  # fmt: skip
    assert other.cell == NOISY and other.carry_batch_shape == (B,)
    fresh = make(NOISY, seed=5, stateful=True)
    fresh.reset_carry((B,))
    nnx.update(fresh, nnx.state(model))
    close(fresh(ROWS), model(ROWS))


def test_orbax_restores_it(tmp_path):
    model = make(NOISY, stateful=True)
    model.reset_carry((B,))
    model(ROWS)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "model", nnx.split(model)[1])
        checkpointer.wait_until_finished()

    def build():
        fresh = make(NOISY, seed=5, stateful=True)
        fresh.reset_carry((B,))
        return fresh

    graph, shapes = nnx.split(nnx.eval_shape(build))
    with ocp.StandardCheckpointer() as checkpointer:
        restored = nnx.merge(graph, checkpointer.restore(tmp_path / "model", shapes))
    for _ in range(2):
        close(restored(ROWS), model(ROWS))


METADATA = {"w_x": {"out_sharding": (None, "model")}, "1.w_h": {"out_sharding": ("model", None)}}


@pytest.mark.devices(4)
def test_sharding_annotations():
    mesh = jax.make_mesh((2, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    with jax.set_mesh(mesh):
        model = nnx.jit(lambda: make(param_metadata=METADATA))()
        specs = nnx.to_pure_dict(nnx.get_partition_spec(nnx.state(model, nnx.Param)))["params"]
        assert specs[0] == {
            "b": PartitionSpec(), "w_h": PartitionSpec(), "w_x": PartitionSpec(None, "model"),
        }  # fmt: skip
        assert specs[1]["w_h"] == PartitionSpec("model", None)
        rows = jax.device_put(ROWS, NamedSharding(mesh, PartitionSpec("data")))
        optimizer = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)

        @nnx.jit
        def step(model, optimizer, rows):
            value, gradient = nnx.value_and_grad(loss_of)(model, rows)
            optimizer.update(model, gradient)
            return value

        value = step(model, optimizer, rows)
        params = lj.nnx.get_params(model)
    split = NamedSharding(mesh, PartitionSpec(None, "model"))
    assert params[0]["w_x"].sharding.is_equivalent_to(split, 2)
    assert params[0]["w_x"].addressable_shards[0].data.shape == (D, 2 * H)

    alone = make()
    other = nnx.Optimizer(alone, optax.adam(0.1), wrt=nnx.Param)
    close(np.asarray(value), np.asarray(step(alone, other, ROWS)))
    jax.tree.map(lambda a, e: np.testing.assert_allclose(a, e, atol=1e-4), params,
                 lj.nnx.get_params(alone))  # fmt: skip


@pytest.mark.devices(4)
def test_rows_on_an_explicit_mesh():
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Explicit,))
    model = make(stateful=True, return_carry=True)
    expected = make(return_carry=True)(ROWS)
    with jax.set_mesh(mesh):
        graph, state = nnx.split(model)
        model = nnx.merge(graph, jax.device_put(state, NamedSharding(mesh, PartitionSpec())))
        rows = jax.device_put(ROWS, NamedSharding(mesh, PartitionSpec("data")))
        carry, ys = nnx.jit(lambda model, rows: model(rows))(model, rows)
        assert jax.typeof(ys).sharding.spec[0] == "data"
        assert jax.typeof(carry[0].h).sharding.spec[0] == "data"
        close(jax.device_get((carry, ys)), jax.device_get(expected))


def test_its_program_does_the_work_of_unroll():
    """As a stand-in for time, which tests cannot measure: ``benchmarks.studies.nnx`` does."""
    model = make(lj.lstm(8), time_major=True)
    graph, state = nnx.split(model)
    xs = jnp.ones((20, B, D))

    def through_module(state, xs):
        return jnp.sum(nnx.merge(graph, state)(xs) ** 2)

    def through_unroll(params, xs):
        return jnp.sum(lj.unroll(model.cell, params, xs)[1] ** 2)

    def work(loss, weights):
        compiled = jax.jit(jax.value_and_grad(loss)).lower(weights, xs).compile()
        found = compiled.cost_analysis()
        return found["flops"], found["transcendentals"], found["bytes accessed"]

    expected = work(through_unroll, lj.nnx.get_params(model))
    assert work(through_module, state) == pytest.approx(expected, rel=0.01)
