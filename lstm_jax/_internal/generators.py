"""One generator of random numbers behind all keys: threefry.

What "rbg" and "unsafe_rbg" draw depends on the whole shape that is drawn, and is other under
``jax.vmap``, so the same noise in chunks, by steps and for a row alone is not to be had from them.
A key of any of JAX's generators is taken; what is drawn comes from a threefry key made of it.
"""

from typing import Any

import jax

THREEFRY = "threefry2x32"


def as_threefry(key: jax.Array) -> jax.Array:
    """``key`` itself if it is one of threefry, else a threefry key made of all its words."""
    if str(jax.random.key_impl(key)) == THREEFRY:
        return key
    return threefry_of(jax.random.key_data(key))


@jax.jit
def threefry_of(words: jax.Array) -> jax.Array:
    """A threefry key that depends on each of ``words``, those of another generator's key."""
    key = jax.random.key(0, impl=THREEFRY)
    for word in words.reshape(-1):
        key = jax.random.fold_in(key, word)
    return key


def split_key(key: Any, n: int) -> list:
    """One key for each of ``n`` parts; no key gives none."""
    return [None] * n if key is None else list(jax.random.split(key, n))
