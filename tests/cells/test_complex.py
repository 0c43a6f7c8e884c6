"""Cells with a complex state, and recurrences that keep the norm."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.cells import unitary_matrices
from lstm_jax.cells.complex_numbers import COMPLEX_ACTIVATIONS
from tests.conformance import close, draw
from tests.reference import numpy_complex as reference
from tests.selection import mostly_slow

T, B, D, H, N = 7, 3, 2, 4, 5


def case(cell, function, **options):
    return cell, partial(function, **options)


GRU, LSTM, URNN = reference.complex_gru, reference.complex_lstm, reference.urnn
CELLS = {
    "complex_gru": case(lj.complex_gru(H, state_size=N), GRU,
                        recurrence="cayley", activation="modrelu"),
    "complex_gru_free": case(
        lj.complex_gru(H, state_size=N, recurrence="free", activation="hirose"), GRU,
        recurrence="free", activation="hirose"),
    "complex_gru_fft": case(lj.complex_gru(H, state_size=N, recurrence="fft"), GRU,
                            recurrence="fft", activation="modrelu"),
    "complex_lstm": case(lj.complex_lstm(H, state_size=N), LSTM,
                         recurrence="free", activation="hirose"),
    "complex_lstm_unitary": case(
        lj.complex_lstm(H, state_size=N, recurrence="rotations", activation="modrelu"), LSTM,
        recurrence="rotations", activation="modrelu"),
    "urnn": case(lj.urnn(H, state_size=N), URNN, recurrence="fft"),
    "eurnn": case(lj.urnn(H, state_size=N, recurrence="rotations", capacity=3), URNN,
                  recurrence="rotations", capacity=3),
    "urnn_cayley": case(lj.urnn(H, state_size=N, recurrence="cayley"), URNN, recurrence="cayley"),
    "scornn": case(lj.scornn(N, negatives=2), reference.scornn, negatives=2),
    "associative_lstm": case(lj.associative_lstm(H, 3, state_size=N), reference.associative_lstm),
}  # fmt: skip


def params_of(cell, input_size=D):
    shapes = jax.eval_shape(lambda key: cell.init(key, input_size, jnp.float64), jax.random.key(0))
    return draw(shapes, 1)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", mostly_slow(CELLS, ("complex_gru", "urnn", "associative_lstm")))
def test_outputs_and_states_equal_numpy(name):
    cell, function = CELLS[name]
    params = params_of(cell)
    xs = draw(jnp.zeros((T, B, D)), 2)
    state = draw(jax.eval_shape(lambda p: cell.initial_state(p, (B,)), params), 3)
    final, ys = jax.jit(partial(lj.unroll, cell))(params, xs, state)
    expected = function(params, xs, *(np.asarray(leaf) for leaf in state))
    close((final._asdict(), ys), expected)


# --- unitary matrices --------------------------------------------------------------------------


def matrix_of(matrix, params, units):
    """The complex matrix as columns, from its products with the unit vectors."""
    prepared = matrix.prepare(params)
    columns = matrix.apply(prepared, jnp.eye(units, 2 * units))
    return jnp.split(columns, 2, axis=-1)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", mostly_slow(unitary_matrices.UNITARY_MATRICES, ("cayley",)))
def test_the_recurrence_is_unitary_and_keeps_norms_over_1000_steps(name):
    units = 9
    matrix = unitary_matrices.UNITARY_MATRICES[name](units)
    h = draw(jnp.zeros((2, 2 * units)), 2)

    # Drawn apart: inside one program, compilers may recompute the float32 draws in another way.
    params = jax.jit(lambda key: matrix.init(key, jnp.float64))(jax.random.key(1))

    @jax.jit
    def run(params):
        prepared = matrix.prepare(params)
        last = jax.lax.fori_loop(0, 1000, lambda _, h: matrix.apply(prepared, h), h)
        return last, matrix_of(matrix, params, units)

    last, (real, imag) = run(params)
    w = np.asarray(real + 1j * imag).T
    np.testing.assert_allclose(w @ w.conj().T, np.eye(units), atol=1e-12)
    norms = [np.linalg.norm(np.asarray(state), axis=-1) for state in (h, last)]
    np.testing.assert_allclose(norms[1], norms[0], rtol=1e-6)
    plain = {name: np.asarray(leaf) for name, leaf in params.items()}
    np.testing.assert_allclose(w, reference.unitary_matrix(plain, name, units), atol=1e-12)


@pytest.mark.slow
def test_norms_are_kept_in_float32_by_the_urnn():
    """Without inputs, the whole cell keeps the norm, since modReLU begins as the identity.

    Rounding of the diagonals changes the norm by about 1e-8 per step.
    """
    cell = lj.urnn(4, state_size=32)
    state = lj.ComplexState(*jax.random.normal(jax.random.key(0), (2, 3, 32)))

    @jax.jit
    def run(key):
        return lj.unroll(cell, cell.init(key, 1), jnp.zeros((1000, 3, 1)), state)[0]

    last = run(jax.random.key(1))
    before, after = (np.linalg.norm(np.hstack(jax.device_get(s)), axis=-1) for s in (state, last))
    np.testing.assert_allclose(after, before, rtol=1e-4)


@pytest.mark.usefixtures("x64")
@pytest.mark.slow
def test_the_initial_cayley_matrix_turns_pairs():
    """Eigenvalues have phases of up to 90 degrees, and W is a matrix of 2 by 2 blocks."""
    matrix = unitary_matrices.cayley(6)
    params = jax.jit(lambda key: matrix.init(key, jnp.float64))(jax.random.key(0))
    w = reference.cayley_matrix({"skew": np.asarray(params["skew"]), "phase": np.zeros(6)})
    assert np.max(np.abs(np.angle(np.linalg.eigvals(w)))) <= np.pi / 2 + 1e-6
    assert not np.any(np.abs(w[np.arange(6)[:, None] // 2 != np.arange(6) // 2]) > 1e-12)


@pytest.mark.slow
def test_scornn_starts_orthogonal_with_half_of_its_signs_negative():
    cell = lj.scornn(6)
    params = jax.jit(lambda key: cell.init(key, 2))(jax.random.key(0))
    w = np.asarray(jax.jit(lambda p: cell.prepare(p, (), None)["w_h"])(params))
    np.testing.assert_allclose(w @ w.T, np.eye(6), atol=1e-6)
    assert np.sum(w[:4, :4] @ w[:4, :4].T - np.eye(4)) < 1e-5
    other = lj.scornn(6, negatives=0).prepare(params, (), None)["w_h"]
    np.testing.assert_allclose(w, np.r_[1, 1, 1, -1, -1, -1][:, None] * other, atol=1e-6)


# --- complex arithmetic --------------------------------------------------------------------------


@pytest.mark.usefixtures("x64")
def test_gradients_equal_those_of_complex_arithmetic():
    """The complex GRU, written with JAX's complex numbers, has the same gradients."""
    cell = lj.complex_gru(3, state_size=2, recurrence="free")
    params = params_of(cell)
    xs = draw(jnp.zeros((4, D)), 2)
    state = lj.ComplexState(jnp.array([0.3, -0.2]), jnp.array([0.1, 0.7]))

    def matrices(packed):
        blocks = jnp.split(packed, 3, axis=-1)
        return [jax.lax.complex(*jnp.split(block, 2, axis=-1)) for block in blocks]

    def gate(z, mix):
        a = jax.nn.sigmoid(mix)
        return jax.nn.sigmoid(a * z.real + (1 - a) * z.imag)

    def by_complex_numbers(params, xs, state):
        h = state.real + 1j * state.imag
        v, w, b = (matrices(params[name]) for name in ("w_x", "w_h", "b"))
        ys = []
        for x in xs:
            reset, update = (gate(x @ v[k] + h @ w[k] + b[k], params["mix"][k]) for k in range(2))
            z = x @ v[2] + (reset * h) @ w[2] + b[2]
            new = jax.nn.relu(jnp.abs(z) + params["b_mod"]) * z / jnp.abs(z)
            h = update * new + (1 - update) * h
            ys.append(jnp.concatenate([h.real, h.imag]) @ params["w_y"] + params["b_y"])
        return jnp.stack(ys)

    def gradients(run):
        loss = lambda *args: jnp.sum(jnp.sin(run(*args)))  # noqa: E731
        return jax.jit(jax.value_and_grad(loss, (0, 1, 2)))(params, xs, state)

    close(gradients(lambda *args: lj.unroll(cell, *args)[1]), gradients(by_complex_numbers))


@pytest.mark.parametrize("name", ["modrelu", "hirose"])
def test_activations_have_finite_derivatives_at_zero(name):
    apply = COMPLEX_ACTIVATIONS[name].apply

    @jax.jit
    def jacobian(value):
        return jax.jacobian(lambda z: apply(z, value))(jnp.zeros(2))

    expected = {"modrelu": {0.0: 1.0, -0.5: 0.0}, "hirose": {0.5: 4.0, 2.0: 0.25}}[name]
    for value, slope in expected.items():
        np.testing.assert_allclose(jacobian(jnp.array([value])), slope * np.eye(2), rtol=1e-6)
