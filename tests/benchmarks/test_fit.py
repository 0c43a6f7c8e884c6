import pytest

from benchmarks.studies import fit as study
from lstm_jax import train


@pytest.mark.slow
def test_the_bare_loop_does_the_same_work():
    case = study.ptb(windows=3)
    params, loss = study.bare_loop(case)()
    fitted = train.fit(
        case.model, case.data, loss="cross_entropy", optimizer=case.optimizer, epochs=1,
        batch_size=case.batch_size, key=study.KEY, progress=False,
        params=case.model.init(study.KEY),
    )  # fmt: skip
    # The last window has a step less: its mean counts a little more in the bare loop.
    assert fitted.history["loss"][0] == pytest.approx(float(loss), rel=1e-4)
    assert params.keys() == fitted.params.keys()


def test_cases_have_the_batches_of_an_epoch():
    case = study.rows(9, 3, count=250)
    assert len({batch.xs.values.shape for batch in case.batches}) == 1
    assert sum(batch.counts.sum() for batch in case.batches) == 250
