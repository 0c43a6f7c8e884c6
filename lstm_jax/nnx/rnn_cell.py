"""``lj.nnx.RNNCell``: a cell as ``nnx.RNNCellBase``."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from lstm_jax._internal import cell_checks, checking
from lstm_jax._internal.dtypes import same_precision
from lstm_jax._internal.errors import WrongValue
from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.cell import Cell
from lstm_jax.core.typing import Params, State
from lstm_jax.nnx.noise import draw_key, needs_key
from lstm_jax.nnx.variables import NO_METADATA, make_params, stream_of, values_of


class SequenceKey(nnx.RngState):
    """The key of the noise of the current sequence."""


class RNNCell(nnx.RNNCellBase):
    """A cell as a cell of Flax NNX, for ``nnx.RNN`` and code that steps a cell itself.

        nnx.RNN(lj.nnx.RNNCell(lj.lstm(128), in_features, rngs=rngs))

    It is run step by step with JAX's own derivatives; ``lj.nnx.Recurrent`` has the fast methods.
    The carry is the state of the cell.

    A noisy cell draws the key of a sequence in ``initialize_carry``, which ``nnx.RNN`` calls
    unless it is given an ``initial_carry``. Then the noise goes on with the last key.

    Args:
        cell: Any cell that can be stepped.
        in_features: The input size D.
        deterministic: Whether noise is off, as for ``Recurrent``.
        param_dtype: The dtype of the weights.
        param_metadata: Metadata of the weights by entry, as for ``Recurrent``.
        params: Weights to start from, as ``lj.unroll`` takes them; by default new ones.
        rng_collection: The stream of the noise.
        rngs: Weights are drawn from the stream "params". A noisy cell keeps a stream of its own,
            forked from ``rng_collection``.

    Raises:
        ValueError, TypeError: For a wrong argument, also in the calls.
    """

    def __init__(
        self,
        cell: Cell,
        in_features: int,
        *,
        deterministic: bool = False,
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
        self.hidden_features = cell.size
        self.deterministic = checking.flag("deterministic", deterministic)
        self.rng_collection = checking.name("rng_collection", rng_collection)
        self.params = nnx.data(
            make_params(cell, self.in_features, params, param_dtype, param_metadata, rngs)
        )
        self.noisy = needs_key(cell, values_of(self.params))
        stream = stream_of("rngs", rngs, rng_collection).fork() if self.noisy else None
        self.rngs = nnx.data(stream)
        # Not in the carry: nnx.RNN takes the carry of a row at its length, and a key has no rows.
        key = None if stream is None else SequenceKey(stream(), tag=rng_collection)
        self.sequence_key: Any = nnx.data(key)

    @property
    def cell(self) -> Cell:
        """The cell."""
        return self._cell

    @default_promotion
    def __call__(self, carry: State, inputs: Any) -> tuple[State, jax.Array]:
        """One step: ``inputs [*batch, in_features]`` to ``(carry, outputs [*batch, H])``."""
        inputs = cell_checks.inputs(self.cell, "inputs", inputs)
        if inputs.shape[-1] != self.in_features:
            raise WrongValue(
                f"inputs: expected [*batch, {self.in_features}], the module's in_features, "
                f"got shape {inputs.shape}"
            )
        params = values_of(self.params)
        same_precision("inputs", inputs, params)
        cell_checks.state(self.cell, params, carry, self.cell.batch_shape(inputs.shape), "carry")
        key = None
        if self.noisy and not self.deterministic:
            key = self.sequence_key.get_value()
        return self.cell.step(params, carry, inputs, key=key)

    def initialize_carry(
        self,
        input_shape: tuple[int, ...],
        rngs: nnx.Rngs | nnx.RngStream | None = None,
        carry_init: Any = None,
    ) -> State:
        """The initial state for inputs of shape ``[*batch, in_features]``.

        Args:
            input_shape: The shape of the inputs of a step.
            rngs: Where the key of the noise comes from; by default the cell's own stream.
            carry_init: Must be None: the cell defines its initial state (``lj.learned_state``).
        """
        if carry_init is not None:
            raise WrongValue(
                "carry_init: expected None, since the cell defines its initial state (see "
                f"lj.learned_state), got {carry_init!r}"
            )
        shape = checking.batch_shape("input_shape", input_shape)
        if self.noisy and not self.deterministic:
            key = draw_key(rngs, self.rngs, self.rng_collection)
            self.sequence_key.set_value(key)
        return self.cell.initial_state(values_of(self.params), self.cell.batch_shape(shape))

    @property
    def num_feature_axes(self) -> int:
        """The number of feature axes of the inputs: 1, and 3 for images."""
        return self.cell.feature_axes

    def set_view(self, deterministic: bool | None = None) -> None:
        """Sets ``deterministic`` in a copy that ``nnx.view`` makes."""
        if deterministic is not None:
            self.deterministic = checking.flag("deterministic", deterministic)
