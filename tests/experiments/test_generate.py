"""``generate``: text from a trained language model."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments import __main__ as command
from experiments.harness.run import language_model
from experiments.harness.run.language_model import Sampling
from tests.experiments import tiny_language, tiny_study
from tests.experiments.tiny_language import RHYME

TINY = {"tiny_language": tiny_language, "tiny_study": tiny_study}


@pytest.fixture(scope="module")
def main():
    """The command, which knows the tiny experiments."""
    with pytest.MonkeyPatch.context() as patch:
        loaded = command.load
        for name in TINY:
            patch.setitem(command.THEMES, name, "general")
        patch.setattr(command, "load", lambda name: TINY.get(name) or loaded(name))
        yield command.main


@pytest.fixture(scope="module")
def words(main, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "words"
    assert main(["tiny_language", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def characters(main, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "characters"
    assert main(["tiny_language", "--unit", "characters", "--out", str(out)]) == 0
    return out


def test_the_best_net_writes_and_what_it_copied_is_said(main, words, capsys):
    capsys.readouterr()
    args = ["--prompt", "three four", "--length", "5"]
    assert main(["generate", str(words), *args]) == 0
    text, notes = capsys.readouterr()
    assert text == "three four knock at the door\n\n"
    assert "rhyme/sharp/seed_0" in notes
    assert "5 words" in notes and r"'knock at the door\n'" in notes


def test_a_trial_can_be_chosen_by_its_folder(main, words, capsys):
    capsys.readouterr()
    assert main(["generate", str(words / "rhyme" / "smooth" / "seed_0"), "--top-k", "1",
                 "--prompt", "my", "--length", "2"]) == 0  # fmt: skip
    text, notes = capsys.readouterr()
    assert text == "my shoe\n\n" and "rhyme/smooth/seed_0" in notes


def test_lines_of_a_prompt_end_in_the_token_of_line_ends(main, words, capsys):
    capsys.readouterr()
    assert (
        main(["generate", str(words), "--prompt", "my shoe\n", "--length", "3", "--seed", "3"]) == 0
    )
    text = capsys.readouterr().out
    lines = [line.split() for line in RHYME.splitlines()]
    assert text.startswith("my shoe\n") and text.splitlines()[1].split() in [
        line[:3] for line in lines
    ]


@pytest.mark.slow
def test_without_a_prompt_a_line_begins(main, words, capsys):
    starts = {line.split()[0] for line in RHYME.splitlines()}
    found = set()
    for seed in range(12):
        capsys.readouterr()
        assert main(["generate", str(words), "--length", "1", "--seed", str(seed)]) == 0
        found.add(capsys.readouterr().out.strip())
    assert found == starts


def test_characters_are_written_one_by_one(main, characters, capsys):
    capsys.readouterr()
    assert (
        main(["generate", str(characters), "--prompt", "bu", "--length", "40", "--top-p", "0.9"])
        == 0
    )
    text, notes = capsys.readouterr()
    assert text.startswith("bu") and len(text) == 2 + 40 + 1 and "40 characters" in notes
    pairs = set(itertools.pairwise(RHYME)) | {("\n", RHYME[0])}
    assert set(itertools.pairwise(text[:-1])) <= pairs
    again = ["generate", str(characters), "--prompt", "bu", "--length", "40", "--top-p", "0.9"]
    assert main(again) == 0 and capsys.readouterr().out == text
    assert main([*again, "--seed", "1"]) == 0 and capsys.readouterr().out != text


@pytest.mark.parametrize(
    ("length", "context"),
    [(0, "\n"), (3, "ks\n"), (1000, "a\nsticks\n")],
)
def test_the_context_ends_with_the_last_line_of_the_training_text(length, context):
    vocabulary = lj.tasks.Vocabulary(tuple("\nacikst"), specials=False)
    training = vocabulary.encode("a\nsticks\nta")
    language = language_model.LanguageModel(None, None, vocabulary, training, "characters", "\n")
    assert "".join(vocabulary.decode(language.context(length))) == context


def test_unknown_words_are_named(main, words, capsys):
    assert main(["generate", str(words), "--prompt", "three zebras", "--length", "1"]) == 0
    assert "read as unknown: zebras" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--length", "0"], "length: expected a positive integer, got 0"),
        (["--temperature", "0"], "temperature: expected a number above 0"),
        (["--top-p", "1.5"], "top_p: expected a share above 0, up to 1"),
        (["--top-k", "1000"], "top_k: expected 1 to the vocabulary's"),
        (["--seed", "-1"], "seed: expected a whole number from 0 up"),
    ],
)
def test_a_mistake_is_one_line(main, words, capsys, args, message):
    assert main(["generate", str(words), *args]) == 2
    text = capsys.readouterr().err
    assert message in text and len(text.splitlines()) == 1


def test_a_folder_without_a_language_model_is_named(main, tmp_path, capsys):
    assert main(["generate", str(tmp_path)]) == 2
    assert "has no config.json" in capsys.readouterr().err
    assert main(["tiny_study", "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    assert main(["generate", str(tmp_path / "run")]) == 2
    assert "expected one of a language model" in capsys.readouterr().err


def test_tokens_are_drawn_as_decode_draws_them(words):
    """Far from the model, too: tokens of one step have the frequencies of their probabilities,
    among those that the filters keep."""
    logits = jnp.log(jnp.array([[0.5, 0.3, 0.15, 0.05]]))
    keys = jax.random.split(jax.random.key(0), 4000)

    def frequencies(sampling):
        draw = jax.jit(jax.vmap(lambda key: language_model.draw_token(logits, key, sampling)[0]))
        return np.bincount(np.asarray(draw(keys)), minlength=4) / len(keys)

    near = {"atol": 0.03}  # four standard deviations
    np.testing.assert_allclose(frequencies(Sampling()), [0.5, 0.3, 0.15, 0.05], **near)
    squares = np.array([0.5, 0.3, 0.15, 0.05]) ** 2
    np.testing.assert_allclose(frequencies(Sampling(0.5)), squares / squares.sum(), **near)
    np.testing.assert_allclose(frequencies(Sampling(top_k=2)), [0.625, 0.375, 0, 0], **near)
    kept = np.array([0.5, 0.3, 0.15, 0]) / 0.95
    np.testing.assert_allclose(frequencies(Sampling(top_p=0.9)), kept, **near)


@pytest.mark.slow
def test_the_carried_state_is_that_of_the_whole_text():
    """A net that counts: the text is what one long unroll would give."""
    cell = lj.gru(8)
    table = jax.random.normal(jax.random.key(1), (5, 8))
    params = {"cell": cell.init(jax.random.key(0), 8), "table": table}

    def stream(params, state, xs, *, resets=None, key=None):
        state, ys = lj.unroll(cell, params["cell"], params["table"][xs], state)
        return state, 3 * ys @ params["table"].T

    def initial_state(params, batch_size):
        return cell.initial_state(params["cell"], batch_shape=(batch_size,))

    tokens = ("<pad>", "<start>", "<end>", "<unknown>", "x")
    net = type(
        "Net", (), {"stream": staticmethod(stream), "initial_state": staticmethod(initial_state)}
    )
    language = language_model.LanguageModel(
        net, params, lj.tasks.Vocabulary(tokens), np.zeros(1, int), "words", "x"
    )
    prompt, sampling = np.array([4, 1, 2, 0], np.int32), Sampling(top_k=1)
    drawn = language_model.draw_tokens(language, prompt, jax.random.key(0), sampling)
    found = list(itertools.islice(drawn, 12))
    whole = [*prompt, *found]
    _, outputs = stream(params, initial_state(params, 1), np.array(whole)[:, None])
    expected = np.argmax(np.asarray(outputs[:, 0]), axis=-1)
    np.testing.assert_array_equal(found, expected[3:-1])
