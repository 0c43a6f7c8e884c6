"""How far back a loss reaches: its gradient by the states."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongType, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import Inputs, Key, Lengths, Params, Resets, State
from lstm_jax.insight.following import disturb, follow, zeros_to_add
from lstm_jax.insight.traces import Trace
from lstm_jax.insight.vectors import norm
from lstm_jax.unrolling.arguments import check_call
from lstm_jax.unrolling.call import STATIC, Call
from lstm_jax.unrolling.masks import combine, partition
from lstm_jax.unrolling.parts import start_traversal


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GradientFlow:
    """The gradient of a loss by the state after each step.

    Attributes:
        loss: The loss, ``[]``.
        gradients: By the states: the cell's own state, each leaf with a leading T; None for
            leaves that are not floats, such as counts.
        norms: The Euclidean norm of each leaf's gradient over its units, ``[T, *batch]``, in the
            same structure.
        total: The norm over all leaves together, ``[T, *batch]``.
        mask: The steps that count, ``[T, *batch]``.
        reverse: Whether the rows ran from their last step to their first.
        one_way: Whether all parts ran in one direction, as those of a bidirectional layer do not.
    """

    loss: Any  # arrays; but a pytree must hold whatever a function of its leaves returns
    gradients: State
    norms: State
    total: Any
    mask: Any
    reverse: bool = dataclasses.field(metadata=STATIC)
    one_way: bool = dataclasses.field(metadata=STATIC)

    def by_lag(self, norms: jax.Array | None = None) -> jax.Array:
        """Norms against the lag: entry k is that of the state k steps before the row's last.

            jnp.nanmean(flow.by_lag(), axis=1)  # the curve of the mean row

        Args:
            norms: ``[T, *batch]``, such as ``flow.norms.c``; by default ``total``.

        Returns:
            ``[T, *batch]``, NaN where the row has no step that long ago.

        Raises:
            ValueError: For norms of another shape, and for a layer whose parts ran in both
                directions.
        """
        if not self.one_way:
            raise WrongValue(
                "by_lag: expected a cell that runs in one direction, got one with parts in both"
            )
        norms = self.total if norms is None else checking.array("norms", norms)
        if norms.shape != self.mask.shape:
            raise WrongValue(f"norms: expected shape {self.mask.shape}, got {norms.shape}")
        lags = jnp.expand_dims(jnp.arange(len(norms)), range(1, norms.ndim))
        counts = jnp.sum(self.mask, axis=0)
        steps = lags if self.reverse else counts - 1 - lags
        found = jnp.take_along_axis(
            norms, jnp.broadcast_to(steps, norms.shape) % max(len(norms), 1), 0
        )
        return jnp.where(lags < counts, found, jnp.nan)


@default_promotion
def state_gradients(
    cell: Cell,
    params: Params,
    xs: Inputs,
    loss: Callable[..., jax.Array],
    state: State | None = None,
    *,
    with_last: bool = False,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    reverse: bool = False,
    key: Key | None = None,
) -> GradientFlow:
    """The gradient of a loss by the state after each step, and its norms.

        flow = lj.insight.state_gradients(cell, params, xs, lambda ys: jnp.sum(ys[-1]))
        flow.norms.c  # [T, *batch]

    The gradient at step t is by the state as step t + 1 reads it (Hochreiter 1991; Pascanu,
    Mikolov & Bengio 2013, eq. 3-5): it is what the outputs after t owe to it, and the last state.
    The output of step t itself does not come in, so that with a loss of the last output the
    gradient at the last step is zero. With ``with_last`` and a loss of the last state's h the
    gradient by that h at the last step is the loss's own.

    It is zero in the padding, and in front of a reset for what comes after it. In a composite the
    states of each part count as of their own: a layer's state is what its own next step reads.

    It takes a forward pass for the outputs, a second one and a backward pass; the gradients take
    as much as the states over time.

    Args:
        cell: The cell, or a layer such as ``lj.bidirectional``.
        params: As for ``lj.unroll``, like the arguments that follow.
        xs: The inputs, ``[T, *batch, D]``.
        loss: ``ys -> []``, a scalar of the outputs ``[T, *batch, H]``. That of a mean over rows
            has gradients as small as the rows are many.
        state: The state before the first step.
        with_last: Whether the loss reads the last state too, ``(ys, last) -> []``.
        lengths: The number of steps that count in each row, ``[*batch]``.
        resets: Where rows start anew, ``[T, *batch]``.
        reverse: Whether each row runs from its last step that counts to its first.
        key: The random key of noisy cells.

    Returns:
        The ``GradientFlow``.

    Raises:
        ValueError, TypeError: For a wrong argument, and for a loss that is not a real scalar.
    """
    call = check_call(cell, params, xs, state, lengths, resets, key, reverse)
    if not callable(loss):
        raise WrongType(f"loss: expected a function of the outputs, got {loss!r}")
    checking.flag("with_last", with_last)
    ys, last = _run(call)
    floats, others = partition(last)

    def checked(ys: jax.Array, floats: Any) -> jax.Array:
        value = jnp.asarray(loss(ys, combine(floats, others)) if with_last else loss(ys))
        if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
            raise WrongValue(
                f"loss: expected a scalar float, got {value.dtype.name} of shape {value.shape}"
            )
        return value

    # Outside of the compiled functions: what the loss closes over may change between two calls.
    value, cotangents = jax.value_and_grad(checked, (0, 1))(ys, floats)
    return _pull(call, value, *cotangents)


@jax.jit
def _run(call: Call) -> tuple[jax.Array, State]:
    trace = follow(start_traversal(call))
    return trace.outputs, trace.last


@jax.jit
def _pull(call: Call, loss: jax.Array, d_ys: jax.Array, d_last: State) -> GradientFlow:
    """The gradients by the states, from those of ``loss`` by the outputs and the last state."""
    traversal = start_traversal(call)

    def run(added: State) -> tuple[Any, Trace]:
        trace = follow(disturb(traversal, added))
        return (trace.outputs, partition(trace.last)[0]), trace

    _, pull, trace = jax.vjp(run, zeros_to_add(traversal), has_aux=True)
    (gradients,) = pull((d_ys, d_last))
    rank = trace.mask.ndim
    norms = jax.tree.map(lambda leaf: norm(leaf, tuple(range(rank, leaf.ndim))), gradients)
    total = norm(jnp.stack(jax.tree.leaves(norms), axis=-1))
    one_way = trace.runs_one_way(call.reverse)
    return GradientFlow(loss, gradients, norms, total, trace.mask, call.reverse, one_way)
