"""One generator of random numbers behind all keys: threefry.

Draws of "rbg" and "unsafe_rbg" depend on the whole shape and differ under ``jax.vmap``, so they
cannot give the same noise in chunks, step by step and for one row alone. Keys of all of JAX's
generators are accepted; the noise is drawn from a threefry key made of them.
"""

from typing import Any

import jax

THREEFRY = "threefry2x32"


def as_threefry(key: jax.Array) -> jax.Array:
    """``key`` itself if it is a threefry key, else a threefry key made of all its words."""
    if str(jax.random.key_impl(key)) == THREEFRY:
        return key
    return threefry_of(jax.random.key_data(key))


@jax.jit
def threefry_of(words: jax.Array) -> jax.Array:
    """A threefry key that depends on each of the ``words`` of another generator's key."""
    key = jax.random.key(0, impl=THREEFRY)
    for word in words.reshape(-1):
        key = jax.random.fold_in(key, word)
    return key


def split_key(key: Any, n: int) -> list[Any]:
    """One key for each of ``n`` parts; each is None if ``key`` is None."""
    return [None] * n if key is None else list(jax.random.split(key, n))
