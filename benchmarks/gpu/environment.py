"""The GPU, its driver, and the versions of everything that the numbers depend on."""

import importlib.metadata
import subprocess
from typing import Any

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch")
QUERY = "name,driver_version,memory.total,clocks.max.sm"


def describe() -> dict[str, Any]:
    """The environment as JSON, with None for what is not installed; starts JAX."""
    import jax

    import lstm_jax
    from benchmarks.harness import machine
    from experiments.harness.run import versions

    device = jax.devices()[0]
    return {
        "platform": device.platform,
        "device": device.device_kind,
        "devices": len(jax.devices()),
        "card": query_cards(),
        **machine.describe(),
        **{name: versions.package_version(name) for name in PACKAGES},
        "lstm_jax": lstm_jax.__version__,
        **jax_cuda_versions(),
        **torch_cuda_versions(),
        "nvidia_packages": nvidia_packages(),
        "git": versions.git_revision(),
    }


def query_cards() -> list[dict[str, str]] | None:
    """The driver's description of each GPU; None without a driver."""
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [line.split(", ") for line in result.stdout.splitlines() if line.strip()]
    return [dict(zip(QUERY.split(","), row, strict=False)) for row in rows]


def nvidia_packages() -> dict[str, str]:
    """CUDA's libraries and JAX's plugins, if they are installed as Python packages."""
    found = {dist.metadata["Name"]: dist.version for dist in importlib.metadata.distributions()}
    return {
        name: found[name]
        for name in sorted(found, key=str)
        if name and name.lower().startswith(("nvidia-", "jax-cuda", "jax_cuda"))
    }


def jax_cuda_versions() -> dict[str, int | None]:
    """Versions as numbers, such as 13000 for CUDA 13.0 and 91002 for cuDNN 9.10.2."""
    names = {"cuda": "cuda_runtime_get_version", "cudnn": "cudnn_get_version"}
    try:
        from jax._src.lib import cuda_versions  # JAX has no public name for them

        return {key: int(getattr(cuda_versions, name)()) for key, name in names.items()}
    except Exception:  # no CUDA, or an incompatible JAX
        return dict.fromkeys(names)


def torch_cuda_versions() -> dict[str, Any]:
    try:
        import torch

        cudnn = torch.backends.cudnn.version()
        return {"torch_cuda": torch.version.cuda, "torch_cudnn": cudnn}
    except Exception:  # not installed, or broken
        return {"torch_cuda": None, "torch_cudnn": None}
