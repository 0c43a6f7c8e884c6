import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import train
from lstm_jax.tasks import Sequences
from tests.train.finite import KEY, assert_equal, fit, mean_model, padded, ragged

ROWS, TARGETS = ragged()
WIDE, LENGTHS = padded(ROWS)


def read(data, rows=(0, 1, 2), count=None, longest=6):
    return data.read(np.array(rows), len(rows) if count is None else count, longest)


def test_batches_have_time_first_and_zeros_in_the_padding():
    expected = np.zeros((6, 3, 2), np.float32)
    for column, row in enumerate((4, 0, 7)):
        expected[: len(ROWS[row]), column] = ROWS[row]
    for data in (train.Dataset(ROWS, TARGETS), train.Dataset(WIDE, TARGETS, lengths=LENGTHS)):
        batch = read(data, (4, 0, 7), count=2)
        assert isinstance(batch.xs, Sequences)
        np.testing.assert_array_equal(batch.xs.values, expected, strict=True)
        assert batch.xs.lengths.tolist() == [len(ROWS[row]) for row in (4, 0, 7)]
        np.testing.assert_array_equal(batch.targets, TARGETS[[4, 0, 7]], strict=True)
        assert batch.counts.tolist() == [True, True, False]


def test_rows_of_one_length_are_plain_arrays():
    tokens = np.arange(20).reshape(4, 5)
    for inputs in (tokens, list(tokens), jnp.asarray(tokens), tokens.tolist()):
        batch = read(train.Dataset(inputs), (1, 3), longest=5)
        np.testing.assert_array_equal(batch.xs, tokens[[1, 3]].T)
        assert batch.xs.dtype == np.int32 and batch.targets is None


def test_targets_at_every_step():
    targets = [row[:, 0] for row in ROWS]
    wide = np.pad(padded(targets)[0], ((0, 0), (0, 3)), constant_values=np.nan)
    for data in (
        train.Dataset(ROWS, targets, per="step"),
        train.Dataset(WIDE, wide, lengths=LENGTHS, per="step"),
        train.Dataset(ROWS, wide, per="step"),
    ):
        batch = read(data, (3, 1))
        within = np.arange(6)[:, None] < LENGTHS[[3, 1]]
        np.testing.assert_array_equal(batch.counts, within)
        np.testing.assert_array_equal(batch.targets, np.where(within, WIDE[[3, 1], :, 0].T, 0))
    classes = [np.full(len(row), -1) for row in ROWS]
    classes[3][0] = 2
    batch = read(train.Dataset(ROWS, classes, per="step"), (3, 1))
    assert batch.counts.sum() == 1 and batch.targets.sum() == 2


def test_several_inputs_of_different_kinds():
    rng = np.random.default_rng(0)
    inputs = {
        "numbers": rng.normal(size=(4, 5, 2)),
        "tokens": [np.arange(n) for n in (1, 4, 2, 3)],
        "place": np.array([3, 1, 0, 2]),
        "age": rng.normal(size=4),
        "scores": rng.normal(size=(4, 3)),
        "list": [rng.normal(size=3) for _ in range(4)],
        "pair": [0, 1, 0, 1],
    }
    data = train.Dataset(inputs, np.zeros(4), lengths={"numbers": [5, 4, 3, 2]})
    batch = read(data.take([2, 0]), (0, 1), longest=5)
    assert list(batch.xs) == list(inputs)
    assert batch.xs["numbers"].values.shape == (5, 2, 2)
    assert batch.xs["numbers"].lengths.tolist() == [3, 5]
    np.testing.assert_array_equal(batch.xs["tokens"].values, [[0, 0], [1, 0], [0, 0], [0, 0]])
    assert batch.xs["tokens"].lengths.tolist() == [2, 1]
    for name in ("place", "age", "scores", "list", "pair"):
        np.testing.assert_array_equal(
            batch.xs[name], np.asarray([inputs[name][2], inputs[name][0]], batch.xs[name].dtype)
        )
    assert batch.xs["age"].dtype == np.float32 and batch.xs["place"].dtype == np.int32
    assert data.lengths.tolist() == [5, 4, 3, 2]


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.uint8, np.int64, bool])
def test_numbers_of_any_dtype_are_features(dtype):
    values = (np.random.default_rng(0).normal(size=(4, 5, 2)) * 3).astype(dtype)
    expected = values.astype(np.float16 if dtype == np.float16 else np.float32)
    for inputs in (values, [*values], np.asfortranarray(values), values[::-1][::-1]):
        xs = read(train.Dataset(inputs), longest=5).xs
        np.testing.assert_array_equal(xs, expected[:3].swapaxes(0, 1), strict=True)


def test_categories_of_any_dtype_are_integers():
    for dtype in (np.int64, np.uint8, np.int16, bool):
        ids = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
        xs = read(train.Dataset(ids), (0, 1), longest=3).xs
        assert xs.dtype.kind in "iu" and xs.tolist() == ids.T.astype(int).tolist()


def test_arrays_of_rows_are_lists():
    objects = np.empty(12, object)
    objects[:] = ROWS
    assert_equal(read(train.Dataset(objects, TARGETS)), read(train.Dataset(ROWS, TARGETS)))


def test_take():
    groups = np.arange(12) // 3
    data = train.Dataset(ROWS, TARGETS, groups=groups)
    part = data.take(np.arange(12) % 2 == 0).take([3, -1, 3])
    assert len(part) == 3 and part.groups.tolist() == [2, 3, 2]
    assert part.lengths.tolist() == LENGTHS[[6, 10, 6]].tolist()
    assert part.targets.tolist() == TARGETS[[6, 10, 6]].tolist()
    assert_equal(part.inputs, [ROWS[6], ROWS[10], ROWS[6]])
    assert_equal(read(part), read(data, (6, 10, 6)))
    assert len(data.take([])) == 0 and len(data) == 12
    for wrong in ([12], [-13], [0.5], np.ones(11, bool), [[1]], "all"):
        with pytest.raises(ValueError, match="rows: expected"):
            data.take(wrong)


def test_replace_keeps_rows_and_the_shapes_of_batches():
    groups = np.arange(12)
    for inputs, lengths in ((ROWS, None), (WIDE, LENGTHS)):
        data = train.Dataset(inputs, TARGETS, lengths=lengths, groups=groups, in_time_order=True)
        short = data.take(np.flatnonzero(LENGTHS.min() == LENGTHS)[:1])
        scaled = short.replace(inputs=[row * 2 for row in short.inputs] if lengths is None
                               else short.inputs * 2, targets=short.targets + 1)  # fmt: skip
        assert scaled.whole_lengths.tolist() == LENGTHS.tolist()
        assert scaled.groups.tolist() == short.groups.tolist() and scaled.in_time_order
        a, b = read(short, (0,)), read(scaled, (0,))
        np.testing.assert_array_equal(a.xs.values * 2, b.xs.values)
        assert a.xs.lengths == b.xs.lengths and b.targets == a.targets + 1
        assert_equal(short.replace(targets=short.targets).inputs, short.inputs)
    with pytest.raises(ValueError, match="inputs: expected the same 12 rows"):
        data.replace(inputs=[row[:1] for row in ROWS])
    both = train.Dataset({"a": ROWS, "b": np.arange(12)}, TARGETS)
    changed = both.replace(inputs={**both.inputs, "b": np.arange(12) * 2})
    assert read(changed).xs["b"].tolist() == [0, 2, 4]


def test_missing_values_are_named_or_masked():
    rows = [row.copy() for row in ROWS]
    row = int(np.argmax(LENGTHS))
    rows[row][2, 1] = np.nan
    wide = padded(rows)[0]
    place = f"inputs: expected finite numbers, got nan in row {row}, step 2, column 1; missing="
    for inputs, lengths in ((rows, None), (wide, LENGTHS)):
        with pytest.raises(ValueError, match=place):
            train.Dataset(inputs, TARGETS, lengths=lengths)
        data = train.Dataset(inputs, TARGETS, lengths=lengths, missing="mask")
        batch = read(data, (row,))
        assert batch.xs.values[2, 0].tolist() == [rows[row][2, 0], 0.0] and batch.counts.all()
        assert np.isnan(data.inputs[row][2, 1])
    with pytest.raises(ValueError, match=r"inputs\['x'\]: .* got nan in row 1, column 2"):
        train.Dataset({"t": ROWS[:2], "x": np.array([[1, 2, 3], [1, 2, np.nan]])})
    rows[row][2, 1] = np.inf
    with pytest.raises(ValueError, match=f"got inf in row {row}, step 2, column 1$"):
        train.Dataset(rows, missing="mask")
    targets = [row[:, 0].copy() for row in ROWS]
    targets[row][1] = np.nan
    with pytest.raises(ValueError, match=f"targets: .* got nan in row {row}, step 1;"):
        train.Dataset(ROWS, targets, per="step")
    batch = read(train.Dataset(ROWS, targets, per="step", missing="mask"), (row,))
    assert batch.counts[:, 0].tolist() == [True, False, True, True, True, True]
    assert np.isfinite(batch.targets).all()


def test_places_beyond_the_first_block_are_named(monkeypatch):
    monkeypatch.setattr("lstm_jax.train.data.missing.BLOCK", 20)
    values = np.zeros((9, 5, 2))
    values[7, 3, 1] = np.nan
    with pytest.raises(ValueError, match="row 7, step 3, column 1"):
        train.Dataset(values)
    with pytest.raises(ValueError, match=r"got -7 in row 6$"):
        train.Dataset(values * 0, np.array([0, 1, 2, -1, 0, 1, -7, 0, 0]), missing="mask")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(inputs=[]), "inputs: expected at least one row, got none"),
        (dict(inputs=np.zeros((0, 5, 2))), "inputs: expected at least one row, got none"),
        (dict(inputs=np.zeros((5, 0, 2))), "at least one step per row"),
        (dict(inputs=[np.zeros((2, 1)), np.zeros((0, 1))]), "at least one step .* in row 1"),
        (dict(inputs=np.zeros((4, 5))), r"add an axis: values\[..., None\]"),
        (dict(inputs=np.zeros(4)), r"expected \[N, T, D\]"),
        (dict(inputs=[np.zeros((2, 1)), np.zeros((2, 2))]), r"shape \(2, 2\) in row 1"),
        (dict(inputs=[np.zeros((2, 1)), np.zeros((2, 1), int)]), "int64 of shape .* in row 1"),
        (dict(inputs=["some text"]), "inputs, row 0: expected numbers, got the text 'some text'"),
        (dict(inputs=np.array([["a", "b"]])), "inputs: expected numbers, got the text 'a'; encode"),
        (dict(inputs=np.zeros((2, 3, 1), complex)), "inputs: expected numbers, got dtype complex"),
        (dict(targets=TARGETS[:5]), "targets: expected 12, one for each row .* got 5"),
        (dict(targets=["good", "bad"] * 6), "text 'good'; number the classes first: classes, targ"),
        (dict(targets=np.array(["good"] * 12, object)), "text 'good'; number the classes first"),
        (dict(targets=[[1, 2], [3]] * 6), "targets: expected an array, got a list whose items di"),
        (dict(targets=3.0), "targets: expected one value for each row"),
        (dict(targets=np.full(12, -2)), "classes from 0, or -1 .* got -2 in row 0"),
        (dict(targets=np.full(12, 2**40)), "targets: expected integers from"),
        (dict(targets=TARGETS, per="step"), r"expected \[N, T\]"),
        (
            dict(targets=[row[:-1] for row in ROWS], per="step"),
            "targets: expected . steps in row 0",
        ),
        (dict(targets=np.zeros((12, 5)), per="step"), "targets: expected 6 steps, .* got 5"),
        (dict(targets=[row[:, 0] for row in ROWS[:3]], per="step"), "targets: expected 12"),
        (dict(inputs=np.zeros((2, 3, 1)), targets=np.zeros((2, 4)), per="step"), "expected 3 step"),
        (dict(lengths=LENGTHS), "inputs: expected an array beside lengths, got a list"),
        (dict(inputs=WIDE, lengths=LENGTHS[:3]), "lengths: expected one integer for each of the"),
        (dict(inputs=WIDE, lengths=LENGTHS * 0), "lengths: expected values from 1 to 6, got 0 in"),
        (dict(inputs=WIDE, lengths=LENGTHS + 9), "lengths: expected values from 1 to 6, got 1"),
        (dict(inputs=WIDE, lengths=LENGTHS * 1.0), "lengths: expected one integer"),
        (dict(inputs={"a": WIDE}, lengths=LENGTHS), "lengths: expected a dict"),
        (dict(inputs={"a": ROWS, "b": ROWS[:3]}), r"inputs\['b'\]: expected 12 rows"),
        (dict(inputs={"a": np.zeros(3)}), "at least one column of sequences"),
        (dict(inputs={"a": ROWS, "b": ["x"] * 12}), r"inputs\['b'\]: expected numbers, got the te"),
        (dict(groups=[1, 2]), "groups: expected one for each of the 12 rows"),
        (dict(per="row"), "per"),
        (dict(missing="drop"), "missing"),
        (dict(in_time_order=1), "in_time_order"),
    ],
)
def test_wrong_data(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        train.Dataset(**{"inputs": ROWS, **arguments})


@pytest.mark.slow
def test_memory_maps_and_sources_give_the_same_bits_as_arrays(tmp_path):
    pytest.importorskip("grain")
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 6, 2)).astype(np.float32)
    lengths = rng.integers(1, 7, 40)
    targets = rng.normal(size=40)
    np.save(tmp_path / "values.npy", values)
    np.save(tmp_path / "targets.npy", targets)
    on_disk = np.load(tmp_path / "values.npy", mmap_mode="r")
    targets_on_disk = np.load(tmp_path / "targets.npy", mmap_mode="r")

    class Records:
        def __len__(self):
            return 40

        def __getitem__(self, i):
            return values[i, : lengths[i]], targets[i]

    part = np.arange(3, 38)
    sets = [
        train.Dataset(values, targets, lengths=lengths),
        train.Dataset(on_disk, targets_on_disk, lengths=lengths),
        train.Source(Records(), lengths=lengths),
        train.Dataset([row[:n] for row, n in zip(values, lengths, strict=True)], targets),
    ]
    assert [data.far for data in sets] == [False, True, True, False]
    assert not train.Dataset(on_disk * 1.0).far  # NumPy gives it the type of a memory map
    model = mean_model(noise=0.1)
    found = [fit(model, data.take(part), validation=data.take(part[:9])) for data in sets]
    answers = [train.predict(model, found[0].params, data, batch_size=7) for data in sets]
    for other in range(1, 4):
        assert_equal(found[0].params, found[other].params)
        assert found[0].history == found[other].history
        assert_equal(answers[0], answers[other])


def test_what_is_on_the_disk_is_checked_when_it_is_read(tmp_path):
    values = np.zeros((4, 6, 2), np.float32)
    values[2, 3, 1] = np.nan
    np.save(tmp_path / "values.npy", values)
    np.save(tmp_path / "targets.npy", values[..., 0])
    on_disk = np.load(tmp_path / "values.npy", mmap_mode="r")
    data = train.Dataset(on_disk, values[:, 0, 0])
    read(data, (0, 1))
    with pytest.raises(
        ValueError, match=r"inputs: .* got nan in row 2, step 3, column 1; missing="
    ):
        read(data.take([3, 2]), (0, 1))
    masked = train.Dataset(on_disk, values[..., 1], per="step", missing="mask")
    batch = read(masked, (2, 0))
    assert np.isfinite(batch.xs).all() and batch.counts.sum() == 11 and not batch.counts[3, 0]


def test_sources_name_the_record():
    records = [(row, target) for row, target in zip(ROWS, TARGETS, strict=True)]
    bad = ROWS[5].copy()
    bad[0, 1] = np.nan
    for record, message in (
        ((bad, 0.0), "record 5: inputs: expected finite numbers, got nan in step 0, column 1"),
        ((ROWS[5], "good"), "record 5: targets: expected numbers, got the text 'good'"),
        (ROWS[5], "pairs of inputs and a target, got ndarray as record 5"),
        ((ROWS[5][:0], 0.0), "record 5: inputs: expected at least one step per row"),
    ):
        data = train.Source([*records[:5], record, *records[6:]], lengths=LENGTHS)
        with pytest.raises((ValueError, TypeError), match=message):
            data.read(np.array([4, 5, 6]), 3, 6)
    with pytest.raises(ValueError, match="expected 4, the steps of record"):
        train.Source([(np.zeros((4, 1)), 0)] * 3, lengths=[4, 5, 4]).read(np.arange(3), 3, 5)
    for wrong, message in (
        (dict(records=[]), "records: expected at least one"),
        (dict(records=3), "records: expected something with len"),
        (dict(records=records, lengths=[1]), "lengths: expected one integer for each of the 12"),
        (dict(records=records, per="row"), "per"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            train.Source(**wrong)


def test_sources_of_several_inputs_have_few_shapes():
    rng = np.random.default_rng(0)
    records = [
        ({"t": rng.normal(size=(n, 2)), "ids": np.arange(n), "age": 0.5}, n % 2)
        for n in rng.integers(2, 17, 20)
    ]
    data = train.Source(records, lengths=[len(record[0]["t"]) for record in records])
    batches = [data.read(np.array([i, i + 1]), 2, 16) for i in range(19)]
    shapes = [jax.tree.map(np.shape, batch.xs) for batch in batches]
    assert {shape["t"].values for shape in shapes} == {(16, 2, 2)}
    assert {shape["ids"].values for shape in shapes} <= {(2**n, 2) for n in range(5)}
    assert {shape["age"] for shape in shapes} == {(2,)}
    for i, batch in enumerate(batches):
        assert batch.xs["ids"].lengths.tolist() == data.lengths[i : i + 2].tolist()


def test_hold_out():
    data = train.Dataset(np.arange(40).reshape(20, 2), np.arange(20.0))
    rest, held_out = train.hold_out(data, 0.25, key=KEY)
    assert len(held_out) == 5 and sorted([*rest.targets, *held_out.targets]) == list(range(20))
    assert held_out.targets.tolist() == sorted(held_out.targets) != list(range(15, 20))
    again = train.hold_out(data, 0.25, key=KEY)[1]
    other = train.hold_out(data, 0.25, key=jax.random.key(1))[1]
    assert again.targets.tolist() == held_out.targets.tolist() != other.targets.tolist()
    in_time = train.Dataset(np.arange(40).reshape(20, 2), np.arange(20.0), in_time_order=True)
    assert train.hold_out(in_time, 0.3)[1].targets.tolist() == list(range(14, 20))
    assert [len(part) for part in train.hold_out(in_time, 0.001)] == [19, 1]
    assert [len(part) for part in train.hold_out(in_time, 0.999)] == [1, 19]
    groups = np.array(list("aabbbcddddeeffgghhhh"))
    grouped = train.Dataset(np.arange(40).reshape(20, 2), np.arange(20.0), groups=groups)
    for seed in range(5):
        rest, held_out = train.hold_out(grouped, 0.3, key=jax.random.key(seed))
        assert not set(rest.groups) & set(held_out.groups) and 4 <= len(held_out) <= 8
    in_time = train.Dataset(
        np.arange(40).reshape(20, 2), np.arange(20.0), groups=groups, in_time_order=True
    )
    assert train.hold_out(in_time, 0.3)[1].groups.tolist() == list("gghhhh")
    for wrong, message in (
        ((data, 0.0), "share"), ((data, 1.0), "share"), ((data, 0.5), "key: expected a key"),
        ((data.take([1]), 0.5), "at least 2 rows"), ((ROWS, 0.5), "data: expected a train.Datas"),
        ((grouped.take([0, 1]), 0.5), "at least 2 groups"),
    ):  # fmt: skip
        with pytest.raises((ValueError, TypeError), match=message):
            train.hold_out(*wrong)
