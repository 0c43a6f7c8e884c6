"""The jitted step of ``fit``."""

import functools
import re
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Sharding
from jaxtyping import Array, Float, Int, Key

from lstm_jax._internal.promotion import default_promotion
from lstm_jax.core.typing import Params
from lstm_jax.train.averages import fill, sum_and_count
from lstm_jax.train.data.streams import Window
from lstm_jax.train.evaluation import forward
from lstm_jax.train.losses import Loss
from lstm_jax.train.model import Model
from lstm_jax.train.steps import TrainState

ADDRESS = re.compile(r"0x[0-9a-f]+")


class Program:
    """A step of training, jitted, which knows how often it was compiled."""

    def __init__(self, step: Callable[..., Any], sharding: Sharding | None):
        self._traces = 0
        self._step, self._is_spread = step, sharding is not None

        def run_step(*args: Any) -> Any:
            self._traces += 1
            return step(*args)

        self._jitted = jax.jit(run_step, donate_argnums=0, out_shardings=sharding)

    def __call__(self, *args: Any) -> Any:
        return self._jitted(*args)

    def traces(self) -> int:
        return self._traces

    def checksum(self, *args: Any) -> int:
        """Of what is computed, constants such as the learning rate included."""
        if self._is_spread:  # the text must not depend on the devices, nor does what it computes
            args = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), args)
            traced = jax.jit(self._step).trace(*args).jaxpr
        else:
            traced = self._jitted.trace(*args).jaxpr  # kept for the first call
        digest = zlib.crc32(ADDRESS.sub("", str(traced.jaxpr)).encode())
        for constant in traced.consts:
            digest = zlib.crc32(np.ascontiguousarray(constant).tobytes(), digest)
        return digest


@functools.lru_cache(maxsize=32)
def make_program(
    model: Model,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    per: str,
    sharding: Sharding | None = None,
) -> Program:
    """``(state, carry, batch, key) -> (state, carry, mean loss, targets that count)``.

    Args:
        sharding: of all results; None to leave it to JAX.
    """
    axes = 1 if per == "sequence" else 2
    with_extra_args = optax.with_extra_args_support(optimizer)

    @default_promotion
    def step(
        state: TrainState, carry: Any, batch: Any, key: Key[Array, ""]
    ) -> tuple[TrainState, Any, Float[Array, ""], Int[Array, ""]]:
        noise = jax.random.fold_in(key, state.step)

        def loss_of(params: Params) -> tuple[jax.Array, tuple[Any, jax.Array]]:
            if isinstance(batch, Window):
                first = _first_state(model, params, carry, batch)
                new_carry, outputs = forward(model, params, first, batch, noise)
                targets = batch.targets
            else:
                new_carry, outputs = forward(model, params, None, batch, noise)
                outputs, targets = fill(outputs, batch, axes)
            total, count = sum_and_count(loss(outputs, targets), batch.counts, axes)
            return total / jnp.maximum(count, 1).astype(total.dtype), (new_carry, count)

        value_and_gradient = jax.value_and_grad(loss_of, has_aux=True)
        (mean, (new_carry, count)), gradient = value_and_gradient(state.params)
        updates, opt_state = with_extra_args.update(
            gradient,
            state.opt_state,
            state.params,
            value=mean,
            grad=gradient,
            value_fn=lambda params: loss_of(params)[0],
        )
        params = optax.apply_updates(state.params, updates)
        state = TrainState(params, opt_state, state.step + 1)
        return jax.tree.map(strong, state), jax.tree.map(strong, new_carry), mean, count

    return Program(step, sharding)


def strong(leaf: Any) -> Any:
    """``leaf`` without JAX's weak type, for which the next step would be compiled anew."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return leaf
    return jax.lax.convert_element_type(leaf, leaf.dtype)


def _first_state(model: Model, params: Params, carry: Any, window: Window) -> Any:
    """The carried state; in the first window the initial one, which may be learned."""
    assert model.initial_state is not None
    streams = jax.tree.leaves(window.xs)[0].shape[1]
    fresh = model.initial_state(params, streams)
    return jax.tree.map(functools.partial(jnp.where, window.first), fresh, carry)
