"""The sequence-to-sequence experiments report what is computed here in other ways.

Those that train are for make test-slow.
"""

import dataclasses
import json
import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from experiments.__main__ import main
from experiments.harness import conduct
from experiments.harness.run import runner
from experiments.harness.run.jobs import slug
from experiments.harness.run.parts import map_in_parts
from experiments.harness.run.progress import Progress, amount_of_work
from experiments.language import _pairs, _symbols, dates, reversal, translation
from lstm_jax import train
from lstm_jax.tasks import files
from lstm_jax.tasks.pairs import data as rows_of_ids
from lstm_jax.tasks.pairs import multi30k
from lstm_jax.tasks.pairs.data import PairBatch, Pairs
from lstm_jax.tasks.pairs.dates import STYLES, TARGET_VOCABULARY, dates_of, written_dates
from lstm_jax.tasks.vocabulary import END, PAD, Vocabulary
from tests.experiments.test_resume import Killed, kill_at, without_times
from tests.selection import mostly_slow

SMALL = "--embedding-size 6 --parameters 1500 --batch-size 16 --learning-rate 0.02"
LENGTHS = "--symbols 2 --max-length 3"
COMMANDS = {
    "reversal": f"{LENGTHS} --models location fixed --seeds 2 --steps 40 --every 20",
    "sorting": f"{LENGTHS} --models fixed --seeds 1 --steps 2 --every 1",
    "dates": "--models additive --seeds 1 --steps 2 --every 2",
    "translation": "--models additive --seeds 2 --steps 40 --every 20 --min-count 1 --width 2 "
    "--dropout 0.1",
}


def command(name, out, *more):
    return main([name, *SMALL.split(), *COMMANDS[name].split(), "--out", str(out), *more])


@pytest.fixture(scope="module")
def run(tmp_path_factory, captions):
    """Runs an experiment through its command; returns the folder, its results and its compiled
    jobs."""
    done = {}

    def run(name):
        if name not in done:
            made = []

            def programs(job):
                made.append((job, runner_programs(job)))
                return made[-1][1]

            runner_programs = runner.Programs
            out = tmp_path_factory.mktemp("runs") / name
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(runner, "Programs", programs)
                patch.setattr(_symbols, "ROWS", 40)
                patch.setattr(translation, "ROWS", 2)
                patch.setattr(dates, "TRAINING", 50)
                patch.setattr(dates, "HELD_OUT", {"validation": 10, "test": 20})
                assert command(name, out) == 0
            made.sort(key=lambda one: one[0].setting.budget.contenders.index(one[0].contender))
            (setting,) = json.loads((out / "results.json").read_text())["settings"]
            done[name] = out, setting, made
        return done[name]

    return run


def trained(out, job, programs):
    """The params of every run, from the final checkpoint."""
    like = {"state": programs.state}
    state = train.checkpoint.restore(out / job.folder / "checkpoints", like)["state"]
    assert int(state.step[0]) == job.setting.budget.steps
    return [_pairs.params_of_run(state.params, run) for run in range(len(job.seeds))]


def model_of(job, sizes):
    return _pairs.encoder_decoder(job.setting.budget, job.contender, sizes, job.model.size)


def decoded(model, params, batch, **options):
    """Tokens of a decoder that may take three steps more than the target has."""
    steps = len(batch.target) + 3
    return model.decode(
        params, batch.source, max_steps=steps, source_lengths=batch.source_lengths, **options
    )


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.usefixtures("captions")
@pytest.mark.parametrize("name", mostly_slow(COMMANDS, ["reversal"]))
def test_what_is_to_be_trained_is_put_together(tmp_path, monkeypatch, name):
    planned = []
    monkeypatch.setattr(conduct, "dry_run", lambda jobs: planned.extend(jobs) or 0)
    monkeypatch.setattr(dates, "TRAINING", 50)
    monkeypatch.setattr(dates, "HELD_OUT", {"validation": 10, "test": 20})
    assert command(name, tmp_path, "--dry-run") == 0
    for job in planned:
        job.optimizer(0.1).init({"w": jnp.zeros(1)})
        assert job.setting.further is not None


@pytest.mark.slow
def test_exact_match_is_that_of_the_decoded_tokens(run):
    out, setting, made = run("reversal")
    assert [contender["contender"] for contender in setting["contenders"]] == ["location", "fixed"]
    scores = []
    for (job, programs), contender in zip(made, setting["contenders"], strict=True):
        model = model_of(job, (6, 6))
        task = job.setting.task
        expected = [
            rows_of_ids.exact_match(decoded(model, params, task.test).tokens, task.test.target)
            for params in trained(out, job, programs)
        ]
        np.testing.assert_allclose(contender["test"], expected, atol=1e-6)
        assert abs(contender["parameters"] - 1500) < 150
        scores += expected
    assert 0.2 < min(scores) < max(scores)
    # Half of the answers of one symbol are right by chance, a quarter of two, an eighth of three.
    assert setting["chance"] == pytest.approx((1 / 2 + 1 / 4 + 1 / 8) / 3)


@pytest.mark.slow
def test_exact_match_by_length_is_that_of_each_length_alone(run):
    out, setting, made = run("reversal")
    ((title, rows),) = setting["further"].items()
    assert title == "exact match by length in symbols, trained up to 3 symbols"
    task = reversal.reversal(2, max_length=3)
    for job, programs in made:
        model, params = model_of(job, (6, 6)), trained(out, job, programs)[1]
        assert list(rows[job.contender]) == [f"{length} symbols" for length in range(1, 7)]
        for length in (2, 6):
            batch = task.test_at(length, 40)
            match = rows_of_ids.exact_match(decoded(model, params, batch).tokens, batch.target)
            assert rows[job.contender][f"{length} symbols"][1] == pytest.approx(match)
    assert rows["location"]["1 symbols"] != rows["location"]["6 symbols"]


@pytest.mark.slow
def test_the_report_shows_the_tables_and_the_figures(run):
    out, setting, _ = run("reversal")
    text = (out / "report.md").read_text()
    (title,) = setting["further"]
    middle = np.median(setting["further"][title]["fixed"]["2 symbols"])
    assert f"**{title}**" in text and f"{middle:.4f}" in text and "(2 seeds, 40 steps" in text
    name = "reversal_2_symbols_1_to_3"
    drawn = [f"{name}_{slug(title)}.png", f"{name}_location_alignment.png", "curves.png"]
    for file in drawn:
        assert is_png(out / file) and f"]({file})" in text
    assert not list(out.glob("*fixed*alignment*"))  # it has none


@pytest.mark.slow
def test_sorting_and_dates_come_to_their_end(run):
    for name in ("sorting", "dates"):
        out, setting, ((job, _),) = run(name)
        assert is_png(out / "curves.png")
        assert all(0 <= score <= 1 for score in setting["contenders"][0]["test"])
        assert "(1 seed, 2 steps" in (out / "report.md").read_text()
    assert is_png(out / f"{slug(job.name)}_alignment.png")
    assert setting["chance"] == pytest.approx(1 / len(dates_of("test")))
    assert job.setting.task.test.target.shape == (11, 20)
    assert "worst scores" in (out / "report.md").read_text()


def test_the_styles_that_are_read_worst_are_told(monkeypatch, tmp_path):
    written = written_dates(60, "test")
    batch = _pairs.to_device(_pairs.pad_all(written.encode(), _pairs.max_width(written.encode())))
    names = sorted(set(written.styles))
    bad, worse = names[3], names[8]

    def spoilt(model, run, batch):
        """The first run makes mistakes in one style and the second in two, only in the month."""
        first, second = (np.isin(written.styles, of) for of in ([worse], [bad, worse]))
        errs = jnp.where(run == 0, first, second)
        return jnp.where(errs & (jnp.arange(11) == 6)[:, None], END + 1, batch.target)

    monkeypatch.setattr(_pairs, "decode_greedily", spoilt)
    monkeypatch.setattr(_pairs, "params_of_run", lambda params, run: run)
    task = types.SimpleNamespace(test=batch)
    job = types.SimpleNamespace(
        setting=types.SimpleNamespace(task=task), seeds=(0, 1), contender=_pairs.FIXED,
        model=types.SimpleNamespace(size=2),
    )  # fmt: skip
    config = dates.Config(embedding_size=2)
    (text,) = dates.report_by_style(written, config, job, None, tmp_path).texts
    assert f"all runs: `{worse}` 0.000; `{bad}` 0.500; " in text and text.count("1.000") == 3
    assert len(STYLES) == 34
    assert TARGET_VOCABULARY.decode(batch.target[:, 0]) == list(written.targets[0])


@pytest.mark.slow
def test_nats_a_token_are_those_of_the_captions_tokens(run, captions):
    out, setting, ((job, programs),) = run("translation")
    data = multi30k.multi30k(min_count=1)
    sizes = (len(data.source_vocabulary), len(data.target_vocabulary))
    model = model_of(job, sizes)
    assert setting["task"] == f"multi30k(14 pairs, {sizes[0]} and {sizes[1]} tokens)"
    assert setting["direction"] == "lower is better" and setting["score"] == "nats per token"
    params = trained(out, job, programs)
    rows = data.test_2016_flickr.pairs
    expected = []
    for run_params in params:
        losses = []
        for source, target in zip(rows.sources, rows.targets, strict=True):
            target = np.append(target, END)
            logs = np.asarray(
                model.log_probabilities(run_params, source[:, None], target[:, None]), np.float64
            )
            losses += [-logs[t, 0, token] for t, token in enumerate(target)]
        expected.append(np.mean(losses))
    np.testing.assert_allclose(setting["contenders"][0]["test"], expected, rtol=1e-5)
    words = [
        word
        for line in captions["test_2016_flickr.de.gz"]
        for word in [*multi30k.tokenise(line), None]
    ]
    shares = np.array([words.count(word) / len(words) for word in set(words)])
    assert setting["chance"] == pytest.approx(-(shares * np.log(shares)).sum())
    assert max(expected) < setting["chance"]  # something was learnt


@pytest.mark.slow
def test_bleu_is_that_of_the_decoded_captions(run, captions):
    out, setting, ((job, programs),) = run("translation")
    data = multi30k.multi30k(min_count=1)
    vocabulary = data.target_vocabulary
    model = model_of(job, (len(data.source_vocabulary), len(vocabulary)))
    batch = job.setting.task.test
    rows = setting["further"]["BLEU of test_2016_flickr"]["additive"]
    assert list(rows) == ["greedy", "beam of 2"]
    params = trained(out, job, programs)

    def texts(tokens):
        return [multi30k.detokenise(vocabulary.decode(row)) for row in np.asarray(tokens).T]

    def same_steps(run, **options):
        steps = len(batch.target)
        return model.decode(params[run], batch.source, max_steps=steps,
                            source_lengths=batch.source_lengths, **options)  # fmt: skip

    references = captions["test_2016_flickr.de.gz"]
    for run_number in range(2):
        greedy = multi30k.bleu(texts(same_steps(run_number).tokens), references).score
        assert rows["greedy"][run_number] == pytest.approx(greedy)
    assert max(rows["greedy"]) > 0
    beam = same_steps(0, method="beam", width=2, length_penalty=1.0)
    best = texts(beam.tokens[:, :, 0])
    assert rows["beam of 2"][0] == pytest.approx(multi30k.bleu(best, references).score)
    text = (out / "report.md").read_text()
    for source, wrote, reference in list(
        zip(data.test_2016_flickr.sources, best, references, strict=True)
    )[: translation.EXAMPLES]:
        assert f"- {source}\n  - {wrote}\n  - *{reference}*" in text
    assert "nrefs:1" in text and is_png(out / f"{slug(job.name)}_alignment.png")
    assert "BLEU_of_test_2016_flickr.png" not in text  # no numbers to draw against


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_numbers(run, tmp_path, monkeypatch):
    out, _, ((job, programs), _) = run("reversal")
    monkeypatch.setattr(runner, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(_symbols, "ROWS", 40)

    def run_job():
        progress = Progress([job], Console(quiet=True))
        return runner.run_job(job, programs, tmp_path, progress, sweeping=False)

    with monkeypatch.context() as patch:
        patch.setattr(train.checkpoint, "save", kill_at(train.checkpoint.save, 1, before=False))
        with pytest.raises(Killed):
            run_job()
    with monkeypatch.context() as patch:
        patch.setattr(_pairs, "draw_alignment", kill_at(_pairs.draw_alignment, 1, before=True))
        with pytest.raises(Killed):
            run_job()
    uninterrupted = json.loads((out / job.folder / "result.json").read_text())
    assert without_times(json.loads(json.dumps(run_job()))) == without_times(uninterrupted)


@pytest.mark.slow
def test_a_run_that_diverges_has_no_score_though_it_writes_tokens(run, tmp_path, monkeypatch):
    _, _, (_, (job, programs)) = run("reversal")
    monkeypatch.setattr(_symbols, "ROWS", 40)
    params = jax.tree.map(lambda leaf: leaf.at[1].set(jnp.nan), programs.state.params)
    spoilt = programs.state._replace(params=params)
    train.checkpoint.save(tmp_path / "checkpoints", 20, {"state": spoilt})
    progress = Progress([job], Console(quiet=True))
    result = runner.run_job(job, programs, tmp_path, progress, sweeping=False)
    ((_, rows),) = result["further"]["scores"].items()
    for scores in (result["test"], result["validation"], *rows.values()):
        assert scores[0] is not None and scores[1] is None


@pytest.mark.slow
def test_every_option_is_part_of_the_configuration(run):
    _, _, ((job, _), *_) = run("translation")
    config, budget = job.as_config(), job.setting.budget
    others = {
        "cell": "gru", "embedding_size": 7, "dropout": 0.2, "label_smoothing": 0.2, "min_count": 2,
        "longest": 23, "width": 3, "length_penalty": 0.5, "steps": 60, "clip": 2.0, "every": 5,
        "batch_size": 8, "seconds": 2.0, "until_solved": True, "optimizer": "sgd", "warmup": 3,
        "schedule": "linear", "vectorize": "no",
    }  # fmt: skip
    for name, value in others.items():
        other = dataclasses.replace(
            job.setting, budget=dataclasses.replace(budget, **{name: value})
        )
        changed = job._replace(setting=other).as_config()
        assert [field for field in config if config[field] != changed[field]] == [name]
    elsewhere = {"models", "parameters", "seeds", "learning_rate"}  # told elsewhere
    assert {field.name for field in dataclasses.fields(budget)} == {*others, *elsewhere}


@pytest.mark.slow
def test_the_work_of_a_job_is_all_the_steps_that_are_read_and_written(run):
    _, _, ((job, _), _) = run("reversal")
    assert amount_of_work(job) == 40 * (3 + 4) * 2


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "reversal",
            ["--models", "aditive"],
            "models: .*got 'aditive' .did you mean 'additive'",
        ),
        ("reversal", ["--cell", "lsmt"], "cell: .*got 'lsmt' .did you mean 'lstm'"),
        ("reversal", ["--steps", "41"], "steps: expected a multiple of every, 20, got 41"),
        (
            "sorting",
            ["--label-smoothing", "1"],
            "label_smoothing: expected a .*, got 1.0",
        ),
        ("sorting", ["--max-length", "0"], "max_length: expected a positive integer, got 0"),
        ("dates", ["--dropout", "1"], "dropout: expected a .*, got 1.0"),
        ("translation", ["--width", "0"], "width: expected a positive integer, got 0"),
        (
            "translation",
            ["--longest", "1"],
            "longest: expected a length .*have, got 1",
        ),
    ],
)
@pytest.mark.usefixtures("captions")
@pytest.mark.slow
def test_bad_options_are_one_line(tmp_path, capsys, monkeypatch, name, options, message):
    monkeypatch.setattr(dates, "TRAINING", 5)
    assert command(name, tmp_path / "run", *options) == 2
    error = capsys.readouterr().err
    assert re.match(f"error: {message}", error) and error.count("\n") == 1


def test_captions_that_are_missing_are_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv(files.FOLDER_VARIABLE, str(tmp_path))
    assert command("translation", tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert "folder: expected the files train.en.gz" in error and error.count("\n") == 1


@pytest.mark.slow
def test_the_picture_is_of_the_first_row_within_its_length(tmp_path, monkeypatch):
    task = reversal.reversal(3, max_length=4)
    budget = _pairs.PairTraining(embedding_size=4)
    model = _pairs.encoder_decoder(budget, "multi_head", (7, 7), 3)
    params = model.init(jax.random.key(0))
    batch = _pairs.join_batches([task.test_at(2, 1), task.test_at(4, 2)])
    drawn = []
    monkeypatch.setattr(_pairs.curves, "draw_alignment", lambda *given: drawn.append(given))
    _pairs.draw_alignment(
        model, params, batch, (task.vocabulary,) * 2, "a title", tmp_path / "x.png"
    )
    ((weights, read, written, title, path),) = drawn
    alone = task.test_at(2, 1)
    seen = model.decode(params, alone.source, max_steps=5)
    assert read == task.vocabulary.decode(alone.source[:, 0]) and len(read) == 2
    tokens = [task.vocabulary.tokens[token] for token in np.asarray(seen.tokens[:, 0])]
    assert written == tokens[: int(seen.lengths[0])]
    expected = np.asarray(seen.seen)[: len(written), 0].reshape(-1, 2)  # one head
    np.testing.assert_allclose(weights, expected, atol=1e-6)
    assert (title, path) == ("a title", tmp_path / "x.png")


def some_rows(count, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 6, (2, count))
    return Pairs(*([rng.integers(4, 9, n) for n in of] for of in lengths))


def test_a_function_of_a_few_rows_at_a_time_is_that_of_all():
    batch = PairBatch(*map(jnp.asarray, _pairs.pad_all(some_rows(7), (5, 6))))

    def function(rows):
        """Of each row alone, and of all that belongs to it."""
        assert rows.source.shape[1] in (3, 7)
        sums = rows.source.sum(0) * rows.source_lengths + rows.target_lengths
        return jnp.stack([sums, rows.target[0]], axis=1)

    np.testing.assert_array_equal(map_in_parts(function, batch, 3), function(batch))
    np.testing.assert_array_equal(map_in_parts(lambda rows: rows.target.T, batch, 9),
                                  batch.target.T)  # fmt: skip


@pytest.mark.slow
def test_the_last_part_has_no_rows_without_a_source():
    batch = PairBatch(*map(jnp.asarray, _pairs.pad_all(some_rows(4), (5, 6))))
    read = []
    with jax.disable_jit():
        map_in_parts(lambda rows: read.append(rows) or rows.source_lengths, batch, 3)
    assert [rows.source.shape[1] for rows in read] == [3, 3]
    assert all((np.asarray(rows.source_lengths) > 0).all() for rows in read)


def test_batches_side_by_side_are_the_batches():
    parts = [_pairs.pad_all(some_rows(3, seed), (5, 6 + seed)) for seed in (0, 1)]
    joined = _pairs.join_batches(parts)
    assert joined.source.shape == (5, 6) and joined.target.shape == (7, 6)
    for part, columns in zip(parts, (slice(3), slice(3, 6)), strict=True):
        steps = len(part.target)
        np.testing.assert_array_equal(joined.target[:steps, columns], part.target)
        assert (joined.target[steps:, columns] == PAD).all()
        for name in ("source", "source_lengths", "target_lengths"):
            np.testing.assert_array_equal(getattr(joined, name)[..., columns], getattr(part, name))


def test_right_rows_are_those_that_match():
    """For anything that a decoder with as many steps as the target can write, including tokens
    after END."""
    rng = np.random.default_rng(0)
    batch = PairBatch(*map(jnp.asarray, _pairs.pad_all(some_rows(200), (5, 6))))
    strange = rng.choice([PAD, END, 4, 5], (6, 200))
    tokens = np.where(rng.random((6, 200)) < 0.15, strange, batch.target)
    tokens = np.where(np.cumsum(tokens == END, axis=0) > 0, END, tokens)
    expected = rows_of_ids.matches(tokens, batch.target)
    np.testing.assert_array_equal(_pairs.find_right(jnp.asarray(tokens), batch), expected)
    assert 50 < expected.sum() < 150 and (tokens == PAD).any()


def test_training_rows_are_drawn_from_all_and_stay_together():
    rows = some_rows(5)
    batch = _pairs.sample_pairs(rows, (5, 6))(jax.random.key(0), 64)
    everything = _pairs.pad_all(rows, (5, 6))
    known = {tuple(np.concatenate([a.reshape(-1, 5) for a in everything])[:, i]) for i in range(5)}
    drawn = np.concatenate([np.asarray(a).reshape(-1, 64) for a in batch])
    assert {tuple(column) for column in drawn.T} == known


def test_an_unknown_word_is_one_wrong_word():
    vocabulary = Vocabulary.from_rows([["ein", "hund", "läuft", "hier", "."]])
    ids = [*vocabulary.encode(["ein", "dackel", "läuft", "hier", "."]), END, 4]
    text = translation.decode_text(vocabulary, np.array(ids))
    assert text == "ein unk läuft hier."
    reference = ["Ein Dackel läuft hier."]
    wrong = multi30k.bleu(["ein hund läuft hier."], reference)
    assert multi30k.bleu([text], reference).score == wrong.score


def test_captions_that_are_too_long_are_left_out():
    rows = Pairs([[4] * n for n in (1, 2, 3, 3)], [[5] * n for n in (2, 3, 1, 2)])
    kept = translation.short_pairs(rows, 3)  # targets have an end too
    assert [len(row) for row in kept.sources] == [1, 3, 3]
    assert [len(row) for row in kept.targets] == [2, 1, 2]


@pytest.mark.slow
def test_the_loss_is_that_of_the_tokens_within_the_lengths():
    rng = np.random.default_rng(0)
    batch = _pairs.to_device(_pairs.pad_all(some_rows(3), (5, 6)))
    outputs = jax.nn.log_softmax(rng.normal(size=(6, 3, 9)).astype(np.float32))
    losses, even = [], []
    for row, length in enumerate(batch.target_lengths.tolist()):
        for t in range(length):
            losses.append(-float(outputs[t, row, batch.target[t, row]]))
            even.append(-float(outputs[t, row].mean()))
    by_hand = 0.9 * np.mean(losses) + 0.1 * np.mean(even)
    np.testing.assert_allclose(_pairs.cross_entropy(0.1)(outputs, batch), by_hand, rtol=1e-5)
