"""What ``tasks.check`` finds in tasks from outside; the library's own are checked in
test_settings."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import seq2seq, tasks, train
from lstm_jax.tasks import Batch, PairBatch, PairTask, Score, Sequences, Success, regression
from lstm_jax.tasks.pairs import reversal

T = 5


def draw(key, batch_size):
    xs = jax.random.uniform(key, (T, batch_size, 2))
    return Batch(xs, xs[0, :, 0])


def make(**changes):
    """A task that keeps the contract, but for ``changes``: recall the first of five numbers."""
    members = dict(
        input_size=2, output_size=1, loss=regression.mean_squared_error,
        score=regression.mse_score(1 / 12), scores=(regression.mae_score(1 / 4),),
        success=Success(regression.squared_error, np.inf, 0.01, 20, "nobody"),
        draw_at=lambda key, n, length: draw(key, n), held_out=20,
    )  # fmt: skip
    own = {name: changes.pop(name) for name in list(changes) if name in members}
    return tasks.drawn_task("mine", draw, **{**members, **own})._replace(**changes)


def task_of(function):
    """A task with ``function`` as its ``sample``, which also draws the held-out data."""
    key = jax.random.key(0)
    return make(sample=function, validation=function(key, 20), test=function(key, 20), test_at=None)


RNG = np.random.default_rng(0)
COUNTER = itertools.count()
POOL = np.random.default_rng(1).uniform(size=(T, 50, 2)).astype(np.float32)


def by_numpy(key, batch_size):
    xs = jnp.asarray(RNG.uniform(size=(T, batch_size, 2)).astype(np.float32))
    return Batch(xs, xs[0, :, 0])


def by_fixed_seed(key, batch_size):
    xs = np.random.default_rng(7).uniform(size=(T, batch_size, 2)).astype(np.float32)
    return Batch(jnp.asarray(xs), jnp.asarray(xs[0, :, 0]))


def partly_by_numpy(key, batch_size):
    noise = RNG.uniform(size=(T, batch_size, 1)).astype(np.float32)
    xs = jnp.concatenate([jax.random.uniform(key, (T, batch_size, 1)), noise], axis=-1)
    return Batch(xs, xs[0, :, 0])


def by_rows_of_numpy(key, batch_size):
    rows = RNG.integers(50, size=batch_size)
    return Batch(jnp.asarray(POOL)[:, rows], jnp.asarray(POOL)[0, rows, 0])


def by_counter(key, batch_size):
    xs = jax.random.uniform(jax.random.key(next(COUNTER)), (T, batch_size, 2))
    return Batch(xs, xs[0, :, 0])


def key_in_targets(key, batch_size):
    return Batch(jnp.ones((T, batch_size, 2)), jax.random.uniform(key, (batch_size,)))


SAMPLES = {
    "NumPy": (by_numpy, "sample: expected a pure function of the key"),
    "a NumPy generator of its own": (by_fixed_seed, "sample: expected other xs from another key"),
    "NumPy in part": (partly_by_numpy, "sample: expected a pure function of the key"),
    "NumPy for the rows": (by_rows_of_numpy, "sample: expected a pure function of the key"),
    "a counter": (by_counter, "sample: expected a pure function of the key"),
    "other targets for the same xs": (key_in_targets, "sample: expected other xs from another key"),
}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("how", ["as it is", "jitted", "drawn"])
def test_a_batch_that_does_not_follow_from_the_key_is_refused(name, how):
    sample, message = SAMPLES[name]
    if how == "drawn":
        task = tasks.drawn_task("mine", sample, input_size=2, output_size=1, held_out=20,
                                loss=regression.mean_squared_error,
                                score=regression.mse_score(1 / 12))  # fmt: skip
    elif how == "jitted":
        task = task_of(jax.jit(sample, static_argnums=1))
    else:
        task = task_of(sample)
    with pytest.raises(lj.WrongValue, match=f"^task mine: {message}"):
        tasks.check(task)


@pytest.mark.parametrize(
    "name", [name for name in SAMPLES if name != "other targets for the same xs"]
)
def test_training_refuses_a_batch_that_does_not_follow_from_the_key(name):
    sample, _ = SAMPLES[name]
    model = train.recurrent(lj.rnn(2), 2, 1)
    optimizer = train.optimizer("sgd", 0.1)
    state = train.start(model, optimizer, jax.random.key(0))
    task = make(sample=sample)
    with pytest.raises(lj.WrongValue, match=r"^task mine: sample: expected"):
        jax.eval_shape(lambda state, key: train.take_steps(
            model, task, optimizer, state, key, steps=3, batch_size=4), state, jax.random.key(1)
        )  # fmt: skip


def test_constant_targets_and_drawn_rows_are_allowed():
    def constant(key, batch_size):
        return Batch(jax.random.uniform(key, (T, batch_size, 2)), jnp.ones(batch_size))

    def rows(key, batch_size):
        chosen = jax.random.randint(key, (batch_size,), 0, 50)
        return Batch(jnp.asarray(POOL)[:, chosen], jnp.asarray(POOL)[0, chosen, 0])

    tasks.check(task_of(constant))
    tasks.check(task_of(rows))
    tasks.check(make())
    tasks.check(tasks.make("lags_2a(p=4)"))  # of two sequences


def batch_first(key, batch_size):
    xs = jax.random.uniform(key, (batch_size, T, 2))
    return Batch(xs, xs[:, 0, 0])


def integers(key, batch_size):
    xs = jax.random.randint(key, (T, batch_size, 2), 0, 9)
    return Batch(xs, xs[0, :, 0])


def long_lengths(key, batch_size):
    values = jax.random.uniform(key, (T, batch_size, 2))
    return Batch(Sequences(values, jnp.full(batch_size, 2.0)), values[0, :, 0])


def fixed_rows(key, batch_size):
    return Batch(jax.random.uniform(key, (T, batch_size, 2)), jnp.ones(3))


def bare_tuple(key, batch_size):
    return tuple(draw(key, batch_size))


def broadcast(outputs, batch):
    return jnp.mean((outputs - batch.targets) ** 2)


WRONG = {
    "batch first": (lambda: task_of(batch_first), r"sample: xs: expected \[T, B, D\] .*time is ax"),
    "whole numbers": (lambda: task_of(integers), "sample: xs: expected a floating dtype .*int32"),
    "lengths of floats": (lambda: task_of(long_lengths), "sample: xs.lengths: expected integers"),
    "another input size": (lambda: make(input_size=3), r"sample: xs: expected .*input_size = 3"),
    "rows that stay": (lambda: make(sample=fixed_rows), "sample: targets: expected one axis that"),
    "no Batch": (lambda: make(sample=bare_tuple), "sample: expected a Batch, got tuple"),
    "validation of other steps": (
        lambda: make(validation=Batch(jnp.ones((T + 1, 20, 2)), jnp.ones(20))),
        r"validation: xs: expected \[5, B, 2\], as sample gives it, got shape \(6, 20, 2\)"),
    "test of another dtype": (
        lambda: make(test=Batch(jnp.ones((T, 20, 2)), jnp.ones(20, int))),
        "test: targets: expected float32, as sample gives it, got int32"),
    "test of other targets": (
        lambda: make(test=Batch(jnp.ones((T, 20, 2)), jnp.ones((20, 1)))),
        r"test: targets: expected \[B\], as sample gives it, got shape \(20, 1\)"),
    "validation of unequal rows": (
        lambda: make(validation=Batch(jnp.ones((T, 20, 2)), jnp.ones(19))),
        "validation: expected the same number of rows in all arrays.*got 19 and 20"),
    "validation in Sequences": (
        lambda: make(validation=Batch(Sequences(jnp.ones((T, 20, 2)), jnp.ones(20, int)),
                                      jnp.ones(20))), "validation: expected PyTreeDef"),
    "a loss of each row": (lambda: make(loss=regression.squared_error),
                           r"loss: expected one number, shape \(\), of outputs .*got shape \(7,\)"),
    "a loss that broadcasts": (lambda: make(loss=broadcast),
                               r"loss: expected each row's outputs .*shapes \(7, 1\) \(7,\) that"),
    "a score that broadcasts": (
        lambda: make(score=Score("MSE", broadcast, False, 1.0)), "score.measure: expected each"),
    "a further score that broadcasts": (
        lambda: make(scores=(Score("other", broadcast, False, 1.0),)),
        r"scores\[0\].measure: expected each row"),
    "an error that broadcasts": (
        lambda: make(success=Success(lambda o, b: ((o - b.targets) ** 2).mean(axis=0), 1.0, 1.0, 9,
                                     "nobody")), "success.error: expected each row"),
    "a success of one number": (
        lambda: make(success=Success(regression.mean_squared_error, 1.0, 1.0, 9, "nobody")),
        r"success.error: expected one number per row, shape \(7,\), of outputs .*got shape \(\)"),
    "a loss of whole numbers": (
        lambda: make(loss=lambda o, b: (o[:, 0] > b.targets).sum()),
        "loss: expected a floating number, which has a gradient, got int32"),
    "test_at of other inputs": (
        lambda: make(test_at=lambda length, n: Batch(jnp.ones((length, n, 3)), jnp.ones(n))),
        r"test_at\(5, 3\): xs: expected \[T, B, 2\], as sample gives it, got shape \(5, 3, 3\)"),
    "two scores of one name": (
        lambda: make(scores=(regression.mse_score(1.0),)), "scores: expected names that are all"),
    "a score without chance": (
        lambda: make(score=Score("MSE", regression.mean_squared_error, False, None)),
        "score.chance: expected a number, got None"),
    "reads of another kind": (lambda: make(reads="first"), "reads: expected 'last' or 'every'"),
    "outputs at every step": (lambda: make(reads="every"), "loss|batch.targets"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_breaks_the_contract_names_the_task_and_the_member(name):
    make, message = WRONG[name]
    task = make()
    if name == "outputs at every step":  # by a check of the loss's own
        with pytest.raises(Exception, match=message) as caught:
            tasks.check(task)
        assert "(raised by loss of task mine" in caught.value.__notes__[-1]
        return
    with pytest.raises(lj.ArgumentError, match=f"^task mine: {message}"):
        tasks.check(task)


def test_ranks_that_are_promoted_on_purpose_are_no_fault():
    def weighted(outputs, batch):
        centred = outputs * jnp.array([2.0])  # (B, 1) and (1,)
        return jnp.mean((centred[:, 0] - batch.targets) ** 2)

    def contrastive(outputs, batch):
        pairs = (outputs[:, None, :] - outputs[None, :, :]) ** 2  # rows beside rows, on purpose
        return pairs.mean() + weighted(outputs, batch)

    def hidden(outputs, batch):
        return weighted(outputs, batch) + broadcast(outputs, batch)

    tasks.check(make(loss=weighted))
    tasks.check(make(loss=contrastive))
    with pytest.raises(lj.WrongValue, match=r"loss: expected each row.*\(7, 1\) \(7,\)"):
        tasks.check(make(loss=hidden))


def test_what_a_tasks_own_function_raises_passes_with_a_note():
    def loss(outputs, batch):
        raise KeyError("something of its own")

    with pytest.raises(KeyError, match="something of its own") as caught:
        tasks.check(make(loss=loss))
    assert caught.value.__notes__[-1] == ("(raised by loss of task mine, as tasks.check called it)")
    with pytest.raises(jax.errors.TracerArrayConversionError) as caught:
        tasks.check(make(sample=lambda key, n: Batch(np.asarray(jax.random.uniform(key, (T, n, 2))),
                                                     jnp.ones(n))))  # fmt: skip
    assert "raised by sample of task mine" in caught.value.__notes__[-1]


def test_what_is_no_task_is_refused():
    with pytest.raises(TypeError, match=r"task: expected .*, got str|parameter 'task'"):
        tasks.check("adding")


SYMBOLS = reversal.reversal(3, max_length=4)


def token_loss(outputs, batch):
    return seq2seq.cross_entropy(outputs, batch.target, lengths=batch.target_lengths)


def pairs(**changes):
    """A task of pairs, whose answers are the tokens that a model writes."""
    size = len(SYMBOLS.vocabulary)
    score = Score("exact match", lambda tokens, batch: jnp.mean(tokens == batch.target), True, 0.1)
    task = PairTask("pairs", size, size, SYMBOLS.sample, SYMBOLS.validation, SYMBOLS.test,
                    loss=token_loss, score=score)  # fmt: skip
    return task._replace(**changes)


def pairs_of_floats(key, batch_size):
    batch = SYMBOLS.sample(key, batch_size)
    return batch._replace(source=batch.source.astype(jnp.float32))


def pairs_by_numpy(key, batch_size):
    ids = RNG.integers(4, 7, (5, batch_size))
    lengths = jnp.full(batch_size, 5, jnp.int32)
    return PairBatch(jnp.asarray(ids, jnp.int32), lengths, jnp.asarray(ids, jnp.int32), lengths)


WRONG_PAIRS = {
    "no size": (dict(source_size=0), "source_size: expected a positive integer, got 0"),
    "another kind of batch": (dict(sample=draw), "sample: expected a PairBatch, got Batch"),
    "ids that are floats": (
        dict(sample=pairs_of_floats), r"sample: source: expected integers \[S, B\] .*got float32"),
    "NumPy": (dict(sample=pairs_by_numpy), "sample: expected a pure function of the key"),
    "a smaller vocabulary": (
        dict(target_size=6), "validation: target: expected ids from 0 to 5, as target_size says"),
    "test of unequal rows": (
        dict(test=SYMBOLS.test._replace(source_lengths=jnp.ones(3, jnp.int32))),
        "test: expected the same number of rows in all arrays"),
    "a loss of each token": (
        dict(loss=lambda outputs, batch: outputs[..., 0]), "loss: expected one number, shape"),
}  # fmt: skip


def test_a_task_of_pairs_keeps_the_contract():
    task = pairs()
    tasks.check(task)
    longer = SYMBOLS.test_at(8, 20)  # padded to other lengths than the training batches
    tasks.check(task._replace(test=longer))
    assert task.test.xs is task.test and task.answers_axis is None


@pytest.mark.parametrize("name", WRONG_PAIRS)
def test_what_breaks_the_contract_of_pairs_is_named(name):
    changes, message = WRONG_PAIRS[name]
    with pytest.raises(lj.ArgumentError, match=f"^task pairs: {message}"):
        tasks.check(pairs(**changes))
