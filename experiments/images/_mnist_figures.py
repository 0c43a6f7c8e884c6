"""The figure of the experiments on MNIST: accuracy against epochs."""

from experiments.harness.report.epochs import draw_epochs
from experiments.harness.run.study import Findings, Results

# After ten epochs, at 70,000 parameters (Bai, Kolter & Koltun 2018, table 1).
BAI = {
    "sequential MNIST": {"LSTM, Bai 2018": 0.872, "GRU, Bai 2018": 0.962},
    "permuted MNIST": {"LSTM, Bai 2018": 0.857, "GRU, Bai 2018": 0.873},
}


def draw_accuracy(results: Results) -> Findings:
    """The validation accuracy of each net by epoch, beside the published ones."""
    figure = draw_epochs(
        results, {"validation_accuracy": "validation accuracy"}, lines=BAI.get(results.study.name)
    )
    return Findings(figures={"validation accuracy by epoch": figure})
