"""``lj.export.stablehlo``: the step, the unroll or a function of a model as a program."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import Params
from lstm_jax.export.plain import from_plain, to_plain
from lstm_jax.files.leaves import by_name
from lstm_jax.unrolling import unroll

PLATFORMS = ("cpu", "cuda", "tpu")
OF_CELL = ("initial_state", "step", "unroll")
OF_MODEL = ("apply", "answer", "initial_state", "stream")


class _Program(NamedTuple):
    """A function ``(params, *arguments)``, and the shapes of its arguments."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


def stablehlo(
    model: Any,
    params: Params,
    function: str = "unroll",
    *,
    weights: str = "arguments",
    batch_shape: Sequence[int | str] = ("batch",),
    steps: int | str = "time",
    lengths: bool = False,
    state: bool = False,
    example: Any = None,
    platforms: Sequence[str] = PLATFORMS,
) -> jax.export.Exported:
    """A function of a cell or a model as a program that runs without lstm_jax.

        program = lj.export.stablehlo(cell, params, "step")
        Path("step.bin").write_bytes(program.serialize())

    and where only JAX is installed:

        step = jax.export.deserialize(Path("step.bin").read_bytes())
        state, y = step.call(weights, state, x)

    Arguments and results are arrays in dicts and tuples: an ``LSTMState(h, c)`` is
    ``{"h": h, "c": c}``. The weights are one flat dict, under the names that they have in a file of
    ``lj.save``, so that ``safetensors.numpy.load_file`` gives them. There is no noise.

    ======================  ================================================================
    function                call
    ======================  ================================================================
    "step"                  ``(weights, state, x) -> (state, y)``
    "unroll"                ``(weights, xs) -> (state, ys)``; with ``state`` and ``lengths``:
                            ``(weights, xs, state, lengths)``, each only if it is asked for
    "initial_state"         ``(weights, x) -> state``, where only the shape of x is read; for
                            a model the state before a stream, with x its ``example``
    "apply", "answer"       of a model: ``(weights, xs) -> outputs`` or ``-> answers``
    "stream"                of a model: ``(weights, state, xs) -> (state, outputs)``
    ======================  ================================================================

    The program computes what the function computes here, up to rounding. Products are of JAX's
    default precision, which on a GPU (TF32) and a TPU (bfloat16) is less than float32; export under
    ``jax.default_matmul_precision("highest")`` for float32 everywhere. Programs can be read for at
    least six months by later versions of JAX, and for three weeks by earlier ones, so keep the
    weights in a file of ``lj.save``. They cannot be differentiated or mapped by ``jax.vmap``.

    Args:
        model: A cell, or a model of ``lj.train``.
        params: Its params. With weights as arguments, only shapes and dtypes are read.
        function: As in the table.
        weights: "arguments", or "embedded" for a program that holds them and does not take them.
        batch_shape: The batch axes, each a number or the name of a size that is open. A model has
            one.
        steps: The number T of steps, or the name of an open one. Open sizes are 1 or more.
        lengths: Whether "unroll" takes lengths ``[*batch]``, int32.
        state: Whether "unroll" takes the state before the first step.
        example: For a model, ``xs`` as it takes them, or their shapes. The leading axes ``[T, B]``
            of each array become open, or ``[B]`` if that is all it has; an array of shapes
            (``jax.ShapeDtypeStruct``) that has symbolic sizes is kept as it is.
        platforms: Where the program can run: "cpu", "cuda", "rocm", "tpu".

    Returns:
        The program, a ``jax.export.Exported``.

    Raises:
        ValueError, TypeError: For a wrong argument.
    """
    checking.choice("weights", weights, ("arguments", "embedded"))
    checking.flag("lengths", lengths)
    checking.flag("state", state)
    sizes = _Sizes(batch_shape, steps)
    if isinstance(model, Cell):
        checking.choice("function", function, OF_CELL)
        if example is not None:
            raise WrongValue(f"example: expected None for a cell, got {type(example).__name__}")
        program = _of_cell(model, params, function, sizes, lengths, state)
    else:
        for option, given in {"lengths": lengths, "state": state}.items():
            if given:
                raise WrongValue(f"{option}: expected False for a model, got True")
        program = _of_model(model, params, function, sizes, example)

    function_, shapes = program
    if weights == "embedded":
        whole = jax.jit(lambda *arguments: to_plain(function_(params, *arguments)))
    else:
        like = params

        def with_weights(flat: dict[str, Any], *arguments: Any) -> Any:
            return to_plain(function_(_unflatten(like, flat), *arguments))

        whole = jax.jit(with_weights)
        shapes = (jax.tree.map(_shape_of, by_name(params)), *shapes)
    # The weights of a cell that a function does not read are arguments all the same.
    return jax.export.export(whole, platforms=tuple(platforms))(*shapes)


class _Sizes:
    """The batch axes and the steps, with symbols for those that are open."""

    def __init__(self, batch_shape: Sequence[int | str], steps: int | str):
        if not isinstance(batch_shape, tuple | list):
            raise WrongType(f"batch_shape: expected a tuple, got {batch_shape!r}")
        wanted = {f"batch_shape[{i}]": size for i, size in enumerate(batch_shape)}
        wanted["steps"] = steps
        open_names = dict.fromkeys(size for size in wanted.values() if isinstance(size, str))
        for argument, size in wanted.items():
            if isinstance(size, str) and not size.isidentifier():
                raise WrongValue(f"{argument}: expected a number or a name, got {size!r}")
            if not isinstance(size, str):
                checking.positive_int(argument, size)
        symbols: dict[str, Any] = {}
        if open_names:
            found = jax.export.symbolic_shape(", ".join(open_names))
            symbols = dict(zip(open_names, found, strict=True))
        self.batch = tuple(symbols.get(n, n) if isinstance(n, str) else n for n in batch_shape)
        self.steps = symbols[steps] if isinstance(steps, str) else steps


def _of_cell(
    cell: Cell, params: Params, function: str, sizes: _Sizes, lengths: bool, state: bool
) -> _Program:
    input_size = cell_checks.input_size_of(cell, params)
    dtype = jnp.result_type(*(leaf.dtype for leaf in jax.tree.leaves(params)))
    x = jax.ShapeDtypeStruct((*sizes.batch, *cell.grid.inputs, input_size), dtype)
    start = jax.eval_shape(lambda p: cell.initial_state(p, sizes.batch), params)
    if function != "unroll" and (lengths or state):
        raise WrongValue(
            f"{'lengths' if lengths else 'state'}: expected False for {function!r}, got True"
        )
    if function == "initial_state":
        return _Program(
            lambda params, x: cell.initial_state(params, cell.batch_shape(x.shape)), (x,)
        )
    if function == "step":

        def step(params: Params, plain: Any, x: jax.Array) -> Any:
            return cell.step(params, from_plain(start, plain), x)

        return _Program(step, (to_plain(start), x))

    def run(params: Params, xs: jax.Array, *rest: Any) -> Any:
        given = iter(rest)
        before = from_plain(start, next(given)) if state else None
        ends = next(given) if lengths else None
        return unroll(cell, params, xs, before, lengths=ends, method="scan")

    rest: tuple[Any, ...] = (to_plain(start),) if state else ()
    if lengths:
        rest += (jax.ShapeDtypeStruct(sizes.batch, jnp.int32),)
    return _Program(run, (jax.ShapeDtypeStruct((sizes.steps, *x.shape), dtype), *rest))


def _of_model(model: Any, params: Params, function: str, sizes: _Sizes, example: Any) -> _Program:
    if not all(hasattr(model, name) for name in ("apply", "answer", "stream")):
        raise WrongType(f"model: expected a cell or a model of lj.train, got {model!r}")
    checking.choice("function", function, OF_MODEL)
    if example is None:
        raise WrongValue("example: expected the model's inputs or their shapes, got None")
    if len(sizes.batch) != 1:
        raise WrongValue(f"batch_shape: expected one axis for a model, got {sizes.batch}")
    xs = jax.tree.map(lambda leaf: _opened(leaf, sizes), example)
    if function in ("apply", "answer"):
        call = getattr(model, function)
        return _Program(lambda params, xs: call(params, from_plain(example, xs)), (to_plain(xs),))
    if model.stream is None:
        raise WrongValue(
            f"function: expected 'apply' or 'answer' for a model that cannot stream, got "
            f"{function!r}"
        )
    (batch,) = sizes.batch
    if function == "initial_state":
        place = jax.tree.leaves(xs)[0].shape.index(batch)

        def start(params: Params, xs: Any) -> Any:
            return model.initial_state(params, jax.tree.leaves(xs)[0].shape[place])

        return _Program(start, (to_plain(xs),))
    state = jax.eval_shape(lambda p: model.initial_state(p, batch), params)

    def stream(params: Params, plain: Any, xs: Any) -> Any:
        return model.stream(params, from_plain(state, plain), from_plain(example, xs))

    return _Program(stream, (to_plain(state), to_plain(xs)))


def _opened(leaf: Any, sizes: _Sizes) -> jax.ShapeDtypeStruct:
    shape = leaf.shape
    if any(jax.export.is_symbolic_dim(size) for size in shape):
        return _shape_of(leaf)
    lead = sizes.batch if len(shape) == 1 else (sizes.steps, *sizes.batch)
    return jax.ShapeDtypeStruct((*lead, *shape[len(lead) :]), leaf.dtype)


def _shape_of(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


def _unflatten(like: Params, flat: dict[str, Any]) -> Params:
    names = by_name(like)
    return jax.tree.unflatten(jax.tree.structure(like), [flat[name] for name in names])
