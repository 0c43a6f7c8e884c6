"""The embedded Reber grammar against an expression written independently of its graph."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.tasks import Batch
from lstm_jax.tasks.formal import reber
from lstm_jax.tasks.formal.reber import SYMBOLS, embedded_reber

# By hand: from each of the two middle nodes on, then the whole.
END = "(?:PXT*V)*(?:V|PS)"
INNER = f"B(?:TS*X(?:S|XT*V{END})|PT*V{END})E"
INNER_STRING = re.compile(INNER)
STRING = re.compile(f"BT{INNER}TE|BP{INNER}PE")


@pytest.fixture(scope="module")
def task():
    return embedded_reber()


def strings_of(batch):
    """The strings, read back from the arrays: the inputs of each row and its last target."""
    values, lengths = (np.asarray(leaf) for leaf in batch.xs)
    targets = np.asarray(batch.targets.symbols)
    strings = []
    for row, length in enumerate(lengths):
        inputs, asked = values[:length, row], targets[:length, row]
        assert (inputs.sum(axis=-1) == 1).all() and (inputs.max(axis=-1) == 1).all()
        symbols = [*inputs.argmax(axis=-1), asked[-1]]
        np.testing.assert_array_equal(symbols[1:], asked)
        assert (targets[length:, row] == -1).all()
        strings.append("".join(SYMBOLS[s] for s in symbols))
    return strings


def test_the_expression_knows_published_strings():
    """Strings that Schraudolph's page on the grammar classifies as Reber or not, and the 43 of at
    most 8 letters between B and E that Cleeremans et al. 1989 used for training and testing."""
    for string in ("BTSSXXTVVE", "BPVVE", "BTXXVPSE", "BPVPXVPXVPXVVE", "BTSXXVPSE"):
        assert INNER_STRING.fullmatch(string), string
    for string in ("BTSSPXSE", "BPTVVB", "BTXXVVSE", "BPVSPSE", "BTSSSE"):
        assert not INNER_STRING.fullmatch(string), string
    letters = (itertools.product("TPSXV", repeat=n) for n in range(9))
    found = sum(INNER_STRING.fullmatch(f"B{''.join(s)}E") is not None for n in letters for s in n)
    assert found == 43


def test_the_graph_makes_as_many_strings_of_each_length():
    """Two for each Reber string, with 6 more symbols around its letters; the shortest have 9."""

    def count(node, left):
        edges = reber.EMBEDDED[node].values()
        return sum(count(to, left - 1) for to in edges) if left else float(node == "end")

    counts = [count("start", length) for length in range(15)]
    assert counts == [0] * 9 + [2 * n for n in (2, 3, 4, 7, 11, 16)]
    assert sum(counts) == 2 * 43


@pytest.mark.slow
def test_all_strings_are_legal_and_the_sets_are_apart(task):
    known, fresh = strings_of(task.validation), strings_of(task.test)
    assert len(known) == 512 and len(fresh) == 1000
    assert all(STRING.fullmatch(string) for string in known + fresh)
    training, testing = known[:256], known[256:]
    assert not set(training) & set(testing) and not set(fresh) & set(known)
    assert {string[1] for string in training} == {"T", "P"}
    drawn = strings_of(task.sample(jax.random.key(0), 2000))
    assert set(drawn) == set(training)  # each of 256 is missed once in 2,500 times


@pytest.mark.slow
def test_another_pair_has_other_strings(task):
    other = strings_of(embedded_reber(pair=1).validation)
    assert other != strings_of(task.validation)
    assert strings_of(embedded_reber(pair=0).validation) == strings_of(task.validation)


def test_legal_symbols_are_those_that_some_string_goes_on_with(task):
    """By the expression alone: some string begins with the prefix and the next symbol."""
    legal = np.asarray(task.test.targets.legal)
    for row, string in enumerate(strings_of(task.test)[:12]):
        for t in range(len(string) - 1):
            prefix = string[: t + 1]
            by_task = [s for s, yes in zip(SYMBOLS, legal[t, row], strict=True) if yes]
            assert by_task == [s for s in SYMBOLS if can_begin(prefix + s)], prefix
            assert 1 <= len(by_task) <= 2
        assert not legal[len(string) - 1 :, row].any()


# A Reber string ends within three letters from any node, four from its first.
INNER_TAILS = ["".join(s) + "E" for n in range(4) for s in itertools.product("TPSXV", repeat=n)]


def can_begin(begun):
    """Whether some string of the expression begins with this."""
    tails = [*INNER_TAILS, "BPVVE", "BTXSE", "TBPVVE", ""]
    ends = [tail + side + "E" for tail in tails for side in "TP"] + ["TBPVVETE", "E", ""]
    return any(STRING.fullmatch(begun + end) for end in ends)


def test_edges_have_equal_chances():
    rng = np.random.default_rng(0)
    strings = [reber.walk(rng) for _ in range(4000)]
    count = len(strings)
    for prefix, chance in {"BT": 1 / 2, "BTBT": 1 / 4, "BPBPV": 1 / 8, "BTBTXSETE": 1 / 16}.items():
        share = sum(string.startswith(prefix) for string in strings) / count
        assert abs(share - chance) < 4 * np.sqrt(chance / count), prefix
    # The mean length of a Reber string with B and E is 8 (of the embedded one 12): from the middle
    # nodes n4 = 1 + n3 / 2 and n5 = 1 + n4 / 2, with n3 = 2 + n5, there are 10/3 and 8/3 to go.
    assert abs(np.mean([len(string) for string in strings]) - 12) < 0.3


def test_strings_of_one_length(task):
    batch = task.test_at(60, 40)
    strings = strings_of(batch)
    assert {len(string) for string in strings} == {61} and len(set(strings)) > 30
    assert all(STRING.fullmatch(string) for string in strings)
    assert strings == strings_of(task.test_at(60, 40))
    # 8 symbols to read: two inner strings on each of two sides, all equally likely.
    shortest = strings_of(task.test_at(8, 400))
    assert {shortest.count(s) > 70 for s in set(shortest)} == {True} and len(set(shortest)) == 4
    with pytest.raises(ValueError, match=r"length: expected at least 8.*got 7"):
        task.test_at(7, 1)


def tiny():
    """Two strings, and outputs at which exactly the legal symbols are active."""
    batch = reber.encode(["BTBTXSETE", "BPBPVPSEPE"])
    legal = np.asarray(batch.targets.legal)
    return batch, np.where(legal, 2.0, -1.0).astype(np.float32)


def test_loss_score_and_criterion_by_hand(task):
    batch, outputs = tiny()
    symbols, lengths = np.asarray(batch.targets.symbols), np.asarray(batch.xs.lengths)

    def measure(outputs, batch):
        return float(task.score.measure(jnp.asarray(outputs), batch))

    def met(outputs, batch):
        return bool(task.success.met(jnp.asarray(outputs), batch))

    half = 0.0
    for row in range(2):
        for t in range(lengths[row]):
            goal = np.eye(7)[symbols[t, row]]
            half += 0.5 * ((goal - 1 / (1 + np.exp(-outputs[t, row]))) ** 2).sum()
    np.testing.assert_allclose(task.loss(jnp.asarray(outputs), batch), half / 2, rtol=1e-5)
    assert measure(outputs, batch) == 1
    assert met(outputs, batch)
    # One of two legal symbols, B of "BP" at the second step, below an illegal one.
    worse = outputs.copy()
    worse[2, 1] = [0, 3, -1, -1, -1, -1, 0]  # T and P are legal
    np.testing.assert_array_equal(reber.steps_wrong(jnp.asarray(worse), batch), [0, 1])
    assert not met(worse, batch)
    assert measure(worse, batch) == 1  # the most active one is legal
    worse[2, 1, 0] = 4
    np.testing.assert_allclose(measure(worse, batch), 1 - 1 / lengths.sum())
    past = outputs.copy()
    past[lengths[0] :, 0] = np.inf
    assert met(past, batch) and not met(np.full_like(outputs, np.nan), batch)


def test_chance_and_memoryless_by_simulation(task):
    batch = task.test
    shape = batch.targets.legal.shape
    constants = [jnp.broadcast_to(jax.nn.one_hot(s, 7), shape) for s in range(7)]
    scores = [float(task.score.measure(outputs, batch)) for outputs in constants]
    np.testing.assert_allclose(max(scores), task.score.chance, rtol=1e-6)
    # For each current symbol, the best of all seven answers, tried out one by one.
    values, total = np.asarray(batch.xs.values), float(batch.xs.lengths.sum())
    hits = 0.0
    for current in range(7):
        here = values[..., current] == 1
        legal = np.asarray(batch.targets.legal)[here]
        hits += max(legal[:, answer].sum() for answer in range(7))
    np.testing.assert_allclose(hits / total, task.score.memoryless, rtol=1e-6)
    assert 0.4 < task.score.chance < 0.5 < task.score.memoryless < 0.8


def test_padding_and_bad_input(task):
    batch = task.sample(jax.random.key(1), 50)
    lengths = np.asarray(batch.xs.lengths)
    past = np.arange(batch.xs.values.shape[0])[:, None] >= lengths
    assert (np.asarray(batch.xs.values)[past] == 0).all() and past.any()
    assert isinstance(batch, Batch)
    with pytest.raises(ValueError, match=r"pair: .*got -1"):
        embedded_reber(pair=-1)
