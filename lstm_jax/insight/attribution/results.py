"""What a method of attribution returns."""

import dataclasses

import jax
import jax.numpy as jnp

from lstm_jax._internal.errors import WrongValue


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Attribution:
    """What each input contributed to an output, in units of that output.

    Attributes:
        values: The share of each input at each step, ``[T, *batch, D]``, zero in the padding;
            ``[T, *batch, 1]`` if a method takes the inputs of a step together.
        output: The output that is explained, ``[*batch]``.
        expected: What the values should add up to, ``[*batch]``: the output minus that of the
            baseline (``integrated_gradients``), or the output (``relevance``). None for a method
            that promises no sum.
        of_state: The share of the state before the first step, ``[*batch]``, for ``relevance``:
            what does not reach an input. None for other methods.
    """

    values: jax.Array
    output: jax.Array
    expected: jax.Array | None = None
    of_state: jax.Array | None = None

    @property
    def of_steps(self) -> jax.Array:
        """The share of each step, ``[T, *batch]``: the sum over its inputs."""
        return jnp.sum(self.values, axis=-1)

    @property
    def size_of_steps(self) -> jax.Array:
        """How much each step matters in either direction, ``[T, *batch]``: the sum of the sizes of
        the shares of its inputs, which do not cancel."""
        return jnp.sum(jnp.abs(self.values), axis=-1)

    @property
    def residual(self) -> jax.Array:
        """The sum of all shares, that of the state included, minus ``expected``: ``[*batch]``.

        For ``integrated_gradients`` its size is the completeness gap (Sundararajan et al. 2017,
        proposition 1), for ``relevance`` what the rules did not conserve.

        Raises:
            ValueError: If the method promises no sum.
        """
        if self.expected is None:
            raise WrongValue(
                "residual: expected an attribution by integrated_gradients or relevance, whose "
                "values should add up to something, got one by another method"
            )
        total = jnp.sum(self.of_steps, axis=0)
        if self.of_state is not None:
            total = total + self.of_state
        return total - self.expected

    @property
    def gap(self) -> jax.Array:
        """The size of ``residual``, ``[*batch]``."""
        return jnp.abs(self.residual)

    @property
    def relative_gap(self) -> jax.Array:
        """``gap`` as a share of the size of ``expected``, ``[*batch]``; 0 if both are 0."""
        gap, expected = self.gap, self.expected
        assert expected is not None
        return jnp.where(gap == 0, 0.0, gap / jnp.abs(expected))
