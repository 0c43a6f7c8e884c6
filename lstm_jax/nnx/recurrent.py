"""``lj.nnx.Recurrent``: a module around any cell, wrapper or stack."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx.nn.recurrent import flip_sequences

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.dtypes import same_precision
from lstm_jax._internal.errors import ArgumentError, WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import Params, State
from lstm_jax.nnx.noise import draw_key, needs_key, require_rngs
from lstm_jax.nnx.variables import NO_METADATA, Carry, make_params, set_values, stream_of, values_of
from lstm_jax.unrolling.driver import unroll
from lstm_jax.unrolling.methods.deferred_options import Deferred


class Recurrent(nnx.Module):
    """A recurrent layer of Flax NNX around any cell, wrapper or stack, run by ``lj.unroll``.

        self.rnn = nnx.RNN(nnx.LSTMCell(in_features, 128, rngs=rngs))
        self.rnn = lj.nnx.Recurrent(lj.lstm(128), in_features, rngs=rngs)  # takes its place

    It is called as ``nnx.RNN`` is, so that it fits into ``nnx.Bidirectional`` and
    ``nnx.Sequential`` too. Its weights are one ``nnx.Param`` per array, in the structure of
    ``cell.init``, below ``params``. Unlike in ``nnx.RNN``, outputs in the padding are zero, and the
    carry of a row of length 0 is its initial one.

    Args:
        cell: A cell, such as ``lj.chain(lj.lstm(128), lj.dropout(lj.lstm(128), 0.5))``, or a layer
            such as ``lj.bidirectional``.
        in_features: The input size D.
        time_major: Whether inputs and outputs are ``[time, *batch, features]``, the layout in which
            nothing is transposed, instead of ``[*batch, time, features]``.
        return_carry: Whether a call returns ``(carry, outputs)``, with the state of the cell after
            the last step, instead of ``outputs``.
        reverse: Whether each row runs from its last step that counts to its first.
        keep_order: In reverse, whether outputs stay at the time of their inputs, instead of in the
            order in which they were computed.
        stateful: Whether a call starts with the carry that the last one ended with, which the
            module keeps as ``Carry`` variables. See ``reset_carry``.
        deterministic: Whether noise, such as that of ``lj.dropout``, is off. ``module.eval()`` and
            ``module.train()`` set it, as for ``nnx.Dropout``.
        method: As for ``lj.unroll``.
        checkpoint_every: As for ``lj.unroll``.
        param_dtype: The dtype of the weights. To compute in another, use ``lj.mixed_precision``.
        param_metadata: Metadata of the weights by entry, such as ``{"w_x": {"out_sharding": (None,
            "model")}}``. An entry of one part is named by its path: "0.w_x" in a chain.
        params: Weights to start from, as ``lj.unroll`` takes them; by default new ones.
        rng_collection: The stream of the noise.
        rngs: Weights are drawn from the stream "params". A noisy cell keeps a stream of its own,
            forked from ``rng_collection``.

    Raises:
        ValueError, TypeError: For a wrong argument.
    """

    def __init__(
        self,
        cell: Cell,
        in_features: int,
        *,
        time_major: bool = False,
        return_carry: bool = False,
        reverse: bool = False,
        keep_order: bool = False,
        stateful: bool = False,
        deterministic: bool = False,
        method: str | Deferred = "auto",
        checkpoint_every: int | str | None = None,
        param_dtype: Any = jnp.float32,
        param_metadata: Mapping[str, Mapping[str, Any]] = NO_METADATA,
        params: Params | None = None,
        rng_collection: str = "dropout",
        rngs: nnx.Rngs,
    ) -> None:
        cell_checks.cell("cell", cell)
        self.cell_name = cell.name
        self._cell = nnx.static(cell)
        self.in_features = checking.positive_int("in_features", in_features)
        self.out_features = cell.size
        self.time_major = checking.flag("time_major", time_major)
        self.return_carry = checking.flag("return_carry", return_carry)
        self.reverse = checking.flag("reverse", reverse)
        self.keep_order = checking.flag("keep_order", keep_order)
        self.stateful = checking.flag("stateful", stateful)
        self.deterministic = checking.flag("deterministic", deterministic)
        self.method = method
        self.checkpoint_every = checkpoint_every
        self.rng_collection = checking.name("rng_collection", rng_collection)
        self.params = nnx.data(
            make_params(cell, self.in_features, params, param_dtype, param_metadata, rngs)
        )
        self.noisy = needs_key(cell, values_of(self.params))
        stream = stream_of("rngs", rngs, rng_collection).fork() if self.noisy else None
        self.rngs = nnx.data(stream)
        self.carry = nnx.data(None)
        self.carry_batch_shape: tuple[int, ...] | None = None
        _check_options(self, values_of(self.params))

    @property
    def cell(self) -> Cell:
        """The cell."""
        return self._cell

    @default_promotion
    def __call__(
        self,
        inputs: Any,
        *,
        initial_carry: State | None = None,
        seq_lengths: Any = None,
        resets: Any = None,
        return_carry: bool | None = None,
        time_major: bool | None = None,
        reverse: bool | None = None,
        keep_order: bool | None = None,
        deterministic: bool | None = None,
        rngs: nnx.Rngs | nnx.RngStream | jax.Array | None = None,
    ) -> Any:
        """Runs the cell over ``inputs``. Options that are not given are those of the module.

        Args:
            inputs: ``[*batch, time, in_features]``, or ``[time, *batch, in_features]`` if
                ``time_major``; ``*batch`` is any number of axes, including none.
            initial_carry: The state before the first step; by default the carry that a stateful
                module keeps, or ``cell.initial_state``.
            seq_lengths: The number of steps that count in each row, ``[*batch]``; by default all.
            resets: Booleans in the layout of ``inputs``, without features. Where True, the row
                returns to the initial state before that step.
            return_carry: See the class, as for the options that follow.
            time_major: Whether time is the first axis.
            reverse: Whether rows run backwards.
            keep_order: Whether outputs in reverse stay at the time of their inputs.
            deterministic: Whether noise is off.
            rngs: Where the key of this call's noise comes from: ``nnx.Rngs``, a stream, or the key
                itself; by default the module's own stream. Each call draws one key, for all of its
                steps. Chunks of a sequence that share a key have the noise of the whole.

        Returns:
            ``outputs [*batch, time, H]``, or ``(carry, outputs)``.

        Raises:
            ValueError, TypeError: At trace time, for a wrong argument.
        """
        time_major = self._option("time_major", time_major)
        reverse = self._option("reverse", reverse)
        keep_order = self._option("keep_order", keep_order)
        return_carry = self._option("return_carry", return_carry)
        deterministic = self._option("deterministic", deterministic)
        axes = "[time, *batch, features]" if time_major else "[*batch, time, features]"
        inputs = checking.float_array("inputs", inputs, axes, 1 + self.cell.feature_axes)
        if inputs.shape[-1] != self.in_features:
            raise WrongValue(
                f"inputs: expected {axes} with {self.in_features} features, the module's "
                f"in_features, got shape {inputs.shape}"
            )
        params = values_of(self.params)
        size = cell_checks.input_size_of(self.cell, params)
        if size != self.in_features:
            raise WrongValue(
                f"params: expected those of {self.cell.name} for {self.in_features} features, the "
                f"module's in_features, got those for {size}"
            )
        same_precision("inputs", inputs, params)
        time_axis = 0 if time_major else inputs.ndim - 1 - self.cell.feature_axes
        xs = jnp.moveaxis(inputs, time_axis, 0)
        steps, batch = xs.shape[0], self.cell.batch_shape(xs.shape[1:])
        if seq_lengths is not None:
            seq_lengths = checking.lengths(seq_lengths, steps, batch, "seq_lengths", "inputs")
        if resets is not None:
            resets = _check_resets(resets, self.cell.batch_shape(inputs.shape))
            resets = jnp.moveaxis(resets, time_axis, 0)
        if initial_carry is not None:
            cell_checks.state(self.cell, params, initial_carry, batch, "initial_carry")
        elif self.stateful:
            initial_carry = self._kept_carry(params, batch)
        if self.stateful and reverse:
            raise WrongValue("reverse: expected False for a stateful module, got True")
        key = None
        if self.noisy and not deterministic:
            key = draw_key(rngs, self.rngs, self.rng_collection)
        elif rngs is not None:
            require_rngs(rngs)

        carry, ys = unroll(
            self.cell,
            params,
            xs,
            initial_carry,
            lengths=seq_lengths,
            resets=resets,
            reverse=reverse,
            method=self.method,
            checkpoint_every=self.checkpoint_every,
            key=key,
        )
        if self.stateful:
            self._keep_carry(carry, batch)
        if reverse and not keep_order:
            ys = flip_sequences(ys, seq_lengths, len(batch), time_major=True)
        outputs = jnp.moveaxis(ys, 0, time_axis)
        return (carry, outputs) if return_carry else outputs

    def reset_carry(self, batch_shape: tuple[int, ...] | None = None) -> None:
        """Returns the carry of a stateful module to the initial state, for new sequences.

        The first call of a stateful module makes the carry, if this has not. Under ``nnx.scan`` and
        in tree mode, where a call may not add variables, make it before.

        Args:
            batch_shape: The batch axes, such as ``(32,)``; by default those of the last call.

        Raises:
            ValueError: For a module that is not stateful.
        """
        if not self.stateful:
            raise WrongValue("stateful: expected a module with stateful=True, got False")
        if batch_shape is None:
            batch_shape = self.carry_batch_shape
        if batch_shape is not None:
            batch = checking.batch_shape("batch_shape", batch_shape)
            self._keep_carry(self.cell.initial_state(values_of(self.params), batch), batch)

    def set_view(self, deterministic: bool | None = None) -> None:
        """Sets ``deterministic`` in a copy that ``nnx.view`` makes."""
        if deterministic is not None:
            self.deterministic = checking.flag("deterministic", deterministic)

    def _option(self, name: str, value: bool | None) -> bool:
        return bool(getattr(self, name)) if value is None else checking.flag(name, value)

    def _kept_carry(self, params: Params, batch: tuple[int, ...]) -> State | None:
        if self.carry is None:
            return None
        carry = values_of(self.carry)
        # Its own shapes, since nnx.update may have put the carry of another batch there.
        kept = _shapes(carry)
        initial = jax.eval_shape(lambda params: self.cell.initial_state(params, batch), params)
        if kept != _shapes(initial):
            raise WrongValue(
                f"inputs: expected the batch axes of the carry that the module keeps, whose shapes "
                f"are {kept}, got {batch}; to start anew, call reset_carry({batch})"
            )
        return jax.lax.stop_gradient(carry)

    def _keep_carry(self, carry: State, batch: tuple[int, ...]) -> None:
        if self.carry is not None and _shapes(values_of(self.carry)) == _shapes(carry):
            set_values(self.carry, carry)
        else:
            self.carry = nnx.data(jax.tree.map(Carry, carry))
        if self.carry_batch_shape != batch:
            self.carry_batch_shape = batch


def _shapes(state: State) -> list[tuple[int, ...]]:
    return [leaf.shape for leaf in jax.tree.leaves(state)]


def _check_resets(resets: Any, shape: tuple[int, ...]) -> jax.Array:
    value = checking.array("resets", resets)
    if value.dtype != jnp.bool_:
        raise WrongValue(f"resets: expected booleans, got dtype {value.dtype.name}")
    if value.shape != shape:
        raise WrongValue(
            f"resets: expected shape {shape}, that of inputs without features, got {value.shape}"
        )
    return value


def _check_options(module: Recurrent, params: Params) -> None:
    """Refuses wrong options of ``lj.unroll``; and, if the module is stateful, a layer that cannot
    be stepped, since chunks of it are not the whole."""
    cell = module.cell
    dtype = jnp.result_type(jnp.float32, *jax.tree.leaves(params))
    xs = jax.ShapeDtypeStruct((1, 1, *cell.grid.inputs, module.in_features), dtype)
    options: Any = {"method": module.method, "checkpoint_every": module.checkpoint_every}
    jax.eval_shape(lambda params, xs: unroll(cell, params, xs, **options), params, xs)
    if not module.stateful:
        return
    try:
        jax.eval_shape(lambda p, xs: cell.step(p, cell.initial_state(p), xs[0, 0]), params, xs)
    except ArgumentError as error:
        raise WrongValue(f"stateful: expected False for {cell.name}, got True ({error})") from error
