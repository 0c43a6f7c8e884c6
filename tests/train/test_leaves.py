"""What a checkpoint accepts, it restores with every bit; anything else is an error that names
it."""

import collections
import math
import os
import tempfile
from typing import Any, NamedTuple

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from lstm_jax.train import checkpoint


def require_same(got, wanted):
    """The same structure, types, dtypes, shapes and bits."""
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        assert type(a) is type(b)
        if isinstance(a, jax.Array | np.ndarray | np.generic):
            assert a.dtype == b.dtype and a.shape == b.shape
            if isinstance(a, jax.Array) and jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
                a, b = jax.random.key_data(a), jax.random.key_data(b)
            assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
        else:
            assert repr(a) == repr(b)


class Pair(NamedTuple):
    first: Any
    second: Any


DTYPES = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128", ">f4", ">i8"),
    *("bfloat16", "int4", "uint4", "float8_e4m3fn", "float8_e5m2"),
]


def array_of(name, shape, seed):
    """Random bits, including NaN and infinities."""
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    raw = np.random.default_rng(seed).integers(
        0, {"bool": 2, "int4": 8, "uint4": 16}.get(name, 256),
        math.prod(shape) * dtype.itemsize, np.uint8,
    )  # fmt: skip
    return raw.view(dtype).reshape(shape)


def on_jax(array):
    with jax.enable_x64(True):
        return jnp.asarray(array)


shapes = st.sampled_from([(), (1,), (3,), (0,), (2, 0, 3), (2, 3)])
numpy_arrays = st.builds(array_of, st.sampled_from(DTYPES), shapes, st.integers(0, 2**32))
jax_arrays = st.builds(
    lambda *given: on_jax(array_of(*given)),
    st.sampled_from([name for name in DTYPES if ">" not in name]), shapes, st.integers(0, 2**32),
)  # fmt: skip
numpy_scalars = numpy_arrays.filter(lambda array: array.shape == (3,)).map(lambda a: a[0])
numbers = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.complex_numbers()
)
typed_keys = st.builds(
    lambda seed, impl, count: jax.random.split(jax.random.key(seed, impl=impl), count),
    st.integers(0, 99), st.sampled_from(["threefry2x32", "rbg", "unsafe_rbg"]),
    st.sampled_from([(), 0, 2]),
)  # fmt: skip
names = st.sampled_from(["a", "b", "a.b", "a/b", "a b", "", "'a'", "['a']", "1", "größe", "\ud800"])
trees = st.recursive(
    st.one_of(numpy_arrays, jax_arrays, numpy_scalars, numbers, typed_keys, st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.lists(inner, max_size=2).map(tuple),
        st.builds(Pair, inner, inner), st.dictionaries(names, inner, max_size=3),
        st.dictionaries(st.integers(-2, 2), inner, max_size=2),
        st.lists(st.tuples(st.one_of(names, st.integers(0, 1)), inner), max_size=3)
        .map(collections.OrderedDict),
    ),
    max_leaves=6,
)  # fmt: skip


@hypothesis.settings(max_examples=60, deadline=None, derandomize=True)
@hypothesis.given(trees.filter(jax.tree.leaves))
def test_every_tree_comes_back_with_every_bit_and_type(tree):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)  # which takes its time
        checkpoint.save(folder, 0, tree)
        require_same(checkpoint.restore(folder, tree), tree)


def test_the_trees_of_the_report_come_back(tmp_path):
    """A scalar of NumPy, names that look alike joined, and arrays of size zero."""
    x, y = jnp.arange(3.0), jnp.arange(4)
    for i, tree in enumerate((
        {"step": np.int64(7)},
        {"a.b": x, "a": {"b": y}},
        {"a": jnp.zeros((0, 3)), "b": np.zeros(0)},
        {"a": x, "b": {}, "c": (), "d": None},
        {"one": {1: x}, "other": {"1": y}},
        {"a": {"b": x}, "a/b": y, "a['b']": x},
    )):  # fmt: skip
        checkpoint.save(tmp_path / str(i), 0, tree)
        require_same(checkpoint.restore(tmp_path / str(i), tree), tree)
    message = r"other\.1: expected float32\[3\], got no such leaf"
    with pytest.raises(checkpoint.CheckpointError, match=message):
        checkpoint.restore(tmp_path / "4", {"one": {1: x}, "other": {1: x}})


def test_of_shapes_alone_each_leaf_is_of_the_type_that_was_saved(tmp_path):
    tree = {"i": 7, "b": True, "f": 0.1, "n": np.float32(2)}
    tree |= {"a": np.ones(2, "f4"), "j": jnp.ones(2)}
    checkpoint.save(tmp_path, 0, tree)
    require_same(checkpoint.restore(tmp_path, jax.eval_shape(lambda: tree)), tree)
    like = {**tree, "a": jnp.zeros(2), "j": np.zeros(2, "f4")}
    got = checkpoint.restore(tmp_path, like)  # of the types that are asked for
    assert isinstance(got["a"], jax.Array) and type(got["j"]) is np.ndarray


def test_leaves_that_cannot_come_back_are_refused_before_anything_is_written(tmp_path):
    donated = jnp.ones(2)
    donated.delete()
    for leaf, error, message in (
        ("text", TypeError, "expected an array or a number, got str"),
        (2**64, TypeError, "expected an integer of at most 64 bits, got 18446744073709551616"),
        (np.array(["text"]), TypeError, "expected an array of numbers, got dtype <U4"),
        (np.array([None]), TypeError, "expected an array of numbers, got dtype object"),
        (np.zeros(2, "i4,f4"), TypeError, "expected an array of numbers, got dtype"),
        (
            np.ma.masked_array([1, 2], [True, False]),
            TypeError,
            ("expected an array or a number, got MaskedArray"),
        ),
        (donated, ValueError, "expected an array with values, got one that was donated"),
        (math.sin, TypeError, "expected an array or a number, got builtin_function_or_method"),
    ):
        with pytest.raises(error, match=rf"a\.b: {message}"):
            checkpoint.save(tmp_path / "new", 0, {"a": {"b": leaf}, "c": jnp.ones(2)})
    with pytest.raises(TypeError, match=r"a: expected an array with values, got a tracer"):
        jax.jit(lambda x: checkpoint.save(tmp_path / "new", 0, {"a": x}))(1.0)
    assert not (tmp_path / "new").exists()
