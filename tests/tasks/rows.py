"""Shared by the tests of symbol tasks: rows as lists, and the best answers without memory."""

import jax
import numpy as np


def rows_of(batch):
    """Each row's symbols and targets within its length, as lists; the padding is checked."""
    values, lengths = (np.asarray(part) for part in batch.xs)
    assert values.ndim == 3 and set(np.unique(values)) <= {0.0, 1.0}
    ones = values.sum(axis=-1)
    targets = np.asarray(batch.targets)
    for row, length in enumerate(lengths):
        assert length >= 1 and (ones[:length, row] == 1).all() and (ones[length:, row] == 0).all()
        symbols = values[:length, row].argmax(axis=-1).tolist()
        if targets.ndim == 1:
            yield symbols, int(targets[row])
        else:
            assert (targets[length:, row] == -1).all()
            yield symbols, targets[:length, row].tolist()


def asked_of(batch):
    """The current symbol and the answer wherever one is asked for; -1 for no symbol."""
    if isinstance(batch.xs, tuple):
        values, lengths = batch.xs
    else:
        values, lengths = batch.xs, np.full(batch.xs.shape[1], batch.xs.shape[0])
    symbols, targets = np.asarray(values).argmax(axis=-1), np.asarray(batch.targets)
    if targets.ndim == 1:
        return symbols[np.asarray(lengths) - 1, np.arange(len(lengths))], targets
    return symbols[targets >= 0], targets[targets >= 0]


def simulated(batch):
    """The accuracies of the best constant answer and of the best answer to the current symbol,
    fitted to the batch itself, and therefore slightly above the true ones."""
    seen, answers = asked_of(batch)
    table = np.zeros((seen.max() + 1, answers.max() + 1))
    np.add.at(table, (seen, answers), 1)
    return table.sum(axis=0).max() / table.sum(), table.max(axis=1).sum() / table.sum()


def right_outputs(batch, classes):
    """Outputs that give every answer correctly."""
    return jax.nn.one_hot(batch.targets, classes)


def require_drawn_from_the_key(task, again):
    """Checks that a key decides the batch, that ``again``, the same task made a second time, has
    the same test data, and that validation data differ from them."""
    sample = jax.jit(task.sample, static_argnums=1)
    one, same, other = (sample(jax.random.key(seed), 30) for seed in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, one, same)
    assert not np.array_equal(one.xs, other.xs)
    np.testing.assert_array_equal(task.test.xs, again.test.xs)
    assert not np.array_equal(task.test.xs, task.validation.xs)


def require_fixed_held_out(make):
    """Checks that held-out data are the same in every run, and that training, validation and test
    have different sequences."""
    one, again = make(), make()
    for first, second in ((one.validation, again.validation), (one.test, again.test)):
        for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
            np.testing.assert_array_equal(a, b)
    drawn = one.sample(jax.random.key(0), 1000)
    same, other = (one.sample(jax.random.key(seed), 1000) for seed in (0, 1))
    values = [
        np.asarray(jax.tree.leaves(b.xs)[0]) for b in (drawn, one.validation, one.test, other)
    ]
    np.testing.assert_array_equal(values[0], jax.tree.leaves(same.xs)[0])
    for i, a in enumerate(values):
        assert a.shape[1] == 1000
        assert not any(np.array_equal(a, b) for b in values[i + 1 :])
