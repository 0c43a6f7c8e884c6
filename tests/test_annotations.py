"""Annotations are enforced, also in functions inside functions, each with its own closure."""

import jax.numpy as jnp
import jaxtyping
import pytest
from beartype import beartype
from jaxtyping import Array, Float

import lstm_jax as lj
from lstm_jax import train


def power_of(exponent, result=None):
    @jaxtyping.jaxtyped(typechecker=beartype)
    def power(x: Float[Array, "n"], times: int = exponent) -> Float[Array, "n"]:
        if result is not None:
            return result
        return x if times == 1 else x * power(x, times - 1)

    return power


def test_each_function_of_a_definition_is_itself():
    square, cube = power_of(2), power_of(3)
    x = jnp.array([2.0, 3.0])
    assert cube(x).tolist() == [8, 27] and square(x).tolist() == [4, 9] and cube(x, 1) is x
    assert square.__name__ == "power" and square.__wrapped__ is not cube.__wrapped__


@pytest.mark.parametrize("exponent", [1, 2])
def test_arguments_and_results_are_checked(exponent):
    power = power_of(exponent)
    for wrong in (jnp.ones((2, 2)), jnp.ones(2, int), 1.0):
        with pytest.raises(jaxtyping.TypeCheckError, match="parameters"):
            power(wrong)
    with pytest.raises(jaxtyping.TypeCheckError, match="return value"):
        power_of(exponent, result=jnp.ones(3))(jnp.ones(2))
    assert power(jnp.ones(2)).shape == (2,)  # and after an error


def test_those_of_the_package_are():
    model = train.recurrent(lj.rnn(2), 3, 1)
    with pytest.raises(jaxtyping.TypeCheckError, match=r"recurrent\.<locals>\.init"):
        model.init(jnp.zeros(2))
