"""The figure of language models: losses against epochs."""

from experiments.harness.report.epochs import draw_epochs
from experiments.harness.run.study import Findings, Results

MEASURES = {
    "loss": "training loss in nats per token",
    "validation_loss": "validation loss in nats per token",
}


def draw_losses(results: Results) -> Findings:
    """Training and validation losses of each net, by epoch."""
    figure = draw_epochs(results, MEASURES, name="losses")
    return Findings(figures={"training and validation loss by epoch": figure})
