"""A batch over several devices gives the numbers of one device, with no exchange inside the
loop."""

import itertools
import os
import re
import subprocess
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

import lstm_jax as lj
from tests.conformance import close, draw
from tests.selection import mostly_slow

pytestmark = pytest.mark.devices(4)

T, B, D = 6, 8, 3
LENGTHS = np.array([6, 0, 3, 1, 6, 2, 5, 4])
KEYS = jax.random.split(jax.random.key(5), B)

CELLS = {
    "lstm": lj.lstm(4),
    "gru": lj.gru(4),
    "chain": lj.chain(lj.lstm(4, peephole=True), lj.gru(3)),
    "linear": lj.bidirectional(lj.min_lstm(3), lj.lru(4)),
}
NOISY = lj.chain(
    lj.zoneout(lj.lstm(4), 0.3), lj.dropout(lj.gru(3), 0.4), lj.drop_connect(lj.gru(2), 0.3)
)


class Batch(NamedTuple):
    xs: jax.Array
    targets: jax.Array
    lengths: jax.Array


AXES = Batch(xs=1, targets=0, lengths=0)


def data(cell):
    params = draw(cell.init(jax.random.key(0), D, jnp.float64), 1)
    xs, targets = draw((jnp.zeros((T, B, D)), jnp.zeros((B, cell.size))), 2)
    return params, Batch(xs, targets, jnp.asarray(LENGTHS))


def loss_of(cell, reduce):
    def loss(params, batch):
        _, ys = lj.unroll(cell, params, batch.xs, lengths=batch.lengths)
        return getattr(jnp, reduce)((ys - batch.targets) ** 2) + getattr(jnp, reduce)(ys[-1] ** 3)

    return loss


def on(count):
    return jax.devices()[:count]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "name, reduce",
    mostly_slow(
        itertools.product(CELLS, ["mean", "sum"]),
        [("lstm", "mean"), ("linear", "sum")],
    ),
)
def test_value_and_gradients_are_those_of_the_whole_batch(name, reduce):
    params, batch = data(CELLS[name])
    loss = loss_of(CELLS[name], reduce)
    expected = jax.jit(jax.value_and_grad(loss))(params, batch)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(expected))
    for count in (1, 2, 4) if name == "lstm" else (4,):
        spread = lj.data_parallel(loss, batch_axes=(None, AXES), reduce=reduce, devices=on(count))
        close(spread(params, batch), expected, 1e-12, what=str(count))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("reduce", ["mean", "sum"])
def test_gradients_of_what_is_spread_are_those_of_the_whole_batch(reduce):
    cell = CELLS["lstm"]
    params, batch = data(cell)
    state = draw(cell.initial_state(params, (B,)), 3)

    def loss(xs, params, state):
        state, ys = lj.unroll(cell, params, xs, state, lengths=batch_lengths(xs))
        return getattr(jnp, reduce)(jnp.sum(ys**2, (0, 2)) + jnp.sum(jnp.sin(state.c), 1))

    def batch_lengths(xs):  # lengths of a row, from the row
        return jnp.where(xs[0, :, 0] > 0, T, T - 2)

    argnums = (2, 0, 1)
    expected = jax.jit(jax.value_and_grad(loss, argnums))(batch.xs, params, state)
    spread = lj.data_parallel(loss, argnums, batch_axes=[1, None, 0], reduce=reduce)
    got = spread(batch.xs, params, state)
    close(got, expected)
    assert isinstance(got[1][0], lj.LSTMState)
    rows = {shard.data.shape for shard in got[1][1].addressable_shards}
    assert rows == {(T, B // len(jax.devices()), D)}


@pytest.mark.usefixtures("x64")
def test_a_tuple_of_one_argument_gives_a_tuple():
    params, batch = data(CELLS["gru"])
    loss = loss_of(CELLS["gru"], "mean")
    value, alone = lj.data_parallel(loss, batch_axes=(None, AXES))(params, batch)
    same, gradients = lj.data_parallel(loss, (0,), batch_axes=(None, AXES))(params, batch)
    close((same, gradients), (value, (alone,)))


@pytest.mark.usefixtures("x64")
def test_a_masked_mean_as_the_docstring_says():
    cell = CELLS["gru"]
    params, batch = data(cell)

    def loss(params, batch, steps):
        _, ys = lj.unroll(cell, params, batch.xs, lengths=batch.lengths)
        return jnp.sum(ys**2) / steps

    steps = jnp.sum(batch.lengths).astype(float)
    expected = jax.jit(jax.value_and_grad(loss))(params, batch, steps)
    spread = lj.data_parallel(loss, batch_axes=(None, AXES, None), reduce="sum")
    close(spread(params, batch, steps), expected)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_noise_of_a_key_for_each_device():
    """As the docstring says of ``keys[0]``: each device draws for its rows as if they were the
    whole batch."""
    params, batch = data(NOISY)

    def loss(params, xs, keys):
        return jnp.sum(lj.unroll(NOISY, params, xs, key=keys[0])[1] ** 2)

    whole = jax.jit(jax.value_and_grad(loss))
    half = B // 2
    parts = [whole(params, batch.xs[:, i : i + half], KEYS[i:]) for i in (0, half)]
    spread = lj.data_parallel(loss, batch_axes=(None, 1, 0), reduce="sum", devices=on(2))
    close(spread(params, batch.xs, KEYS), jax.tree.map(jnp.add, *parts))
    assert abs(parts[0][0] - whole(params, batch.xs[:, :half], KEYS[half:])[0]) > 1e-3


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_noise_of_a_key_for_each_row_is_that_of_one_device():
    params, batch = data(NOISY)

    def row(params, xs, key):
        return jnp.sum(lj.unroll(NOISY, params, xs, key=key)[1] ** 2)

    def loss(params, xs, keys):
        return jnp.mean(jax.vmap(row, (None, 1, 0))(params, xs, keys))

    expected = jax.jit(jax.value_and_grad(loss))(params, batch.xs, KEYS)
    for count in (2, 4):
        spread = lj.data_parallel(loss, batch_axes=(None, 1, 0), devices=on(count))
        close(spread(params, batch.xs, KEYS), expected, what=str(count))


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_a_whole_key_gives_each_device_the_same_noise():
    params, batch = data(NOISY)

    def loss(params, xs, key):
        return jnp.sum(lj.unroll(NOISY, params, xs, key=key)[1] ** 2)

    xs = jnp.concatenate([batch.xs[:, :4]] * 2, 1)
    value, _ = jax.jit(jax.value_and_grad(loss))(params, xs[:, :4], KEYS[0])
    spread = lj.data_parallel(loss, batch_axes=(None, 1, None), reduce="sum", devices=on(2))
    np.testing.assert_allclose(spread(params, xs, KEYS[0])[0], 2 * value, rtol=1e-12)


# --- The compiled program. ---------------------------------------------------------------------

EXCHANGES = ("all-reduce", "all-gather", "all-to-all", "reduce-scatter", "collective-")


def exchanges(text):
    """Names of the exchanges between devices in an HLO text: ``(inside loops, outside)``."""
    bodies, callees, found = set(), {}, {}
    name = None
    for line in text.splitlines():
        head = re.match(r"(?:ENTRY )?%?([\w.\-]+) .*\{$", line)
        if head:
            name = head.group(1)
            callees[name], found[name] = set(), []
        elif name is not None:
            for kind, others in re.findall(r"(\w+)=\{?(%[\w.\-]+(?:, %[\w.\-]+)*)", line):
                targets = {other.strip(" %") for other in others.split(",")}
                callees[name] |= targets
                if kind in ("body", "condition") and " while(" in line:
                    bodies |= targets
            op = re.search(r"= .*? ([\w\-]+)\(", line)
            if op and op.group(1).startswith(EXCHANGES):
                found[name].append(op.group(1))
    inside, left = set(), list(bodies)
    while left:
        name = left.pop()
        if name in callees and name not in inside:
            inside.add(name)
            left += callees[name]
    assert bodies and bodies <= set(callees), "no loop was found, or it was not understood"
    within = [op for name in inside for op in found[name]]
    return within, [op for name in found if name not in inside for op in found[name]]


def compiled(function, *args):
    return jax.jit(function).lower(*args).compile().as_text()


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "name, options",
    mostly_slow(
        itertools.product(CELLS, [{}, {"method": "scan"}, {"checkpoint_every": 2}]),
        [
            ("lstm", {}),
            ("gru", {"method": "scan"}),
            ("chain", {"checkpoint_every": 2}),
            ("linear", {}),
        ],
    ),
    ids=str,
)
def test_devices_exchange_nothing_inside_the_loop(name, options):
    cell = CELLS[name]
    params, batch = data(cell)

    def loss(params, readout, batch):
        _, ys = lj.unroll(cell, params, batch.xs, lengths=batch.lengths, **options)
        # A readout in a loop of the user's own, over params that JAX takes to be whole.
        total, _ = jax.lax.scan(lambda total, y: (total + y @ readout, None), 0 * ys[0], ys)
        return jnp.mean(ys**2) + jnp.mean(total**2)

    readout = jnp.eye(cell.size)
    spread = lj.data_parallel(loss, (0, 1), batch_axes=(None, None, AXES), devices=on(2))
    inside, outside = exchanges(compiled(spread, params, readout, batch))
    assert inside == [] and outside


def test_an_exchange_inside_the_loop_would_be_seen():
    """The test above can fail: it finds the exchange in a program that sums over devices at each
    step."""
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,), devices=on(2))

    def bad(w, xs):
        def body(total, x):
            return total + jax.lax.psum(jnp.sum(jnp.tanh(x @ w)), "batch"), None

        return jax.lax.scan(body, jnp.zeros(()), xs)[0]

    rows = PartitionSpec(None, "batch")
    spread = jax.shard_map(bad, mesh=mesh, in_specs=(PartitionSpec(), rows),
                           out_specs=PartitionSpec())  # fmt: skip
    inside, outside = exchanges(compiled(spread, jnp.eye(D), jnp.ones((T, B, D))))
    assert inside == ["all-reduce"] and outside == []

    def loss(w, xs):  # and the one that JAX's derivative of whole weights writes by itself
        def body(total, x):
            return total + jnp.sum(jnp.tanh(x @ w)), None

        return jax.lax.scan(body, 0 * xs[0, 0, 0], xs)[0]

    spread = jax.shard_map(jax.grad(loss), mesh=mesh, in_specs=(PartitionSpec(), rows),
                           out_specs=PartitionSpec())  # fmt: skip
    assert exchanges(compiled(spread, jnp.eye(D), jnp.ones((T, B, D))))[0]
    free = lj.data_parallel(loss, batch_axes=(None, 1), reduce="sum", devices=on(2))
    inside, outside = exchanges(compiled(free, jnp.eye(D), jnp.ones((T, B, D))))
    assert inside == [] and outside


# --- Use. --------------------------------------------------------------------------------------


def test_one_trace_for_one_shape():
    """Arrays on one device, NumPy arrays and the results of an earlier call run the same
    program."""
    cell, traces = CELLS["gru"], []
    params, xs = cell.init(jax.random.key(0), D), jnp.ones((T, B, D))

    def loss(params, xs):
        traces.append(xs.shape)
        return jnp.mean(lj.unroll(cell, params, xs)[1] ** 2)

    spread = lj.data_parallel(loss, batch_axes=(None, 1))
    value, gradient = spread(jax.device_put(params, jax.devices()[1]), xs)
    params = jax.tree.map(lambda p, g: np.asarray(p) - 0.1 * g, params, gradient)
    after, _ = spread(params, np.asarray(xs))
    assert after < value and len(traces) == 1, traces
    spread(params, xs[:, :4])
    assert len(traces) == 2


def test_it_trains_as_the_docstring_says():
    cell = CELLS["lstm"]
    params, optimizer = cell.init(jax.random.key(0), D), optax.adam(0.05)
    xs = jax.random.normal(jax.random.key(1), (T, B, D))
    targets = jnp.tanh(jnp.sum(xs, (0, 2)))[:, None] * jnp.ones(cell.size)

    def loss(params, xs, targets):
        _, ys = lj.unroll(cell, params, xs)
        return jnp.mean((ys[-1] - targets) ** 2)

    def trained(value_and_grad):
        @jax.jit
        def step(params, opt_state, xs, targets):
            value, gradient = value_and_grad(params, xs, targets)
            updates, opt_state = optimizer.update(gradient, opt_state, params)
            return optax.apply_updates(params, updates), opt_state, value

        now, opt_state, values = params, optimizer.init(params), []
        for _ in range(8):
            now, opt_state, value = step(now, opt_state, xs, targets)
            values.append(value)
        return values

    values = trained(lj.data_parallel(loss, batch_axes=(None, 1, 0)))
    np.testing.assert_allclose(values, trained(jax.value_and_grad(loss)), rtol=1e-4)
    assert values[-1] < 0.9 * values[0]


def test_one_device_is_where_it_is_asked_for():
    def loss(w, xs):
        return jnp.mean(jnp.tanh(xs @ w))

    last = jax.devices()[-1]
    value, gradient = lj.data_parallel(loss, batch_axes=(None, 0), devices=[last])(
        jnp.eye(D), jnp.ones((5, D))
    )
    assert value.devices() == gradient.devices() == {last}


# --- Bad input. --------------------------------------------------------------------------------


def mean(params, xs, targets):
    return jnp.mean((xs @ params - targets[:, None]) ** 2)


def call(args=None, loss=mean, argnums=0, **options):
    options = {"batch_axes": (None, 1, 0), "devices": on(4), **options}
    args = (jnp.ones((D, 2)), jnp.ones((T, B, D)), jnp.ones(B)) if args is None else args
    return lj.data_parallel(loss, argnums, **options)(*args)


PARAMS, XS, TARGETS = jnp.ones((D, 2)), jnp.ones((T, B, D)), jnp.ones(B)

BAD = {
    "a batch that the devices do not divide": (
        lambda: call((PARAMS, jnp.ones((T, 6, D)), jnp.ones(6))),
        ValueError,
        "xs: expected a multiple of 4 rows along axis 1, the number of devices, got 6",
    ),
    "batches that disagree": (
        lambda: call((PARAMS, XS, jnp.ones(4))),
        ValueError,
        "targets: expected 8 rows along axis 0, as xs has, got 4",
    ),
    "a field that disagrees": (
        lambda: call(
            (PARAMS, Batch(XS, TARGETS, jnp.ones(4))),
            lambda params, batch: jnp.mean(params),
            batch_axes=(None, AXES),
        ),
        ValueError,
        r"batch\.lengths: expected 8 rows along axis 0, as batch\.xs has, got 4",
    ),
    "an axis too many": (
        lambda: call(batch_axes=(None, 1, 1)),
        ValueError,
        r"batch_axes: expected an axis of targets, which has shape \(8,\), or None, got 1",
    ),
    "an entry too few": (
        lambda: call(batch_axes=(None, 1)),
        ValueError,
        "batch_axes: expected 3 entries, one per argument, got 2",
    ),
    "another tree": (
        lambda: call(batch_axes=(None, {"a": 1}, 0)),
        ValueError,
        r"batch_axes: expected a tree prefix of xs, .*got .*'a'",
    ),
    "no batch": (
        lambda: call(batch_axes=(None, None, None)),
        ValueError,
        r"batch_axes: expected an axis for at least one argument, got \(None, None, None\)",
    ),
    "an empty batch": (
        lambda: call((PARAMS, None, None)),
        ValueError,
        "batch_axes: expected an axis of at least one array, got none",
    ),
    "a negative axis": (
        lambda: call(batch_axes=(None, -2, 0)),
        ValueError,
        "batch_axes: expected axes of 0 or more, or None, got -2",
    ),
    "an axis by name": (
        lambda: call(batch_axes=(None, "batch", 0)),
        ValueError,
        "batch_axes: expected axes of 0 or more, or None, got 'batch'",
    ),
    "one axis for all": (
        lambda: call(batch_axes=1),
        TypeError,
        r"batch_axes: expected a tuple .* such as \(None, 1\), got 1",
    ),
    "an unknown reduction": (
        lambda: call(reduce="avg"),
        ValueError,
        "reduce: expected one of mean, sum, got 'avg'.*",
    ),
    "a loss a row": (
        lambda: call(loss=lambda params, xs, targets: targets),
        ValueError,
        r"loss: expected a scalar array as its result, got shape \(2,\)",
    ),
    "a loss with more": (
        lambda: call(loss=lambda *args: (mean(*args), 0)),
        ValueError,
        "loss: expected a scalar array as its result, got ",
    ),
    "an argument that is none": (
        lambda: call(argnums=3),
        ValueError,
        "argnums: expected numbers from 0 to 2, got 3",
    ),
    "no argument": (
        lambda: call(argnums=()),
        ValueError,
        r"argnums: expected at least one argument, got \(\)",
    ),
    "no devices": (
        lambda: call(devices=[]),
        ValueError,
        r"devices: expected one or more, each once, got \[\]",
    ),
    "a device twice": (
        lambda: call(devices=[jax.devices()[0]] * 2),
        ValueError,
        "devices: expected one or more, each once, got ",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_names_the_argument(what):
    bad, error, message = BAD[what]
    with pytest.raises(error, match=message):
        bad()


# --- Cores as devices. -------------------------------------------------------------------------


def test_cores_become_devices_before_jax_is_used():
    program = """
import os, jax, lstm_jax as lj
assert lj.use_cpu_cores() == len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
assert lj.use_cpu_cores(3) == 3 == len(jax.devices())
assert lj.use_cpu_cores(3) == 3
lj.use_cpu_cores(2)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "RuntimeError: count: expected 3, the number of CPU devices, since JAX is already in use, "
        "got 2; call use_cpu_cores before the first array and jax.devices()"
    )


def test_cores_are_counted():
    with pytest.raises(ValueError, match="count: expected a positive integer, got 0"):
        lj.use_cpu_cores(0)
    assert lj.use_cpu_cores(len(jax.devices())) == len(jax.devices())
