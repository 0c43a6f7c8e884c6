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
        results, {"loss": "training loss, with noise", "validation_loss": "validation loss"},
        entries=names,
    )  # fmt: skip
    return Findings([sentence(results, names)], [table], {"loss by epoch": figure})


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
    turn = np.median(results.scores(NOTHING, EPOCH))
    epochs = len(results.arrays(NOTHING, "history")["loss"])
    last = results.scores(NOTHING, LAST_LOSS)
    stopped = last - results.scores(NOTHING, LOSS)
    remedies = [name for name in names if name != NOTHING]
    loss = {name: float(np.median(results.scores(name, LOSS))) for name in names}
    best = min(remedies, key=loss.__getitem__)
    late = max(names, key=lambda name: float(np.median(results.scores(name, EPOCH))))
    return (
        f"Without a remedy the validation loss turns after epoch {turn:.0f} of {epochs}, and to "
        f"stop there takes {np.median(stopped):.2f} off the test loss of {np.median(last):.2f}. "
        f"With early stopping, the lowest test loss is that of {best} ({loss[best]:.3f}; without a "
        f"remedy {loss[NOTHING]:.3f}). The validation loss turns last with {late}, after epoch "
        f"{np.median(results.scores(late, EPOCH)):.0f}."
    )
