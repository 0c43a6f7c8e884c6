"""What remedies against overfitting were worth, and the curves of training and validation loss."""

import numpy as np

from experiments.harness.report.epochs import draw_epochs
from experiments.harness.run.study import Findings, Results

LOSS, ACCURACY, EPOCH = "test loss, best epoch", "test accuracy in %, best epoch", "best epoch"
LAST_LOSS, LAST_ACCURACY = "test loss, last epoch", "test accuracy in %, last epoch"
TRAINING_LOSS = "training loss, last epoch"
NOTHING = "no remedy"


def find(results: Results) -> Findings:
    """Differences to the net without a remedy, seed by seed, and the curves."""
    names = [entry.name for entry in results.study.entries]
    rows = []
    for name in names:
        cells = [name]
        for column, last in ((LOSS, LAST_LOSS), (ACCURACY, LAST_ACCURACY)):
            digits = 3 if column == LOSS else 1
            for of in (column, last):
                gains = results.scores(name, of) - results.scores(NOTHING, last)
                cells.append(format_mean(gains, digits))
        rows.append(cells)
    table = (
        "Difference to the last epoch without a remedy, on the same sentences: mean over seeds, "
        "and its 95 % interval",
        ["entry", "test loss, best epoch", "last epoch", "accuracy in points, best epoch",
         "last epoch "],
        rows,
    )  # fmt: skip
    figure = draw_epochs(
        results,
        {
            "loss": "training loss, with noise", "validation_loss": "validation loss",
            "validation_accuracy": "validation accuracy",
        },
        entries=names,
    )  # fmt: skip
    return Findings([sentence(results, names)], [table], {"loss and accuracy by epoch": figure})


def format_mean(values: np.ndarray, digits: int) -> str:
    """The mean with Student's 95 % interval, which fewer than three values have not."""
    mean = f"{values.mean():+.{digits}f}"
    if len(values) < 3 or np.ptp(values) == 0:
        return mean
    from scipy import stats

    low, high = stats.t.interval(
        0.95, len(values) - 1, values.mean(), np.std(values, ddof=1) / np.sqrt(len(values))
    )
    return f"{mean} [{low:+.{digits}f}, {high:+.{digits}f}]"


def sentence(results: Results, names: list[str]) -> str:
    """When the validation loss turns, and what stopping there and the best remedy are worth."""

    def median(name: str, column: str) -> float:
        return float(np.median(results.scores(name, column)))

    epochs = max(len(results.arrays(NOTHING, "history", seed)["loss"])
                 for seed in results.study.entry(NOTHING).seeds)  # fmt: skip
    change = median(NOTHING, ACCURACY) - median(NOTHING, LAST_ACCURACY)
    remedies = [name for name in names if name != NOTHING]
    lowest = min(remedies, key=lambda name: median(name, LOSS))
    highest = max(remedies, key=lambda name: median(name, LAST_ACCURACY))
    latest = max(remedies, key=lambda name: median(name, EPOCH))
    turn = median(NOTHING, EPOCH)
    if turn == epochs:
        text = (
            f"By medians: without a remedy the validation loss falls to the end, epoch {epochs}. "
        )
    else:
        text = (
            f"By medians: without a remedy the validation loss turns after epoch {turn:.0f} of "
            f"{epochs}. To stop there takes the test loss from {median(NOTHING, LAST_LOSS):.2f} to "
            f"{median(NOTHING, LOSS):.2f}, and changes the accuracy by {change:+.1f} points. "
        )
    if change < 0:
        text += (
            "So the accuracy still rises while the loss does too, since wrong answers become ever "
            "surer: stop by the number that is wanted. "
        )
    return text + (
        f"With early stopping {lowest} has the lowest test loss, {median(lowest, LOSS):.3f} "
        f"(without a remedy {median(NOTHING, LOSS):.3f}). At the last epoch {highest} has the "
        f"highest accuracy, {median(highest, LAST_ACCURACY):.1f} % (without a remedy "
        f"{median(NOTHING, LAST_ACCURACY):.1f} %). The loss turns last with {latest}, after epoch "
        f"{median(latest, EPOCH):.0f}."
    )
