import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import train

PARAMS = {"a": np.array([[0.5, -1.0]], np.float32), "b": np.array(2.0, np.float32)}
GRADIENTS = [
    {"a": np.array([[3.0, -0.1]], np.float32), "b": np.array(4.0, np.float32)},
    {"a": np.array([[-0.2, 0.3]], np.float32), "b": np.array(0.1, np.float32)},
    {"a": np.array([[1.0, 0.0]], np.float32), "b": np.array(-1.0, np.float32)},
]


def run(optimizer, gradients=GRADIENTS):
    """Params after each update."""
    params, state, seen = PARAMS, optimizer.init(PARAMS), []
    for gradient in gradients:
        updates, state = optimizer.update(gradient, state, params)
        params = jax.tree.map(lambda p, u: p + np.asarray(u), params, updates)
        seen.append(params)
    return seen


def sgd(rates, gradients):
    return _by_hand(gradients, lambda n, g, p, m: (-rates[n] * g, m))


def adam(rate, gradients, decay=0.0):
    def update(n, g, p, memory):
        m, v = memory if memory is not None else (0.0, 0.0)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        step = (m / (1 - 0.9 ** (n + 1))) / (np.sqrt(v / (1 - 0.999 ** (n + 1))) + 1e-8)
        return -rate * (step + decay * p), (m, v)

    return _by_hand(gradients, update)


def momentum(rate, gradients, keep):
    def update(n, g, p, m):
        m = g + (0.0 if m is None else keep * m)
        return -rate * m, m

    return _by_hand(gradients, update)


def rmsprop(rate, gradients, keep):
    def update(n, g, p, v):
        v = (0.0 if v is None else keep * v) + (1 - keep) * g**2
        return -rate * g / np.sqrt(v + 1e-8), v

    return _by_hand(gradients, update)


def _by_hand(gradients, update):
    params, memory, seen = dict(PARAMS), dict.fromkeys(PARAMS), []
    for n, gradient in enumerate(gradients):
        for name in params:
            change, memory[name] = update(
                n, np.asarray(gradient[name], np.float64), params[name], memory[name]
            )
            params[name] = params[name] + change
        seen.append(dict(params))
    return seen


def clipped(norm):
    """``GRADIENTS``, scaled so that no norm exceeds ``norm``."""
    out = []
    for g in GRADIENTS:
        size = math.sqrt(float((g["a"] ** 2).sum() + g["b"] ** 2))
        out.append({name: leaf * min(1.0, norm / size) for name, leaf in g.items()})
    return out


def cut(limit):
    return [{k: np.clip(v, -limit, limit) for k, v in g.items()} for g in GRADIENTS]


@pytest.mark.parametrize(
    ("made", "by_hand"),
    [
        (lambda: train.optimizer("sgd", 0.1), lambda: sgd([0.1] * 3, GRADIENTS)),
        (lambda: train.optimizer("adam", 0.1), lambda: adam(0.1, GRADIENTS)),
        (lambda: train.optimizer("adamw(weight_decay=0.5)", 0.1),
         lambda: adam(0.1, GRADIENTS, 0.5)),
        (lambda: train.optimizer("momentum", 0.1), lambda: momentum(0.1, GRADIENTS, 0.9)),
        (lambda: train.optimizer("momentum(momentum=0.5)", 0.1),
         lambda: momentum(0.1, GRADIENTS, 0.5)),
        (lambda: train.optimizer("rmsprop", 0.1), lambda: rmsprop(0.1, GRADIENTS, 0.9)),
        (lambda: train.optimizer("rmsprop(decay=0.5)", 0.1), lambda: rmsprop(0.1, GRADIENTS, 0.5)),
        (lambda: train.optimizer("sgd", 0.1, clip=1.0), lambda: sgd([0.1] * 3, clipped(1.0))),
        (lambda: train.optimizer("adam", 0.1, clip=1.0), lambda: adam(0.1, clipped(1.0))),
        (lambda: train.optimizer("sgd", 0.1, clip_value=0.25), lambda: sgd([0.1] * 3, cut(0.25))),
        (lambda: train.optimizer("sgd", 0.1, warmup=2),
         lambda: sgd([0.05, 0.1, 0.1], GRADIENTS)),
        (lambda: train.optimizer("sgd", 0.1, schedule="linear", steps=4),
         lambda: sgd([0.1, 0.075, 0.05], GRADIENTS)),
    ],
)  # fmt: skip
def test_updates_are_those_written_by_hand(made, by_hand):
    for got, wanted in zip(run(made()), by_hand(), strict=True):
        for name in PARAMS:
            np.testing.assert_allclose(got[name], wanted[name], rtol=1e-5, atol=1e-6)


def test_entries_are_cut_before_the_norm_is_taken():
    both = train.optimizer("sgd", 1.0, clip_value=1.0, clip=1.0)
    first = run(both, GRADIENTS[:1])[0]
    cut = np.array([1.0, -0.1, 1.0])
    moved = np.append(PARAMS["a"] - first["a"], PARAMS["b"] - first["b"])
    np.testing.assert_allclose(moved, cut / np.linalg.norm(cut), rtol=1e-5)


def rates(count, **options):
    """The rate at each of ``count`` updates, seen in the steps of plain gradient descent."""
    optimizer = train.optimizer("sgd", 0.5, **options)

    def step(state, _):
        update, state = optimizer.update(jnp.float32(1.0), state)
        return state, -update

    return jax.lax.scan(step, optimizer.init(jnp.float32(0.0)), None, length=count)[1]


def test_schedules_have_their_values():
    cosine = [0.5 * 0.5 * (1 + math.cos(math.pi * n / 5)) for n in range(5)]
    cases = [
        ({}, [0.5] * 10),
        ({"warmup": 4}, [0.125, 0.25, 0.375] + [0.5] * 7),
        ({"schedule": "linear", "steps": 5}, [0.5, 0.4, 0.3, 0.2, 0.1, 0, 0, 0, 0, 0]),
        ({"schedule": "cosine", "steps": 5}, [*cosine, 0, 0, 0, 0, 0]),
        ({"schedule": "cosine", "steps": 7, "warmup": 2}, [0.25, 0.5, *cosine, 0, 0, 0]),
        ({"schedule": "linear", "steps": 6, "warmup": 1},
         [0.5, 0.5, 0.4, 0.3, 0.2, 0.1, 0, 0, 0, 0]),
    ]  # fmt: skip
    for options, wanted in cases:
        np.testing.assert_allclose(rates(10, **options), wanted, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"schedule": "linear", "steps": 4, "warmup": 1}])
def test_the_rate_may_be_traced_one_a_run(options):
    def updated(rate):
        optimizer = train.optimizer("rmsprop", rate, clip=1.0, **options)
        return optimizer.update(GRADIENTS[0], optimizer.init(PARAMS))[0]

    together = jax.jit(jax.vmap(updated))(jnp.array([0.1, 0.3]))
    for run_, rate in enumerate((0.1, 0.3)):
        alone = updated(rate)
        for name in PARAMS:
            np.testing.assert_allclose(together[name][run_], alone[name], rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("adamm", 0.1), {}, ValueError, r"name: .*got 'adamm' \(did you mean 'adam'\?\)"),
        (("adam(beta=1)", 0.1), {}, ValueError, "name: the option of adam: .*got 'beta'"),
        (("sgd(learning_rate=1)", 0.1), {}, ValueError, "option of sgd: .*got 'learning_rate'"),
        (("adam(b1='x')", 0.1), {}, ValueError, "name: .* that make an update, got .*b1='x'"),
        (("sgd(momentum=[1])", 0.1), {}, ValueError, r"name: .*got 'sgd\(momentum=\[1\]\)'"),
        (("adam", -0.1), {}, ValueError, "learning_rate: expected a positive number, got -0.1"),
        (("adam", math.nan), {}, ValueError, "learning_rate: .*got nan"),
        (("adam", jnp.zeros(3)), {}, ValueError, "learning_rate: .*got"),
        (("adam", 0.1), {"clip": 0.0}, ValueError, "clip: expected a positive number, got 0.0"),
        (("adam", 0.1), {"clip_value": -1.0}, ValueError, "clip_value: .*got -1.0"),
        (("adam", 0.1), {"schedule": "cosin"}, ValueError,
         r"schedule: .*got 'cosin' \(did you mean 'cosine'\?\)"),
        (("adam", 0.1), {"schedule": "cosine"}, ValueError, "steps: .*'cosine', got None"),
        (("adam", 0.1), {"schedule": "linear", "steps": 0}, ValueError, "steps: .*got 0"),
        (("adam", 0.1), {"schedule": "linear", "steps": 5, "warmup": 5}, ValueError,
         "warmup: expected fewer than steps, 5, got 5"),
        (("adam", 0.1), {"warmup": -1}, ValueError, "warmup: .*got -1"),
    ],
)  # fmt: skip
def test_bad_input_names_the_argument(arguments, options, error, message):
    with pytest.raises(error, match=message):
        train.optimizer(*arguments, **options)


def test_a_traced_rate_that_is_no_scalar_is_an_error():
    for bad in (jnp.zeros(2), jnp.zeros((), jnp.int32)):
        with pytest.raises(
            ValueError, match=(r"learning_rate: expected one floating number, got .*")
        ):
            jax.eval_shape(lambda rate: train.optimizer("adam", rate).init(PARAMS), bad)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_the_norm_of_narrow_gradients_is_taken_in_float32(dtype):
    """The sum of the squares is larger than the largest float16."""
    update = train.optimizer("sgd", 1.0, clip=4.0)
    gradient = {"w": jnp.full((100, 100), 2.0, dtype), "b": jnp.full(2, 300.0, dtype)}
    norm = math.sqrt(4 * 100**2 + 2 * 300**2)
    found, _ = update.update(gradient, update.init(gradient))
    for name, value in {"w": 2.0, "b": 300.0}.items():
        assert found[name].dtype == dtype
        np.testing.assert_allclose(found[name].astype(jnp.float32), -value * 4 / norm, rtol=0.01)
