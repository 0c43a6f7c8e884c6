"""The leaves of a tree as NumPy arrays with a record of their types, and back, bit for bit."""

import collections
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from lstm_jax._internal.errors import WrongType, WrongValue

PYTHON = {kind.__name__: kind for kind in (bool, int, float, complex)}
# What ``jax.eval_shape`` turns Python's numbers into.
ABSTRACT = {
    "bool": np.bool_, "int": np.integer, "float": np.floating, "complex": np.complexfloating
}  # fmt: skip
JAX, ARRAY, SCALAR = "jax", "numpy", "numpy scalar"  # besides the names in PYTHON


class CheckpointError(RuntimeError):
    """Nothing was saved, or what was saved is not what was asked for."""


class Record(NamedTuple):
    """What a leaf was.

    type: JAX, ARRAY, SCALAR or a name in PYTHON.
    dtype: its name; that of a typed key names the generator, such as "key<fry>".
    shape: () for a number.
    """

    type: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def kind(self) -> str:
        """A text such as "float32[2, 3]", on which the two sides of a restore must agree."""
        return self.type if self.type in PYTHON else f"{self.dtype}{list(self.shape)}"


def by_name(tree: Any) -> dict[str, Any]:
    """The leaves by their paths in the tree, such as "['params']['w']".

    Raises ValueError for a tree without leaves, and if a container gives two leaves one name.
    """
    leaves: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path)
        if name in leaves:
            raise WrongValue(f"tree: expected leaves of different names, got {name} twice")
        leaves[name] = leaf
    if not leaves:
        raise WrongValue("tree: expected at least one array, got none")
    return leaves


def readable_names(tree: Any) -> dict[str, str]:
    """The names of ``by_name`` as errors show them, such as "params.w" if that is unambiguous."""
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    short = [jax.tree_util.keystr(path, simple=True, separator=".") or "value" for path in paths]
    strict = map(jax.tree_util.keystr, paths)
    count, pairs = collections.Counter(short), zip(strict, short, strict=True)
    return {name: text if count[text] == 1 else name for name, text in pairs}


def record(name: str, leaf: Any) -> Record:
    """The leaf's record. Raises TypeError, naming it, for anything but an array or a number."""
    if type(leaf) in PYTHON.values():
        if _is_number(np.asarray(leaf).dtype):
            return Record(type(leaf).__name__, np.asarray(leaf).dtype.name, ())
        raise WrongType(f"{name}: expected an integer of at most 64 bits, got {leaf}")
    if isinstance(leaf, jax.core.Tracer):
        raise WrongType(f"{name}: expected an array with values, got a tracer; save outside jit")
    if isinstance(leaf, jax.Array):
        if leaf.is_deleted():
            raise WrongValue(f"{name}: expected an array with values, got one that was donated")
        return Record(JAX, str(leaf.dtype), leaf.shape)
    if type(leaf) is not np.ndarray and not isinstance(leaf, np.generic):
        raise WrongType(f"{name}: expected an array or a number, got {type(leaf).__name__}")
    if not _is_number(leaf.dtype):
        raise WrongType(f"{name}: expected an array of numbers, got dtype {leaf.dtype}")
    return Record(SCALAR if isinstance(leaf, np.generic) else ARRAY, str(leaf.dtype), leaf.shape)


def expected_record(name: str, leaf: Any, saved: Record | None) -> Record:
    """The record that ``restore`` expects for a leaf of ``like``: of the saved type if the
    leaf has only a shape and a dtype."""
    if isinstance(leaf, jax.Array):  # even a traced or a donated one: its values are not read
        return Record(JAX, str(leaf.dtype), leaf.shape)
    if isinstance(leaf, np.generic | np.ndarray) or not hasattr(leaf, "shape"):
        return record(name, leaf)
    if saved is not None and saved.type in PYTHON:
        if leaf.shape == () and jnp.issubdtype(leaf.dtype, ABSTRACT[saved.type]):
            return saved
        return Record(ARRAY, str(leaf.dtype), tuple(leaf.shape))
    return Record(saved.type if saved else ARRAY, str(leaf.dtype), tuple(leaf.shape))


def to_numpy(leaf: Any) -> np.ndarray:
    """The leaf as an array that a .npz file stores without loss."""
    if isinstance(leaf, jax.Array) and _is_key(leaf.dtype):
        leaf = jax.random.key_data(leaf)
    array = np.asarray(leaf)
    if array.dtype.type.__module__ == "numpy":
        return array
    return np.frombuffer(array.tobytes(), np.uint8)  # bfloat16 and others that it cannot name


def from_numpy(like: Any, kept: Record, array: np.ndarray) -> Any:
    """The leaf of the record's type; an array of JAX is on the default device."""
    if kept.type == JAX and _is_key(like.dtype):
        generator = jax.random.key_impl(jnp.empty((), like.dtype))
        return jax.random.wrap_key_data(jnp.asarray(array), impl=generator)
    if hasattr(ml_dtypes, kept.dtype):
        array = array.view(getattr(ml_dtypes, kept.dtype)).reshape(kept.shape)
    if kept.type in PYTHON:
        return array.item()
    if kept.type == JAX:
        with jax.enable_x64(True):  # float64 stays float64, wherever it is restored
            return jnp.asarray(array)
    return array[()] if kept.type == SCALAR else array


def first_difference(got: dict[str, Record], wanted: dict[str, Record]) -> tuple[str, str] | None:
    """The first leaf in which the two differ, its name and a text; None if they agree."""
    for name in dict.fromkeys([*wanted, *got]):
        kinds = [side[name].kind if name in side else "no such leaf" for side in (got, wanted)]
        if kinds[0] != kinds[1]:
            return name, f"expected {kinds[1]}, got {kinds[0]}"
    return None


def _is_key(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jax.dtypes.prng_key)


def _is_number(dtype: np.dtype) -> bool:
    return dtype == np.bool_ or bool(jnp.issubdtype(dtype, np.number))
