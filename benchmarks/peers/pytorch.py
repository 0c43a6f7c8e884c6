"""PyTorch: ``nn.LSTM`` or ``nn.GRU``, time first; one thread per core, or cuDNN on a GPU.

It has a second bias, which is zero here, and whose gradient is computed but not compared.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import lstm_jax as lj
from benchmarks.harness.work import Layer, Work
from benchmarks.peers import weights

PACKAGE = "torch"
CONVENTIONS = {"lstm": "default", "gru": "default"}


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
        self._module = lj.interop.to_torch(*weights.ours(work.cell, work.layers)).to(**kind)
        self._module.flatten_parameters()
        self._work = work
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
        work = self._work
        layers = []
        for i, layer in enumerate(work.layers):
            entries = weights.write("PyTorch", work.cell, layer)
            arrays = {entry: named[f"{entry}_l{i}"] for entry in entries}
            layers.append(weights.read_gradients("PyTorch", work.cell, layer, arrays))
        return layers, gradients[-1]


def make_stepper(cell: str, layers: list[Layer], x: np.ndarray) -> Callable[[], Any]:
    """A function whose every call does one step of ``nn.LSTMCell`` or ``nn.GRUCell``, from the
    previous state."""
    torch.set_num_threads(os.cpu_count() or 1)
    made = lj.interop.to_torch(*weights.ours(cell, layers), single_step=True)
    state: Any = None
    inputs = torch.from_numpy(x)

    def step() -> Any:
        nonlocal state
        with torch.inference_mode():
            state = made(inputs, state)
        return state[0] if cell == "lstm" else state

    return step
