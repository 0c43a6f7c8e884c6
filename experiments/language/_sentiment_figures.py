"""What the folds of ``sentiment`` show: differences to naive Bayes, curves, and words in colour."""

import numpy as np
from matplotlib.figure import Figure

from experiments.harness.report.epochs import draw_epochs
from experiments.harness.report.style import STYLES, style_panel
from experiments.harness.run.study import Findings, Results

ACCURACY, EPOCH, LOSS = "test accuracy in %", "best epoch", "validation loss"
VALIDATION_ACCURACY = "validation accuracy in %"
BAYES, LINEAR = "naive Bayes, uni- and bigrams", "logistic regression, tf-idf"
EXPLAINED = "LSTM"  # the net whose words are coloured
RARE = 8  # occurrences in the test fold below which a word is not listed
LISTED = 12
SHOWN = 2  # sentences of each kind
SHORTEST, LONGEST = 6, 14  # words of a sentence that is shown


def find(results: Results) -> Findings:
    """Differences to naive Bayes, and what the words of the first test fold contributed."""
    texts, tables, figures = [], [], {}
    names = [entry.name for entry in results.study.entries[1:] if entry.name != BAYES]
    rows = []
    differences = {name: results.scores(name, ACCURACY) - results.scores(BAYES, ACCURACY)
                   for name in names}  # fmt: skip
    for name, difference in differences.items():
        low, high = interval_of_mean(difference)
        rows.append([name, f"{difference.mean():+.1f}", f"[{low:+.1f}, {high:+.1f}]",
                     f"{np.sum(difference > 0)} of {len(difference)}"])  # fmt: skip
    tables.append((
        "Points above naive Bayes, on the same folds",
        ["entry", "mean", "95 % interval", "folds won"], rows,
    ))  # fmt: skip
    texts.append(
        "The interval is Nadeau and Bengio's (2003), which takes into account that folds share "
        "what they learn from."
    )
    nets = {entry.name: differences[entry.name] for entry in results.study.entries
            if entry.kind == "net"}  # fmt: skip
    texts.append(sentence(nets))
    figures["accuracy of each fold"] = draw_folds(results, [*names, BAYES])
    figures["loss by epoch"] = draw_epochs(
        results, {"loss": "training loss, with dropout", "validation_loss": "validation loss"}
    )
    if EXPLAINED in nets and results.trials[EXPLAINED, 0]["diverged"] is None:
        explained = results.arrays(EXPLAINED, "explained")
        text, table = common_words(explained, results.arrays(BAYES, "log_odds"))
        texts.append(text)
        tables.append(table)
        figures["words of test sentences"] = draw_sentences(explained)
    return Findings(texts, tables, figures)


def interval_of_mean(differences: np.ndarray) -> tuple[float, float]:
    """The corrected 95 % interval of a mean difference over the folds of a cross-validation."""
    from scipy import stats

    count = len(differences)
    share = 1 / (count - 1)  # of test rows to rows that are learnt from
    error = np.sqrt((1 / count + share) * np.var(differences, ddof=1))
    half = float(stats.t.ppf(0.975, count - 1) * error)
    return float(differences.mean()) - half, float(differences.mean()) + half


def sentence(differences: dict[str, np.ndarray]) -> str:
    """What to say about the best net."""
    best = max(differences, key=lambda name: differences[name].mean())
    mean = float(differences[best].mean())
    low, high = interval_of_mean(differences[best])
    if high < 0:
        return (
            f"All nets lose to naive Bayes, which counts words and pairs of words; the best of "
            f"them, {best}, by {-mean:.1f} points."
        )
    if low > 0:
        return f"The best net, {best}, beats naive Bayes by {mean:.1f} points."
    than = "above" if mean > 0 else "below"
    return (
        f"The best net, {best}, is {abs(mean):.1f} points {than} naive Bayes, which ten folds "
        "cannot tell from chance."
    )


def draw_folds(results: Results, names: list[str]) -> Figure:
    """A row for each entry, with a point for each fold and a line at the mean."""
    figure = Figure(figsize=(7.0, 0.8 + 0.5 * len(names)), dpi=150, layout="constrained")
    panel = figure.subplots()
    for row, name in enumerate(reversed(names)):
        scores = results.scores(name, ACCURACY)
        colour = STYLES[0][0] if results.study.entry(name).kind == "net" else STYLES[1][0]
        heights = row + np.linspace(-0.2, 0.2, len(scores))
        panel.plot(scores, heights, "o", color=colour, alpha=0.5, markersize=4)
        panel.plot([scores.mean()] * 2, [row - 0.32, row + 0.32], color=colour, linewidth=2)
    panel.axvline(results.scores(BAYES, ACCURACY).mean(), color="0.35", linewidth=1,
                  linestyle=(0, (2, 2)))  # fmt: skip
    panel.set_yticks(range(len(names)), reversed(names))
    panel.set_xlabel(f"{ACCURACY}; a point for each fold, a line at the mean")
    style_panel(panel)
    return figure


def common_words(
    explained: dict[str, np.ndarray], bayes: dict[str, np.ndarray]
) -> tuple[str, tuple[str, list[str], list[list[str]]]]:
    """The words that contribute most to the net's log odds on average, beside naive Bayes'."""
    shares: dict[str, list[float]] = {}
    for text, known, values in zip(
        explained["sentences"], explained["known"], explained["values"], strict=True
    ):
        for word, is_known, value in zip(text.split(), known, values, strict=False):
            if is_known:
                shares.setdefault(word, []).append(float(value))
    odds = dict(zip(bayes["words"].tolist(), bayes["values"].tolist(), strict=True))
    means = {
        word: float(np.mean(values))
        for word, values in shares.items()
        if len(values) >= RARE and word in odds
    }
    order = sorted(means, key=means.__getitem__)
    rows = []
    for negative, positive in zip(order[:LISTED], order[::-1][:LISTED], strict=True):
        rows.append([cell for word in (positive, negative)
                     for cell in (word, f"{means[word]:+.2f}", f"{odds[word]:+.2f}")])  # fmt: skip
    columns = ["for the film", "net", "naive Bayes", "against it", "net ", "naive Bayes "]
    likeness = np.corrcoef([means[word] for word in order], [odds[word] for word in order])[0, 1]
    gap = np.median(explained["gap"])
    text = (
        '`lj.insight.integrated_gradients` attributes the log odds of "positive" that the '
        f"{EXPLAINED} gives in the first test fold to the words' vectors, from a baseline of zeros"
        f". The sums differ from what they should be by {gap:.0e} (median). Over the {len(means)} "
        f"words that occur at least {RARE} times in that fold, the mean attribution and naive "
        f"Bayes' log odds of the word correlate by {likeness:.2f}: to a large part the net, too, "
        "weighs single words."
    )
    return text, ("Mean attribution of a word, and its log odds by naive Bayes", columns, rows)


def draw_sentences(explained: dict[str, np.ndarray]) -> Figure:
    """Test sentences in the colours of their words: the first short ones that are right and wrong,
    for and against."""
    from lstm_jax.insight import plot

    labels, says = explained["labels"], explained["log_odds"] > 0
    lengths = np.array([len(text.split()) for text in explained["sentences"]])
    inside = (lengths >= SHORTEST) & (lengths <= LONGEST)
    chosen = [
        row
        for right in (True, False)
        for label in (1, 0)
        for row in np.flatnonzero((labels == label) & ((says == label) == right) & inside)[:SHOWN]
    ]
    figure = Figure(figsize=(7.0, 0.6 + 0.9 * len(chosen)), dpi=150, layout="constrained")
    limit = max(float(np.abs(explained["values"][row]).max()) for row in chosen)
    panels = list(np.atleast_1d(figure.subplots(len(chosen))))
    for panel, row in zip(panels, chosen, strict=True):
        words = str(explained["sentences"][row]).split()
        plot.attribution_text(explained["values"][row, : len(words)], words, limit=limit, ax=panel)
        is_for = "for" if labels[row] else "against"
        net = "for" if says[row] else "against"
        odds = explained["log_odds"][row]
        panel.set_title(f"{is_for} the film; the net says {net} ({odds:+.1f})",
                        loc="left", fontsize=9)  # fmt: skip
    bars = [axes for axes in figure.axes if axes not in panels]
    for bar in bars[:-1]:  # one is enough, since all have the same limit
        bar.remove()
    return figure
