"""The laws that every cell obeys, numbered 1 to 6, each a function of one case.

``tests/test_conformance.py`` tests every registered cell and every wrapper against all laws;
``check_laws(Case(my_cell))`` does so for a cell of your own.

Everything is float64 unless a law says otherwise, so that agreement means agreement to 1e-12. Most
of the time is spent compiling, so the laws share programs: lengths and resets are arguments of a
program, with neutral values in the laws that are not about them.
"""

import copy
import functools
import pickle
import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import lstm_jax as lj
from lstm_jax.core import recipes
from lstm_jax.core.steps import apply_gates, input_product
from lstm_jax.unrolling.methods import METHODS
from lstm_jax.wrappers.shapes import only_input_size
from tests.cases import Case

T, B = 6, 4
HALF = T // 2
LENGTHS = np.array([6, 0, 4, 1])
RESETS = np.array([[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 1, 0], [1, 0, 0, 0], [0, 0, 1, 0],
                   [1, 0, 1, 0]], bool)  # fmt: skip
KEY = jax.random.key(0)
ALL_STEPS, NO_RESETS = np.full(B, T), np.zeros((T, B), bool)


class Args(NamedTuple):
    """The arguments of a program, which is differentiated with respect to all but the last two."""

    params: Any
    xs: jax.Array
    state: Any
    lengths: Any = ALL_STEPS
    resets: Any = NO_RESETS


class Outcome(NamedTuple):
    """The results of a program: final state, outputs, a loss computed from them, and its
    gradients."""

    state: Any
    ys: jax.Array
    loss: jax.Array
    d_params: Any
    d_xs: jax.Array
    d_state: list


def is_float(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def floats_of(tree: Any) -> list:
    return [leaf for leaf in jax.tree.leaves(tree) if is_float(leaf)]


def with_floats(tree: Any, floats: list) -> Any:
    """``tree`` with its floating leaves replaced by ``floats``."""
    values = iter(floats)
    return jax.tree.map(lambda leaf: next(values) if is_float(leaf) else leaf, tree)


def draw(like: Any, seed: int, dtype: Any = jnp.float64) -> Any:
    """A copy of ``like`` with distinct, nonzero random values in its floating leaves."""
    rng = np.random.default_rng(seed)
    drawn = [jnp.asarray(0.5 * rng.normal(size=leaf.shape), dtype) for leaf in floats_of(like)]
    return with_floats(like, drawn)


def arguments(case: Case, dtype: Any = jnp.float64, **given: Any) -> Args:
    """Random params, inputs and initial state for a case; ``given`` replaces fields."""
    params = draw(case.cell.init(jax.random.key(0), case.input_size, dtype), 1, dtype)
    xs = draw(jnp.zeros((T, B, *case.cell.grid.inputs, case.input_size)), 2, dtype)
    return Args(params, xs, draw(case.cell.initial_state(params, (B,)), 3, dtype))._replace(**given)


def weighted_sum(tree: Any) -> Any:
    """The sum of all floating values of ``tree``, each with a different weight."""
    total: Any = 0.0
    for i, leaf in enumerate(floats_of(tree)):
        weights = np.cos(1.0 + i + np.arange(leaf.size)).astype(leaf.dtype)
        total = total + jnp.vdot(weights.reshape(leaf.shape), jnp.sin(leaf))
    return total


def forward(case: Case, *, masked: bool = True, **options: Any) -> Callable[[Args], tuple]:
    """``args -> (state, ys)``; lengths and resets are passed only if ``masked``."""

    def run(args: Args) -> tuple:
        given = {"lengths": args.lengths, "resets": args.resets} if masked else {}
        return lj.unroll(
            case.cell, args.params, args.xs, args.state, key=case.key, **given, **options
        )

    return run


TRACES: dict[tuple, list] = {}


def program(case: Case, **options: Any) -> Callable[[Args], Outcome]:
    """The compiled forward and backward pass of a case, compiled once."""
    given = {name: value for name, value in options.items() if value is not None}
    return _program(case, **dict(sorted(given.items())))


@functools.cache
def _program(case: Case, **options: Any) -> Callable[[Args], Outcome]:
    run = forward(case, **options)
    traces = TRACES.setdefault((case, *options.items()), [])

    def loss(params, xs, floats, args):
        state, ys = run(args._replace(params=params, xs=xs, state=with_floats(args.state, floats)))
        return weighted_sum((state, ys)), (state, ys)

    @jax.jit
    def both(args: Args) -> Outcome:
        traces.append(jax.tree.map(jnp.shape, args))
        grad = jax.value_and_grad(loss, (0, 1, 2), has_aux=True)
        (value, (state, ys)), grads = grad(args.params, args.xs, floats_of(args.state), args)
        return Outcome(state, ys, value, *grads)

    return both


def close(actual: Any, expected: Any, tolerance: float = 1e-12, what: str = "") -> None:
    """Checks that two trees have the same values, up to ``tolerance``."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected), what
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(actual), jax.tree.leaves(expected), strict=True
    ):
        where = f"{what} {jax.tree_util.keystr(path)}"
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=where)


def poison(xs: jax.Array, padding: np.ndarray, value: float = np.nan) -> jax.Array:
    """``xs`` with ``value`` in the padding."""
    return jnp.where(padding.reshape(*padding.shape, *(1,) * (xs.ndim - padding.ndim)), value, xs)


def row(tree: Any, i: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[i], tree)


# The deferred method with options that it would not choose here; its last block is shorter.
OTHER_WAY = lj.Deferred(product="hoisted", keep="states", block=2)


@functools.cache
def eligible(case: Case) -> tuple[str | lj.Deferred, ...]:
    """The methods that can run every part of the cell; the others must raise an error about
    method."""
    names: list[str | lj.Deferred] = []
    for method in (*METHODS, OTHER_WAY):
        try:
            jax.eval_shape(forward(case, method=method), arguments(case))
        except ValueError as error:
            assert str(error).startswith("method:"), error
        else:
            names.append(method)
    return tuple(names)


@functools.cache
def steps(case: Case) -> bool:
    """Whether the cell can be stepped. A bidirectional layer cannot, and must raise an error."""
    args = arguments(case)
    try:
        jax.eval_shape(case.cell.step, args.params, args.state, args.xs[0])
    except ValueError as error:
        assert "unroll" in str(error), error
        return False
    return True


# --- Law 1: gradients agree with finite differences. ----------------------------------------


def law_gradients_are_derivatives(case: Case) -> None:
    """Gradients equal finite differences to 1e-7 under every method, with lengths, resets and a
    given state, along random directions in params, inputs and state; under "scan", forward mode
    too."""
    args = arguments(case, lengths=LENGTHS, resets=RESETS)
    for method in eligible(case):
        if cuts_its_gradient(case):
            check_cut_gradient(case, method)
            continue
        run = program(case, method=method)
        outcome = run(args)
        grads = (outcome.d_params, outcome.d_xs, outcome.d_state)
        for seed in range(4):
            v = draw(grads, 10 + seed)
            expected = difference_quotient(lambda a, run=run: run(a).loss, args, v)
            along = sum(map(jnp.vdot, jax.tree.leaves(grads), jax.tree.leaves(v)))
            np.testing.assert_allclose(along, expected, rtol=1e-7, atol=1e-8, err_msg=method)
        if method == "scan":
            point = (args.params, args.xs, floats_of(args.state))

            def loss(params, xs, floats):
                state = with_floats(args.state, floats)
                moved = args._replace(params=params, xs=xs, state=state)
                return weighted_sum(forward(case, method="scan")(moved))

            _, forward_mode = jax.jit(partial(jax.jvp, loss))(point, v)
            np.testing.assert_allclose(along, forward_mode, rtol=1e-10, atol=1e-12)


def difference_quotient(loss: Callable, args: Args, v: tuple, step: float = 1e-5) -> Any:
    """The central difference of ``loss`` along ``v = (d_params, d_xs, d_state)``."""

    def moved(by: float) -> Any:
        point = (args.params, args.xs, floats_of(args.state))
        params, xs, floats = jax.tree.map(lambda a, d: a + by * d, point, v)
        return loss(args._replace(params=params, xs=xs, state=with_floats(args.state, floats)))

    return (moved(step) - moved(-step)) / (2 * step)


def cuts_its_gradient(case: Case) -> bool:
    """Whether the gradient stops by design at what the gates read of the state (the 1997 cell)."""
    form = case.cell.form
    if not isinstance(form, lj.core.Gated):
        return False
    args = arguments(case)
    weights, vectors = form.split(case.cell.prepare(args.params, (B,), None))
    if not weights.w_h.shape[0]:
        return False  # its recurrence has no product

    def total(floats):
        return jnp.sum(form.source(vectors, with_floats(args.state, floats)))

    return not any(np.any(g) for g in jax.grad(total)(floats_of(args.state)))


def check_cut_gradient(case: Case, method: str) -> None:
    """Checks the gradient of such a cell: the derivative with what the gates read held constant."""
    cell, args = case.cell, arguments(case)

    def split(params):
        return cell.form.split(cell.prepare(params, (B,), None))

    held, state, step = [], args.state, jax.jit(cell.step)
    for x in args.xs:
        held.append(cell.form.source(split(args.params)[1], state))
        state, _ = step(args.params, state, x)

    def loss(args):
        weights, vectors = split(args.params)
        state, ys = args.state, []
        for x, source in zip(args.xs, held, strict=True):
            z = input_product(weights, x, cell.form.product_x)
            r = cell.form.product_h(source, weights.w_h)
            state, y, _ = apply_gates(cell.form, weights.w_p, vectors, state, z, r, x.dtype)
            ys.append(y)
        return weighted_sum((state, jnp.stack(ys)))

    grads = jax.jit(jax.grad(lambda p, xs: loss(args._replace(params=p, xs=xs)), (0, 1)))
    d_params, d_xs = grads(args.params, args.xs)
    outcome = program(case, method=method)(args)
    close((outcome.d_params, outcome.d_xs), (d_params, d_xs), what=method)
    v = (draw(d_params, 10), draw(d_xs, 11), [jnp.zeros_like(f) for f in floats_of(args.state)])
    along = sum(map(jnp.vdot, jax.tree.leaves((d_params, d_xs)), jax.tree.leaves(v[:2])))
    np.testing.assert_allclose(along, difference_quotient(jax.jit(loss), args, v), rtol=1e-7)


# --- Law 2: all methods agree. ---------------------------------------------------------------


def law_methods_agree(case: Case) -> None:
    """All methods give the same outputs, final states and gradients: forward and in reverse, with
    recomputation in blocks, without masks, and step by step with the sequence's key."""
    plain = arguments(case)
    reference = program(case, method="scan")(plain)
    close(program(case, masked=False)(plain), reference, what="auto, without masks")
    masked = arguments(case, lengths=LENGTHS, resets=RESETS)
    for options in ({}, {"reverse": True}):
        expected = program(case, method="scan", **options)(masked)
        for method in eligible(case):
            # Blocks of four do not divide T; backwards the shorter one comes first.
            options |= {"method": method, "checkpoint_every": 4 if "reverse" in options else None}
            close(program(case, **options)(masked), expected, what=str(options))
    if steps(case):
        step, state, ys = jax.jit(partial(case.cell.step, key=case.key)), plain.state, []
        for x in plain.xs:
            state, y = step(plain.params, state, x)
            ys.append(y)
        close((state, jnp.stack(ys)), (reference.state, reference.ys), what="step by step")


def law_any_generator(case: Case) -> None:
    """Noise is the same for whole sequences, chunks, single steps, "scan" and ``vmap``, and differs
    between keys, even with generators whose draws depend on shapes and on ``vmap``."""
    if case.key is None:
        return
    args = arguments(case)

    @partial(jax.jit, static_argnames="method")
    def run(key, xs, state, method="auto"):
        return lj.unroll(case.cell, args.params, xs, state, key=key, method=method)

    for generator in ("rbg", "unsafe_rbg"):
        key, other = (jax.random.key(seed, impl=generator) for seed in (7, 8))
        whole = run(key, args.xs, args.state)
        close(run(key, args.xs, args.state, "scan"), whole, what=generator)
        many = jax.vmap(run, (0, None, None))(jnp.stack([key, other]), args.xs, args.state)
        close((row(many, 0), row(many, 1)), (whole, run(other, args.xs, args.state)))
        assert np.any(whole[1] != row(many[1], 1)), "the same noise for both keys"
        if not steps(case):
            continue
        state, first = run(key, args.xs[:HALF], args.state)
        state, second = run(key, args.xs[HALF:], state)
        close((state, jnp.concatenate([first, second])), whole, what=f"{generator}, chunks")
        step, state = jax.jit(partial(case.cell.step, key=key)), args.state
        for x, y in zip(args.xs, whole[1], strict=True):
            state, stepped = step(args.params, state, x)
            close(stepped, y, what=f"{generator}, by steps")


# --- Law 3: padding is inert. ----------------------------------------------------------------


def law_padding_is_inert(case: Case) -> None:
    """NaN in the padding changes nothing, outputs and gradients in the padding are zero, length 0
    gives the initial state, and a row alone equals the same row in its batch."""
    args = arguments(case, lengths=LENGTHS, resets=RESETS)
    padding = np.arange(T)[:, None] >= LENGTHS
    poisoned = args._replace(xs=poison(args.xs, padding))
    for method in eligible(case):
        for options in (
            {"method": method, "checkpoint_every": None},
            {"reverse": True, "method": method, "checkpoint_every": 4},
        ):
            clean = program(case, **options)(args)
            close(program(case, **options)(poisoned), clean, 0.0, what=str(options))
            assert not np.any(np.asarray(clean.ys)[padding]), "outputs in the padding"
            assert not np.any(np.asarray(clean.d_xs)[padding]), "gradients in the padding"
            close(row(clean.state, 1), row(args.state, 1), 0.0, what="length 0")
    if case.key is None:
        alone = jax.jit(forward(case))
        inside = program(case, method="scan")(args)
        for i, length in enumerate(LENGTHS):
            one = Args(args.params, poisoned.xs[:, i], row(args.state, i), length, RESETS[:, i])
            expected = (row(inside.state, i), inside.ys[:, i])
            close(alone(one), expected, what="a row alone")


# --- Law 4: causality, and inputs of any size. ---------------------------------------------------

# The options of ``law_padding_is_inert``, so that these laws share its compiled programs.
BOTH_WAYS: tuple[dict[str, Any], ...] = (
    {"checkpoint_every": None},
    {"reverse": True, "checkpoint_every": 4},
)


def law_causality(case: Case) -> None:
    """NaN or infinity in ``xs[t]`` changes no output before t and none of another sequence. Every
    method gives non-finite values exactly where "scan" does, and NaN reaches the params'
    gradients."""
    if not steps(case):
        return  # it looks ahead
    t = 3
    for masks in ({}, {"lengths": LENGTHS, "resets": RESETS}):
        args = arguments(case, **masks)
        for bad in (np.nan, np.inf):
            poisoned = args._replace(xs=args.xs.at[t].set(bad))
            for options in BOTH_WAYS:
                clean = program(case, method="scan", **options)(args)
                expected = program(case, method="scan", **options)(poisoned)
                before = slice(t + 1, None) if "reverse" in options else slice(0, t)
                assert np.all(np.isfinite(clean.ys))
                close(expected.ys[before], clean.ys[before], what="scan, before t")
                for method in eligible(case):
                    got = program(case, method=method, **options)(poisoned)
                    what = f"{method}, {options}, {bad}"
                    close(got.ys[before], clean.ys[before], what=f"{what}, before t")
                    check_finite_alike(got.ys, expected.ys, what)
                    if np.isnan(bad):
                        check_finite_alike(got.state, expected.state, what)
                        assert not all_finite(expected.d_params)
                        assert not all_finite(got.d_params), f"{what}: the gradient has no NaN"


def all_finite(tree: Any) -> bool:
    return all(np.all(np.isfinite(leaf)) for leaf in floats_of(tree))


def check_finite_alike(actual: Any, expected: Any, what: str) -> None:
    """Checks that the same values are finite in both, and that these are equal."""
    close(jax.tree.map(np.isfinite, actual), jax.tree.map(np.isfinite, expected), 0.0, what)

    def finite(leaf: Any) -> Any:
        return np.where(np.isfinite(leaf), leaf, 0)

    close(jax.tree.map(finite, actual), jax.tree.map(finite, expected), what=what)


# From gates that are half open to gates that are almost fully closed or open.
SCALES = (1e-6, 1e3, 1e6, 1e9)


def law_inputs_of_any_size(case: Case) -> None:
    """All methods agree if the inputs are tiny or huge, at all steps or at one.

    Gradients agree to 1e-8 for inputs of up to 1e3. For larger inputs some gradients are
    differences of numbers many orders of magnitude larger, and only rounding errors are left, under
    "scan" too.
    """
    for scale in SCALES:
        for masks in ({}, {"lengths": LENGTHS, "resets": RESETS}):
            args = arguments(case, **masks)
            for xs in (args.xs * scale, args.xs.at[2].multiply(scale)):
                for options in BOTH_WAYS:
                    huge = args._replace(xs=xs)
                    expected = program(case, method="scan", **options)(huge)
                    for method in eligible(case):
                        got = program(case, method=method, **options)(huge)
                        what = f"{method}, {options}, {scale}, {list(masks)}"
                        nearly(got.ys, expected.ys, 1e-9, f"ys, {what}")
                        nearly(got.state, expected.state, 1e-9, f"state, {what}")
                        if scale <= 1e3:
                            nearly(got.d_xs, expected.d_xs, 1e-8, f"d_xs, {what}")
                            nearly(got.d_params, expected.d_params, 1e-8, f"d_params, {what}")


def nearly(actual: Any, expected: Any, tolerance: float, what: str) -> None:
    """Checks equality, relative to the largest number along the last axis or to 1, if that is
    larger."""
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        a, b = np.asarray(a, float), np.asarray(b, float)
        largest = np.max(np.abs(b), axis=-1 if b.ndim else None, keepdims=True, initial=1.0)
        np.testing.assert_allclose(a / largest, b / largest, 0, tolerance, err_msg=what)


def law_an_outlier_stays_in_its_sequence(case: Case) -> None:
    """One input, however large, does not change the outputs or input gradients of the other
    sequences in its row."""
    args = arguments(case, lengths=LENGTHS, resets=RESETS)
    sequence = np.cumsum(RESETS, axis=0)
    others = sequence != sequence[2]
    assert np.any(others & (np.arange(T)[:, None] < LENGTHS))
    for options in BOTH_WAYS:
        for method in eligible(case):
            run = program(case, method=method, **options)
            clean = run(args)
            for factor in (-1e9, 1e9):
                got = run(args._replace(xs=args.xs.at[2].multiply(factor)))
                what = f"{method}, {options}, {factor}"
                close(np.asarray(got.ys)[others], np.asarray(clean.ys)[others], what=what)
                close(np.asarray(got.d_xs)[others], np.asarray(clean.d_xs)[others], what=what)


# --- Law 5: chunks equal the whole, a reset equals a split, reverse equals reversing. ---------


def law_chunks_equal_the_whole(case: Case) -> None:
    """Two chunks, with the state carried from one to the other, equal the whole sequence."""
    if not steps(case):
        return  # it looks ahead
    args = arguments(case, lengths=LENGTHS, resets=RESETS)
    whole = program(case, method="scan")(args)
    chunk, state, ys = jax.jit(forward(case)), args.state, []
    for start in (0, HALF):
        part = slice(start, start + HALF)
        lengths = np.clip(LENGTHS - start, 0, HALF)
        state, y = chunk(Args(args.params, args.xs[part], state, lengths, RESETS[part]))
        ys.append(y)
    close((state, jnp.concatenate(ys)), (whole.state, whole.ys))


def law_a_reset_is_a_split(case: Case) -> None:
    """A row with a reset equals its two pieces run separately, forward and in reverse; the piece
    that runs first starts from the given state."""
    resets = NO_RESETS.copy()
    resets[HALF] = True
    args = arguments(case, resets=resets)
    start = case.cell.initial_state(args.params, (B,))
    if not steps(case):
        args = args._replace(state=start)  # since each direction starts in another piece
    for options in ({}, {"reverse": True}):
        state, ys = program(case, method="scan", **options)(args)[:2]
        piece = jax.jit(forward(case, masked=False, **options))
        first, second = args._replace(xs=args.xs[:HALF]), args._replace(xs=args.xs[HALF:])
        if options:
            (last, y1), (_, y2) = piece(first._replace(state=start)), piece(second)
        else:
            (_, y1), (last, y2) = piece(first), piece(second._replace(state=start))
        close(ys, jnp.concatenate([y1, y2]), what=str(options))
        if steps(case):
            close(state, last, what=str(options))


def law_reverse_is_reversing(case: Case) -> None:
    """``reverse`` equals reversing the first ``length`` steps of each row, before and after the
    run."""
    if not steps(case):
        return check_both_directions(case)
    args = arguments(case, lengths=LENGTHS)
    turned = program(case, method="scan")(args._replace(xs=turn(args.xs)))
    backwards = program(case, method="scan", reverse=True)(args)
    close((backwards.state, backwards.ys), (turned.state, turn(turned.ys)))


def turn(values: Any) -> jax.Array:
    """``values`` with each row's first ``length`` steps in the opposite order, and the padding as
    it was."""
    turned = np.array(values)
    for i, n in enumerate(LENGTHS):
        turned[:n, i] = turned[:n, i][::-1]
    return jnp.asarray(turned)


def check_both_directions(case: Case) -> None:
    """Checks a bidirectional layer: in reverse over reversed rows, it equals the plain run."""
    args = arguments(case, lengths=LENGTHS)
    quiet = case._replace(seed=None)
    turned = program(quiet, method="scan", reverse=True)(args._replace(xs=turn(args.xs)))
    plain = program(quiet, method="scan")(args)
    close((turned.state, turn(turned.ys)), (plain.state, plain.ys))


# --- Law 6: transformations, devices, precision. -----------------------------------------------


def law_vmap_over_seeds(case: Case) -> None:
    """``vmap`` over several sets of params equals running them one by one."""
    many = [draw(arguments(case).params, seed) for seed in range(3)]
    args = arguments(case, lengths=LENGTHS, resets=RESETS)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *many)
    run = forward(case)
    together = jax.jit(jax.vmap(lambda params: run(args._replace(params=params))))(stacked)
    for i, params in enumerate(many):
        one = program(case, method="scan")(args._replace(params=params))
        close(row(together, i), (one.state, one.ys))


def law_one_trace_for_one_shape(case: Case) -> None:
    """Calls with other values, and with the state of an earlier call, do not trace again: the
    state's shapes, dtypes and weak types stay the same."""
    run, args = program(case, method="scan"), arguments(case)
    state = case.cell.initial_state(args.params, (B,))
    for lengths, resets in ((ALL_STEPS, NO_RESETS), (LENGTHS, RESETS), (LENGTHS[::-1], ~RESETS)):
        state = run(args._replace(state=state, lengths=lengths.copy(), resets=resets)).state
    shapes = TRACES[(case, ("method", "scan"))]
    assert len(shapes) == 1, f"traced for {shapes}"


def law_gradient_of_gradient(case: Case) -> None:
    """Second derivatives under every method equal those under "scan", which are JAX's own."""
    args = arguments(case)
    args = args._replace(xs=args.xs[:HALF])

    def norm(method: str) -> Any:
        run = forward(case, masked=False, method=method)

        def squared(params):
            grads = jax.grad(lambda p: weighted_sum(run(args._replace(params=p))))(params)
            return sum(jnp.vdot(g, g) for g in jax.tree.leaves(grads))

        return jax.jit(jax.grad(squared))(args.params)

    methods = eligible(case)
    expected = norm("scan")
    assert any(np.any(leaf) for leaf in jax.tree.leaves(expected))
    for method in methods:
        if method != "scan":
            close(norm(method), expected, 1e-10, what=method)


def law_batch_over_devices(case: Case) -> None:
    """With the batch axis over two devices, values and gradients are as on one: from the cell's own
    initial state, on Auto and Explicit meshes with noise, lengths and resets, and in ``shard_map``
    without noise (where each device would draw its own)."""
    args = arguments(case, lengths=LENGTHS, resets=RESETS)

    def both(key: Any) -> Callable:
        def loss(params, xs):
            given = {"lengths": args.lengths, "resets": args.resets} if key is not None else {}
            return even_sum(lj.unroll(case.cell, params, xs, key=key, **given))

        return jax.value_and_grad(loss, (0, 1))

    key = jax.random.key(0) if case.key is None else case.key
    expected = jax.jit(both(key))(args.params, args.xs)
    batch = PartitionSpec(None, "data")
    for kind in (AxisType.Auto, AxisType.Explicit):
        mesh = jax.make_mesh((2,), ("data",), axis_types=(kind,), devices=jax.devices()[:2])
        with jax.set_mesh(mesh):
            xs = jax.device_put(args.xs, NamedSharding(mesh, batch))
            params = jax.device_put(args.params, NamedSharding(mesh, PartitionSpec()))
            close(jax.jit(both(key))(params, xs), expected, 1e-11, what=str(kind))

    def on_each(params, xs):
        value, grads = both(None)(params, xs)
        return jax.lax.psum(value, "data"), grads

    specs = (PartitionSpec(), batch)
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    mapped = jax.shard_map(on_each, mesh=mesh, in_specs=specs, out_specs=(PartitionSpec(), specs))
    quiet = jax.jit(both(None))(args.params, args.xs)
    close(jax.jit(mapped)(args.params, args.xs), quiet, 1e-11, what="shard_map")


def even_sum(tree: Any) -> Any:
    """A sum that does not depend on the order of the rows."""
    return sum(jnp.sum(jnp.sin((1.0 + i) * leaf)) for i, leaf in enumerate(floats_of(tree)))


def law_bfloat16_compute(case: Case) -> None:
    """With bfloat16 compute, outputs and gradients are near the float32 ones under every method;
    the state and the gradients of float32 params stay float32."""
    args = arguments(case, jnp.float32)
    mixed = case._replace(cell=lj.mixed_precision(case.cell))
    plain = program(case, masked=False)(args)
    for method in eligible(case):
        low = program(mixed, masked=False, method=method)(args)
        assert (plain.ys.dtype, low.ys.dtype) == (jnp.float32, jnp.bfloat16)
        assert {leaf.dtype for leaf in floats_of(low.state)} == {jnp.dtype("float32")}
        assert {leaf.dtype for leaf in jax.tree.leaves(low.d_params)} == {jnp.dtype("float32")}
        close(low.state, plain.state, 0.06, what=method)
        close(low.ys.astype(jnp.float32), plain.ys, 0.06, what=method)
        assert np.any(np.asarray(low.ys, np.float32) != np.asarray(plain.ys)), "no bfloat16"
        for got, wanted in zip(
            jax.tree.leaves(low.d_params), jax.tree.leaves(plain.d_params), strict=True
        ):
            scale = np.linalg.norm(wanted) + 1e-3
            assert np.linalg.norm(np.asarray(got) - np.asarray(wanted)) < 0.1 * scale, method


# --- Wrappers: correct for every cell, or an error when they are built. ------------------------


def wrappers(rate: float) -> dict[str, Callable[[lj.Cell], lj.Cell]]:
    """The wrappers that have a rate, at the given one."""
    return {
        "zoneout": lambda cell: lj.zoneout(cell, rate),
        "zoneout of h": lambda cell: lj.zoneout(cell, {"h": rate}),
        "zoneout of c": lambda cell: lj.zoneout(cell, {"c": rate}),
        "dropout": lambda cell: lj.dropout(cell, rate),
        "dropout of outputs": lambda cell: lj.dropout(cell, rate, on="output", variational=True),
        "recurrent dropout": lambda cell: lj.dropout(cell, rate, on="recurrent", variational=True),
        "drop_connect": lambda cell: lj.drop_connect(cell, rate),
    }


PLAIN_WRAPPERS: dict[str, Callable[[lj.Cell], lj.Cell]] = {
    "learned_state": lj.learned_state,
    "residual": lj.residual,
    "initialize w_x": lambda cell: lj.initialize(cell, w_x=lj.initializers.normal(0.1)),
    "initialize w_h": lambda cell: lj.initialize(cell, w_h=lj.initializers.normal(0.1)),
    "initialize b": lambda cell: lj.initialize(cell, b=lj.initializers.normal(0.1)),
    "chain": lambda cell: lj.chain(lj.rnn(2), cell, lj.rnn(2)),
    "bidirectional": lambda cell: lj.bidirectional(cell, lj.rnn(2)),
    "bidirectional sum": lambda cell: lj.bidirectional(cell, cell, merge="sum"),
    "mixed_precision": lambda cell: lj.mixed_precision(cell, "float16"),
    "mogrifier": lj.mogrifier,
    "dropout of a chain": lambda cell: lj.dropout(lj.chain(cell, lj.rnn(2)), 0.3, on="output"),
}


def wrap_case(wrap: Callable[[lj.Cell], lj.Cell], case: Case) -> Case | None:
    """The case with its cell wrapped, or None if the wrapper does not accept the cell: its error
    must name the argument and, unless that is the rate, the cell."""
    try:
        return case._replace(cell=wrap(case.cell), seed=1)
    except ValueError as error:
        argument = str(error).partition(":")[0]
        assert argument in (
            "cell",
            "cells[0]",
            "cells[1]",
            "on",
            "rate",
            "w_x",
            "w_h",
            "b",
            "forward",
            "backward",
        ), error
        assert argument == "rate" or case.cell.name in str(error), error
        return None


def law_wrappers_fit_or_refuse(case: Case) -> None:
    """Every wrapper either does not accept the cell when it is built, or gives outputs of the size
    and states of the shapes that it promises, under every method. At rate zero it changes
    nothing."""
    for name, wrap in (wrappers(0.3) | PLAIN_WRAPPERS).items():
        wrapped = wrap_case(wrap, case)
        if wrapped is None:
            continue
        if name == "residual":
            wrapped = wrapped._replace(input_size=case.cell.size)
        elif name == "chain" and only_input_size(case.cell) is None:
            wrapped = wrapped._replace(input_size=3)
        args = arguments(wrapped)
        start = jax.tree.map(jnp.shape, wrapped.cell.initial_state(args.params, (B,)))
        for method in eligible(wrapped):
            state, ys = jax.eval_shape(forward(wrapped, method=method), args)
            shape = (*wrapped.cell.grid.outputs, wrapped.cell.size)
            assert ys.shape == (T, B, *shape), (name, method)
            assert jax.tree.map(jnp.shape, state) == start, (name, method)
    built = {name: wrap_case(wrap, case) for name, wrap in wrappers(0.0).items()}
    zero = {name: wrapped.cell for name, wrapped in built.items() if wrapped is not None}
    args, key = arguments(case), jax.random.key(1)

    @jax.jit
    def all_of(args: Args) -> dict:
        found = {"itself": lj.unroll(case.cell, args.params, args.xs)}
        found["itself with a key"] = lj.unroll(case.cell, args.params, args.xs, key=key)
        for name, cell in zero.items():
            state, ys = lj.unroll(cell, args.params, args.xs, key=key)
            found[name] = (state.cell if isinstance(state, lj.CountedState) else state, ys)
        return found

    found = all_of(args)
    if np.all(found["itself"][1] == found["itself with a key"][1]):  # or else it has noise
        for name in zero:
            close(found[name], found["itself"], what=f"{name} at rate zero")


# --- The contract itself. ------------------------------------------------------------------------


def law_the_contract(case: Case) -> None:
    """Any batch axes, including none and an empty one; T = 0; gates that fill the weights;
    dtypes."""
    cell, size = case.cell, case.input_size
    params = cell.init(jax.random.key(0), size)
    close(params, cell.init(jax.random.key(0), size), 0.0, what="init is a function of its key")
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    if cell.gates and isinstance(params, dict) and "w_x" in params:
        assert len(set(cell.gates)) == len(cell.gates) == len(cell.axis.widths)
        assert params["w_x"].shape[-2:] == (size, cell.axis.width)
    for batch in ((), (2,), (2, 1), (0,)):
        start = cell.initial_state(params, batch)
        for n in (0, 2):
            xs = jnp.ones((n, *batch, *cell.grid.inputs, size), jnp.float32)
            state, ys = jax.eval_shape(partial(lj.unroll, cell, key=case.key), params, xs)
            shape = (n, *batch, *cell.grid.outputs, cell.size)
            assert (ys.shape, ys.dtype) == (shape, jnp.float32)
            assert jax.tree.map(jnp.shape, state) == jax.tree.map(jnp.shape, start)
    start = cell.initial_state(params, (2,))
    buffers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(start)]
    assert len(set(buffers)) == len(buffers), "a shared buffer cannot be donated"
    none = jnp.ones((0, 2, *cell.grid.inputs, size), jnp.float32)
    close(lj.unroll(cell, params, none)[0], start, 0.0, "T = 0")
    half = cell.init(jax.random.key(0), size, jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(half)} == {jnp.dtype("bfloat16")}
    assert {leaf.dtype for leaf in floats_of(cell.initial_state(half))} == {jnp.dtype("float32")}


def law_built_alike_is_equal(case: Case) -> None:
    """A cell built by an equal call, from the factory's cache or anew, is equal with an equal hash,
    and so is a copied or pickled one. A cell changed by ``_replace`` is not equal."""
    cell = case.cell._replace(memory=None)
    recipe = cell.recipe
    kept = recipe.factory(*recipe.args, **recipe.kwargs)
    fresh = recipes.build_once.__wrapped__(recipe, recipe.factory.__wrapped__, True)
    assert kept is not fresh
    for again in (kept, fresh, pickle.loads(pickle.dumps(cell)), copy.deepcopy(cell)):
        assert again == cell and hash(again) == hash(cell) and again.name == cell.name
    assert cell._replace(size=cell.size) != cell
    assert lj.chain(cell) != cell and lj.chain(cell) == lj.chain(fresh)
    whole = pickle.loads(pickle.dumps(case.cell))
    assert copy.deepcopy(case.cell) == case.cell
    arrays = [None if c.memory is None else c.memory.arrays for c in (whole, case.cell)]
    close(*arrays, 0.0)


def law_strict_promotion(case: Case) -> None:
    """``numpy_rank_promotion("raise")`` and ``numpy_dtype_promotion("strict")`` change no program:
    ``init``, ``initial_state``, ``step``, and the gradient by every method, whose backward rule in
    an outer ``jit`` is traced after the unroll has returned."""
    cell, args = case.cell, arguments(case, jnp.float32, lengths=LENGTHS, resets=RESETS)

    def programs() -> dict[str, str]:
        made = {"init": str(jax.make_jaxpr(lambda k: cell.init(k, case.input_size))(KEY))}
        start = jax.make_jaxpr(lambda p: cell.initial_state(p, (B,)))(args.params)
        made["initial_state"] = str(start)
        if steps(case):
            step = partial(cell.step, key=case.key)
            made["step"] = str(jax.make_jaxpr(step)(args.params, args.state, args.xs[0]))
        for method in eligible(case):
            run = jax.jit(forward(case, method=method))

            def loss(params: Any, xs: Any, run: Callable = run) -> Any:
                state, ys = run(args._replace(params=params, xs=xs))
                return sum(jnp.sum(leaf) for leaf in [*floats_of(state), ys])

            grad = jax.make_jaxpr(jax.grad(loss, (0, 1)))(args.params, args.xs)
            made[f"gradient by {method}"] = str(grad)
        return {name: re.sub(r"0x[0-9a-f]+", "", text) for name, text in made.items()}

    expected = programs()
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        strict = programs()
    assert strict.keys() == expected.keys()
    for name, text in expected.items():
        assert strict[name] == text, name


# --- Law 7: a trace shows what the unroll computes. ---------------------------------------------


def law_a_trace_shows_the_unroll(case: Case) -> None:
    """Outputs and last state are those of "scan", every state is one step after the one that was
    read, gates have their names, and the padding is empty."""
    args = arguments(case, lengths=LENGTHS, resets=RESETS)
    step = jax.jit(jax.vmap(partial(case.cell.step, key=case.key), (None, 0, 0)))
    padding = np.arange(T)[:, None] >= LENGTHS
    poisoned = args._replace(xs=poison(args.xs, padding))
    for options in ({}, {"reverse": True}):

        @jax.jit
        def run(args: Args, options: Any = options) -> Any:
            return lj.trace(case.cell, *args[:3], lengths=args.lengths, resets=args.resets,
                            key=case.key, **options)  # fmt: skip

        expected = program(case, method="scan", checkpoint_every=None, **options)(args)
        trace = run(poisoned)
        close((trace.last, trace.outputs), (expected.state, expected.ys), 1e-13, what=str(options))
        np.testing.assert_array_equal(trace.mask, ~padding)
        for shown in (*trace.gates.values(), trace.attention):
            assert shown is None or not np.any(np.asarray(shown)[padding]), "shown in the padding"
        if case.cell.gates:
            assert sorted(trace.gates) == sorted(case.cell.gates)
        if steps(case):
            states, ys = step(args.params, trace.previous, poison(args.xs, padding, 0.0))
            counted = jax.tree.map(lambda leaf: np.asarray(leaf)[~padding], (trace.states, ys))
            again = jax.tree.map(lambda leaf: np.asarray(leaf)[~padding], (states, trace.outputs))
            close(counted, again, 1e-12, what=f"step by step, {options}")


LAWS: dict[str, Callable[[Case], None]] = {
    name.removeprefix("law_"): law for name, law in globals().items() if name.startswith("law_")
}


def check_laws(case: Case) -> None:
    """Tests ``case`` against every law."""
    with jax.enable_x64(True):
        for law in LAWS.values():
            law(case)
