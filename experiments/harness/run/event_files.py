"""The measurements as event files for TensorBoard; an option that does not affect the numbers.

FOLDER/SETTING/CONTENDER/tensorboard/   training loss and validation score, one tag per run
"""

from pathlib import Path
from typing import Any

from experiments.harness.run.jobs import Job, slug


def require_tensorboard() -> None:
    """Raises ImportError if tensorboardX is missing."""
    try:
        import tensorboardX  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"tensorboard: expected the package tensorboardX, got {error}; "
            "install it with pip install 'lstm_jax[tensorboard]'"
        ) from None


class Events:
    """The event file of one job.

    Each process writes it anew from the lines so far, so that no step is in it twice.
    """

    def __init__(self, job: Job, path: Path, lines: list[dict[str, Any]]):
        """Writes the ``lines`` so far to ``path``, the job's folder."""
        from tensorboardX import SummaryWriter

        folder = path / "tensorboard"
        for file in folder.glob("events.out.tfevents.*"):
            file.unlink()
        self._writer = SummaryWriter(str(folder), flush_secs=10)
        self._runs = [
            f"seed_{seed}_rate_{rate:g}"
            for seed, rate in zip(job.seeds, job.learning_rates, strict=True)
        ]
        self._score = f"validation_{slug(job.setting.task.score.name)}"
        self._seconds = 0.0
        for line in lines:
            self.add(line)

    def add(self, line: dict[str, Any]) -> None:
        """Adds the numbers of a line of metrics.jsonl; a run that diverged has none."""
        # The clock counts training only, so that the relative axis is right even after a resume.
        self._seconds += line["seconds"]
        for tag, name in (("train_loss", "train_loss"), (self._score, "validation")):
            for run, value in zip(self._runs, line[name], strict=True):
                if value is not None:
                    self._writer.add_scalar(f"{tag}/{run}", value, line["step"], self._seconds)

    def close(self) -> None:
        self._writer.close()
