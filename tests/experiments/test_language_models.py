"""``ptb`` and ``shakespeare`` on texts of a few hundred tokens."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import __main__ as command
from experiments.harness.run import run_folder
from experiments.language import _language_models, ptb, shakespeare
from experiments.language._language_models import Recipe
from lstm_jax import tasks, train
from lstm_jax.tasks.text.penn_treebank import PennTreebank
from lstm_jax.tasks.vocabulary import Vocabulary

WORDS = ("<eos>", "<unk>", "one", "two", "three")
SIZE = len(WORDS)


def text_of(seed, count):
    """A text in which each token says much about the next."""
    steps = np.random.RandomState(seed).choice([1, 2], size=count, p=[0.9, 0.1])
    return (np.cumsum(steps) % SIZE).astype(np.int32)


@pytest.fixture
def tiny(monkeypatch):
    vocabulary = Vocabulary(WORDS, specials=False, unknown="<unk>")
    data = PennTreebank(text_of(0, 12_000), text_of(1, 120), text_of(2, 101), vocabulary)
    monkeypatch.setattr(tasks.text, "ptb", lambda: data)
    monkeypatch.setitem(ptb.NETS, "small", Recipe("lstm", 2, 6, init_scale=0.3))
    return data


def test_the_schedule_is_that_of_the_paper():
    """Rate 1 for four epochs, then halved after each; gradients of a norm above 5 are scaled to
    it, as sums over the 20 steps of a window."""
    optimizer = ptb.optimizer("small", 3)
    params = {"w": jnp.zeros(4)}
    state = optimizer.init(params)
    small = {"w": jnp.full(4, 0.01)}  # of norm 0.4, times 20
    rates = []
    for _ in range(21):
        update, state = optimizer.update(small, state, params)
        rates.append(-float(update["w"][0]) / 0.2)
    np.testing.assert_allclose(rates[::3], [1, 1, 1, 1, 1 / 2, 1 / 4, 1 / 8], rtol=1e-6)
    update, _ = optimizer.update({"w": jnp.full(4, 3.0)}, optimizer.init(params), params)
    assert float(optax.tree.norm(update)) == pytest.approx(5)


def test_other_cells_have_as_many_parameters():
    recipe = Recipe("lstm", 2, 20, init_scale=0.1)
    other = _language_models.at_size_of(recipe, "gru", 50)
    counts = [train.count_parameters(one.make(50)) for one in (recipe, other)]
    assert other.cell == "gru" and counts[1] == pytest.approx(counts[0], rel=0.05)


@pytest.mark.slow
def test_a_run_scores_the_whole_text_with_the_state_carried(tiny, tmp_path):
    out = tmp_path / "ptb"
    argv = ["ptb", "--cells", "lstm", "--epochs", "5", "--out", str(out)]
    assert command.main(argv) == 0
    rows = run_folder.read_json(out / "results.json")["studies"][0]["entries"]
    scores = {row["entry"]: row["scores"][ptb.TEST]["values"][0] for row in rows}

    trial = out / "Penn_Treebank" / "lstm_2_x_6" / "seed_0"
    model, params = _language_models.load_net(trial, tiny.vocabulary)
    logits = model.apply(params, jnp.asarray(tiny.test[:-1])[:, None])[:, 0]  # in one piece
    picked = jax.nn.log_softmax(logits)[np.arange(100), tiny.test[1:]]
    assert scores["lstm, 2 x 6"] == pytest.approx(math.exp(-float(picked.mean())), rel=1e-5)
    assert scores["lstm, 2 x 6"] < scores["frequencies of words"]


@pytest.mark.slow
def test_shakespeare_runs(monkeypatch, tmp_path):
    vocabulary = Vocabulary(("\n", " ", "a", "b", "c"), specials=False)
    data = tasks.text.Shakespeare(text_of(0, 600), text_of(1, 200), vocabulary)
    monkeypatch.setattr(tasks.text, "shakespeare", lambda: data)
    out = tmp_path / "shakespeare"
    argv = ["shakespeare", "--size", "8", "--embedding-size", "4", "--epochs", "2", "--streams"]
    assert command.main([*argv, "4", "--window", "20", "--out", str(out)]) == 0
    (folder,) = (out / "tiny_Shakespeare").glob("lstm_*/seed_0")
    language = shakespeare.load_language_model(folder)
    assert language.vocabulary is vocabulary and language.unit == "characters"
    assert (out / "report.md").read_text().count("Kneser-Ney") == 2
