"""Modules of other libraries with distinct, nonzero weights, and how they are run.

The functions skip the test if the library is not installed.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import interop

T, B, D, H = 4, 2, 3, 4


class Peer(NamedTuple):
    """A module of another library.

    arrays: its weights, a pytree.
    run: ``run(xs, cotangent) -> (ys, (gradients of arrays, gradient of xs))``, time first.
    ours: ``arrays -> (cell, params)``; it can be differentiated.
    written: ``(cell, params) -> Peer``, the way back.
    """

    arrays: Any
    run: Callable[..., Any]
    ours: Callable[[Any], Any]
    written: Callable[..., "Peer"]


def draw(tree: Any, dtype: Any, seed: int = 0) -> Any:
    """Distinct random values in the shapes of ``tree``."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=np.shape(leaf)) * 0.5, dtype), tree
    )


def pull_back(run: Callable, arrays: Any) -> Callable:
    """The ``Peer.run`` of a function ``run(arrays, xs) -> ys`` of JAX."""

    @jax.jit
    def both(arrays, xs, cotangent):
        ys, pull = jax.vjp(run, arrays, xs)
        return ys, pull(cotangent)

    return partial(both, arrays)


def over_time(step: Callable, zero: Any, xs: jax.Array) -> jax.Array:
    """Runs ``step(state, x) -> (state, y)`` in a plain scan."""
    return jax.lax.scan(step, zero, xs)[1]


# PyTorch


def torch_peer(dtype: str, name: str, **options: Any) -> Peer:
    torch = pytest.importorskip("torch")
    module = getattr(torch.nn, name)(D, H, **options).to(getattr(torch, dtype))
    for i, parameter in enumerate(module.parameters()):
        parameter.data = torch.tensor(np.asarray(draw(parameter.detach().numpy(), dtype, i)))
    return _torch_peer(torch, module, dict(single_step=name.endswith("Cell"), **options))


def _torch_peer(torch: Any, module: Any, options: dict[str, Any]) -> Peer:
    parameters = dict(module.named_parameters())

    def run(xs, cotangent):
        xs = torch.tensor(np.asarray(xs), requires_grad=True)
        ys = _run_torch(torch, module, xs)
        leaves = [*parameters.values(), xs]
        gradients = torch.autograd.grad(ys, leaves, torch.tensor(np.asarray(cotangent)))
        *of_arrays, of_xs = (np.asarray(gradient) for gradient in gradients)
        return ys.detach().numpy(), (dict(zip(parameters, of_arrays, strict=True)), of_xs)

    def ours(arrays):
        if not any(isinstance(leaf, jax.core.Tracer) for leaf in arrays.values()):
            return interop.from_torch(module)
        return interop.from_torch(arrays, nonlinearity=getattr(module, "nonlinearity", None))

    def written(cell, params):
        kept = {n: options[n] for n in ("bias", "batch_first", "single_step") if n in options}
        return _torch_peer(torch, interop.to_torch(cell, params, **kept), options)

    arrays = {name: jnp.asarray(leaf.detach().numpy()) for name, leaf in parameters.items()}
    return Peer(arrays, run, ours, written)


def _run_torch(torch: Any, module: Any, xs: Any) -> Any:
    if isinstance(module, torch.nn.RNNBase):
        if module.batch_first:
            return module(xs.transpose(0, 1))[0].transpose(0, 1)
        return module(xs)[0]
    state, ys = None, []
    for x in xs:
        state = module(x, state)
        ys.append(state[0] if isinstance(state, tuple) else state)
    return torch.stack(ys)


# Keras


def keras_peer(dtype: str, make: Callable) -> Peer:
    keras = pytest.importorskip("keras")
    layer = make(keras.layers, dtype)
    layer = keras.Sequential(layer) if isinstance(layer, list) else layer
    layer.build((None, None, D))
    for cell in _keras_cells(layer):
        if dtype == "float64":  # Keras' own functions round to float32
            names = {"tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu}
            for option in ("activation", "recurrent_activation"):
                own = getattr(getattr(cell, option, None), "__name__", None)
                if own in names:
                    setattr(cell, option, names[own])
    for i, variable in enumerate(layer.trainable_variables):
        variable.assign(draw(variable.value, dtype, i))
    return _keras_peer(keras, layer)


def _keras_cells(layer: Any) -> list[Any]:
    if hasattr(layer, "forward_layer"):
        return [layer.forward_layer.cell, layer.backward_layer.cell]
    if hasattr(layer, "layers"):
        return [cell for one in layer.layers for cell in _keras_cells(one)]
    return getattr(layer.cell, "cells", [layer.cell])


def _keras_peer(keras: Any, layer: Any) -> Peer:
    variables = layer.trainable_variables
    frozen = [variable.value for variable in layer.non_trainable_variables]
    bias = _keras_cells(layer)[0].use_bias

    def run(arrays, xs):
        ys, _ = layer.stateless_call(arrays, frozen, jnp.swapaxes(xs, 0, 1))
        return jnp.swapaxes(ys, 0, 1)

    def ours(arrays):
        with keras.StatelessScope(state_mapping=zip(variables, arrays, strict=True)):
            return interop.from_keras(layer)

    arrays = [variable.value for variable in variables]
    written = lambda c, p: _keras_peer(keras, interop.to_keras(c, p, bias=bias))  # noqa: E731
    return Peer(arrays, pull_back(run, arrays), ours, written)


# Flax


def nnx_peer(dtype: str, make: Callable) -> Peer:
    from flax import nnx

    module = make(nnx, partial(_nnx_cell, dtype))
    split: Any = nnx.split
    _, arrays, _ = split(module, nnx.Param, ...)
    nnx.update(module, draw(arrays, dtype))
    return _nnx_peer(module)


def _nnx_cell(dtype: str, name: str, inputs: int = D, size: int = H, **options: Any) -> Any:
    from flax import nnx

    kinds = {"dtype": jnp.dtype(dtype), "param_dtype": jnp.dtype(dtype), "rngs": nnx.Rngs(0)}
    return getattr(nnx, name)(inputs, size, **kinds, **options)


def _nnx_peer(module: Any) -> Peer:
    from flax import nnx

    split: Any = nnx.split
    graph, arrays, rest = split(module, nnx.Param, ...)

    def merged(arrays):
        return nnx.merge(graph, arrays, jax.tree.map(jnp.array, rest))

    def run(arrays, xs):
        made = merged(arrays)
        if isinstance(made, nnx.Sequential | nnx.Bidirectional):
            return made(xs)
        if isinstance(made, nnx.RNN):
            return made(xs, time_major=True)
        return nnx.RNN(made)(xs, time_major=True)

    def ours(arrays):
        return interop.from_nnx(merged(arrays))

    def written(cell, params):
        return _nnx_peer(interop.to_nnx(cell, params))

    return Peer(arrays, pull_back(run, arrays), ours, written)


def linen_peer(dtype: str, make: Callable) -> Peer:
    from flax import linen

    module = make(linen, lambda name, size=H, **o: getattr(linen, name)(
        size, param_dtype=jnp.dtype(dtype), **o))  # fmt: skip
    xs = jnp.zeros((T, B, D), dtype)
    variables = _as_layer(linen, module).init(jax.random.key(0), xs)
    variables = draw(variables, dtype)
    if isinstance(module, linen.RNNCellBase):
        variables = {"params": variables["params"]["cell"]}
    return _linen_peer(module, variables)


def _as_layer(linen: Any, module: Any) -> Any:
    return linen.RNN(module) if isinstance(module, linen.RNNCellBase) else module


def _linen_peer(module: Any, variables: Any) -> Peer:
    from flax import linen

    def run(variables, xs):
        if isinstance(module, linen.RNNCellBase):
            variables = {"params": {"cell": variables["params"]}}
        options = {} if isinstance(module, linen.Sequential) else {"time_major": True}
        return _as_layer(linen, module).apply(variables, xs, **options)

    return Peer(
        variables,
        pull_back(run, variables),
        partial(interop.from_linen, module),
        lambda cell, params: _linen_peer(*interop.to_linen(cell, params)),
    )


# Equinox


def equinox_peer(dtype: str, make: Callable) -> Peer:
    equinox = pytest.importorskip("equinox")

    def cell(name, inputs=D, size=H, **options):
        kind = getattr(equinox.nn, name)
        return kind(inputs, size, dtype=jnp.dtype(dtype), key=jax.random.key(0), **options)

    return _equinox_peer(draw(make(cell), dtype))


def _equinox_peer(module: Any) -> Peer:
    return Peer(
        module,
        pull_back(jax.vmap(_run_equinox, in_axes=(None, 1), out_axes=1), module),
        interop.from_equinox,
        lambda cell, params: _equinox_peer(
            interop.to_equinox(cell, params, bias=jax.tree.leaves(module)[-1].ndim == 1)
        ),
    )


def _run_equinox(module: Any, xs: Any) -> Any:
    if isinstance(module, tuple):
        for one in module:
            xs = _run_equinox(one, xs)
        return xs
    if isinstance(module, dict):
        backward = jnp.flip(_run_equinox(module["backward"], jnp.flip(xs, 0)), 0)
        return jnp.concatenate([_run_equinox(module["forward"], xs), backward], -1)
    zeros = jnp.zeros(module.hidden_size, xs.dtype)
    if type(module).__name__ == "GRUCell":
        return over_time(lambda h, x: (module(x, h),) * 2, zeros, xs)

    def step(state, x):
        state = module(x, state)
        return state, state[0]

    return over_time(step, (zeros, zeros), xs)


# Haiku


def haiku_peer(dtype: str, make: Callable, names: list[str] | None = None) -> Peer:
    haiku = pytest.importorskip("haiku")
    run = _run_haiku(haiku, lambda: make(haiku))
    xs = jnp.zeros((T, B, D), dtype)
    return _haiku_peer(haiku, run, draw(run.init(jax.random.key(0), xs), dtype), names)


def _run_haiku(haiku: Any, make: Callable) -> Any:
    def run(xs):
        core = make()
        start = jax.tree.map(lambda leaf: leaf.astype(xs.dtype), core.initial_state(B))
        return haiku.dynamic_unroll(core, xs, start)[0]

    return haiku.without_apply_rng(haiku.transform(run))


def _haiku_peer(haiku: Any, run: Any, params: Any, names: Any) -> Peer:
    def written(cell, params):
        make, params = interop.to_haiku(cell, params)
        return _haiku_peer(haiku, _run_haiku(haiku, make), params, names)

    ours = partial(interop.from_haiku, names=names)
    return Peer(params, pull_back(run.apply, params), ours, written)
