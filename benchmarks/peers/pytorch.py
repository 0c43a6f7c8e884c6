"""PyTorch: ``nn.LSTM`` or ``nn.GRU``, time first; one thread per core, or cuDNN on a GPU.

Its gates are in our order, its weights transposed. It has a second bias, which is zero here, and
whose gradient is computed but not compared.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.harness.work import Layer, Work

PACKAGE = "torch"
CONVENTIONS = {"lstm": "default", "gru": "default"}


def module(cell: str, layers: list[Layer]) -> torch.nn.Module:
    kind: Any = torch.nn.LSTM if cell == "lstm" else torch.nn.GRU
    made = kind(layers[0]["w_x"].shape[0], layers[0]["w_h"].shape[0], num_layers=len(layers))
    with torch.no_grad():
        for i, layer in enumerate(layers):
            getattr(made, f"weight_ih_l{i}").copy_(torch.from_numpy(layer["w_x"].T.copy()))
            getattr(made, f"weight_hh_l{i}").copy_(torch.from_numpy(layer["w_h"].T.copy()))
            getattr(made, f"bias_ih_l{i}").copy_(torch.from_numpy(layer["b"]))
            getattr(made, f"bias_hh_l{i}").zero_()
    return made


class Torch:
    """The contender, ready to be timed, as ``benchmarks.harness.build.Ready``.

    Args:
        work: The weights, the inputs and the loss.
        device: "cpu" or "cuda"; there, float32 products are in full float32 and not in TF32.
        dtype: Of weights, inputs and outputs; the loss is a sum in float32.
    """

    def __init__(self, work: Work, *, device: str = "cpu", dtype: str = "float32"):
        torch.set_num_threads(os.cpu_count() or 1)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        kind = {"device": torch.device(device), "dtype": getattr(torch, dtype)}
        self._on_gpu = device != "cpu"
        self._module = module(work.cell, work.layers).to(**kind)
        self._module.flatten_parameters()
        self._layers = len(work.layers)
        self._xs = torch.from_numpy(work.xs).clone().to(**kind).requires_grad_()
        self._r = torch.from_numpy(work.r).clone().to(device)
        self._leaves = [*self._module.parameters(), self._xs]

    def forward(self) -> Any:
        with torch.no_grad():
            return self._wait(self._module(self._xs)[0])

    def both(self) -> Any:
        loss = (self._module(self._xs)[0].to(self._r.dtype) * self._r).sum()
        return self._wait((loss.detach(), torch.autograd.grad(loss, self._leaves)))

    def _wait(self, result: Any) -> Any:
        """Waits for a GPU, whose calls return before their work is done."""
        if self._on_gpu:
            torch.cuda.synchronize()
        return result

    def outputs(self) -> np.ndarray:
        return self.forward().float().cpu().numpy()

    def gradients(self) -> tuple[list[Layer], np.ndarray]:
        gradients = [gradient.float().cpu().numpy() for gradient in self.both()[1]]
        names = [name for name, _ in self._module.named_parameters()]
        named = dict(zip(names, gradients[:-1], strict=True))
        layers = [
            {
                "w_x": named[f"weight_ih_l{i}"].T,
                "w_h": named[f"weight_hh_l{i}"].T,
                "b": named[f"bias_ih_l{i}"],
            }
            for i in range(self._layers)
        ]
        return layers, gradients[-1]


def make_stepper(cell: str, layers: list[Layer], x: np.ndarray) -> Callable[[], Any]:
    """A function whose every call does one step of ``nn.LSTMCell`` or ``nn.GRUCell``, from the
    previous state."""
    torch.set_num_threads(os.cpu_count() or 1)
    kind: Any = torch.nn.LSTMCell if cell == "lstm" else torch.nn.GRUCell
    (layer,) = layers
    made = kind(layer["w_x"].shape[0], layer["w_h"].shape[0])
    values = [layer["w_x"].T, layer["w_h"].T, layer["b"], np.zeros_like(layer["b"])]
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    with torch.no_grad():
        for name, value in zip(names, values, strict=True):
            getattr(made, name).copy_(torch.from_numpy(value.copy()))
    state: Any = None
    inputs = torch.from_numpy(x)

    def step() -> Any:
        nonlocal state
        with torch.inference_mode():
            state = made(inputs, state)
        return state[0] if cell == "lstm" else state

    return step
