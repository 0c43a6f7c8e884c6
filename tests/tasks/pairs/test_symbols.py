import itertools

import jax
import numpy as np
import pytest

from lstm_jax.tasks.pairs.reversal import reversal
from lstm_jax.tasks.pairs.sorting import sorting
from lstm_jax.tasks.vocabulary import END, PAD

FACTORIES = {"reversal": reversal, "sorting": sorting}
BY_HAND = {"reversal": lambda row: row[::-1], "sorting": np.sort}


@pytest.fixture(scope="module", params=FACTORIES)
def named(request):
    return request.param, FACTORIES[request.param](7, min_length=2, max_length=6)


@pytest.fixture(scope="module")
def drawn(named):
    sample = jax.jit(named[1].sample, static_argnums=1)
    return {seed: sample(jax.random.key(seed), 4000) for seed in (3, 4)}


def check(name, batch):
    source, lengths, target, target_lengths = map(np.asarray, batch)
    assert all(ids.dtype == np.int32 for ids in batch)
    np.testing.assert_array_equal(target_lengths, lengths + 1)
    for row, length in enumerate(lengths):
        symbols = source[:length, row]
        assert (symbols >= 4).all() and (symbols < 11).all()
        assert (source[length:, row] == PAD).all()
        np.testing.assert_array_equal(target[:length, row], BY_HAND[name](symbols))
        assert target[length, row] == END and (target[length + 1 :, row] == PAD).all()


def test_targets_are_what_numpy_makes_of_the_sources(named, drawn):
    check(named[0], jax.tree.map(lambda ids: ids[..., :500], drawn[3]))
    assert drawn[3].source.shape == (6, 4000) and drawn[3].target.shape == (7, 4000)
    check(named[0], named[1].validation)


def test_symbols_and_lengths_are_uniform(drawn):
    source, lengths = np.asarray(drawn[3].source), np.asarray(drawn[3].source_lengths)
    np.testing.assert_allclose(np.bincount(lengths)[2:] / 4000, 0.2, atol=0.03)
    counts = np.bincount(source[source != PAD])[4:]
    np.testing.assert_allclose(counts / counts.sum(), 1 / 7, rtol=0.08)
    assert lengths.min() == 2 and lengths.max() == 6


def test_a_key_gives_the_same_batch_and_another_key_another(named, drawn):
    again = named[1].sample(jax.random.key(3), 4000)
    for ids, same in zip(drawn[3], again, strict=True):
        np.testing.assert_array_equal(ids, same)
    assert not np.array_equal(drawn[3].source, drawn[4].source)


@pytest.mark.slow
def test_held_out_data_are_fixed_and_apart(named):
    name, task = named
    again = FACTORIES[name](7, min_length=2, max_length=6)
    np.testing.assert_array_equal(task.test.source, again.test.source)
    assert not np.array_equal(task.test.source, task.validation.source)
    np.testing.assert_array_equal(task.test_at(12, 50).source, again.test_at(12, 50).source)
    long, longer = task.test_at(11, 50), task.test_at(12, 50)
    assert longer.source.shape == (12, 50) and longer.target.shape == (13, 50)
    assert (np.asarray(longer.source_lengths) == 12).all()
    assert not np.array_equal(long.source, longer.source[:11])
    check(name, longer)


def test_the_vocabulary_is_the_symbols(named):
    vocabulary = named[1].vocabulary
    assert len(vocabulary) == 11
    assert vocabulary.decode([4, 10, END]) == ["1", "7"]
    assert named[1].name == f"{named[0]}(7 symbols, 2 to 6)"


@pytest.mark.parametrize("symbols", [1, 2, 3])
@pytest.mark.parametrize("name", FACTORIES)
def test_chance_is_the_share_of_the_commonest_target(name, symbols):
    task = FACTORIES[name](symbols, max_length=3)
    for length in (1, 4, 5):
        sources = itertools.product(range(symbols), repeat=length)
        targets = [tuple(BY_HAND[name](np.array(source))) for source in sources]
        most = max(targets.count(target) for target in set(targets))
        np.testing.assert_allclose(task.chance(length), most / len(targets), rtol=1e-12)


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match=r"symbols: .*got 0"):
        reversal(0)
    with pytest.raises(ValueError, match="max_length: expected at least min_length, 4, got 3"):
        sorting(min_length=4, max_length=3)
    task = reversal(2, max_length=3)
    with pytest.raises(ValueError, match="length: expected up to twice max_length, 3, got 7"):
        task.test_at(7, 1)
    with pytest.raises(ValueError, match=r"length: .*got 7"):
        task.chance(7)
    with pytest.raises(ValueError, match=r"batch_size: .*got 0"):
        task.sample(jax.random.key(0), 0)
