"""Compares lstm_jax with its peers, in one process, in turns: ``python -m benchmarks``.

Flax NNX, Haiku, Equinox, Keras on JAX and PyTorch get the same weights and the same work, and their
results are compared before anything is timed. A killed run continues with the same command. All of
it takes tens of minutes; ``--cells lstm --shapes 20x35x200x200 --layers 1 --no-memory
--no-allocator`` takes one.
"""

import sys
from pathlib import Path
from typing import Annotated

from benchmarks.harness.command_line import run_command
from benchmarks.harness.machine import use_all_cores


def main(argv: list[str]) -> int:
    """Runs the command and returns its exit code; a user's mistake is a one-line error."""
    import tyro

    from benchmarks.harness import conduct
    from benchmarks.harness.config import BenchmarkConfig

    def command(
        settings: Annotated[BenchmarkConfig, tyro.conf.arg(name="")],
        *,
        out: Path = Path("runs/benchmarks"),
        overwrite: bool = False,
    ) -> int:
        """Measures and reports.

        Args:
            settings: What is compared.
            out: Run folder.
            overwrite: Start from scratch, and delete the run that is in the folder.
        """
        return conduct.conduct(settings, out, overwrite=overwrite)

    return run_command(command, argv, program="python -m benchmarks", description=__doc__)


if __name__ == "__main__":
    use_all_cores()
    sys.exit(main(sys.argv[1:]))
