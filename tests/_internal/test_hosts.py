"""How a job of several processes begins, and what they agree on."""

import sys
import textwrap

import jax
import pytest

import lstm_jax as lj
from experiments.harness.launch import JobFailed, free_port, launch
from lstm_jax._internal import hosts
from tests.pages import ROOT

CLUSTERS = (*hosts.SLURM, hosts.ADDRESS, hosts.KUBERNETES, "OMPI_MCA_orte_hnp_uri",
            "KUBERNETES_SERVICE_HOST")  # fmt: skip
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"}


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    for name in CLUSTERS:
        monkeypatch.delenv(name, raising=False)


def test_a_program_that_is_started_alone_goes_on_alone():
    jax.devices()  # JAX is in use
    assert lj.initialize_hosts() == 1
    assert hosts.from_first(3, 4) == (3, 4)
    assert hosts.differing([1, 2]) == []


def test_an_error_of_the_one_process_is_its_own():
    def fail():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        hosts.on_first(fail, RuntimeError)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(coordinator_address="localhost"), "coordinator_address: expected host and port"),
        (dict(coordinator_address=1234), "coordinator_address: expected a text"),
        (dict(num_processes=0), "num_processes: expected"),
        (dict(process_id=-1), "process_id: expected"),
        (dict(num_processes=2, process_id=2), "process_id: expected a number below 2"),
        (dict(timeout="soon"), "timeout: expected"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        lj.initialize_hosts(**arguments)


def test_joining_after_jax_was_used():
    jax.devices()
    with pytest.raises(RuntimeError, match="expected to be called before JAX is used"):
        lj.initialize_hosts("localhost:1234", 2, 0)


def test_slurm_without_srun(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    with pytest.raises(
        ValueError, match=r"SLURM_STEP_NODELIST: expected .* got none; start .* srun"
    ):
        lj.initialize_hosts()
    monkeypatch.setenv("SLURM_NTASKS", "1")
    assert lj.initialize_hosts() == 1


def test_kubernetes_without_its_package(monkeypatch):
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "0")
    monkeypatch.setattr(hosts, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="JOB_COMPLETION_INDEX is set and the package kubernetes"):
        lj.initialize_hosts()


def run(tmp_path, code, count, **environment):
    """Runs a script in processes of their own; returns what each printed."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(code))
    port = str(free_port())
    commands = [[sys.executable, str(script), port, str(count), str(i)] for i in range(count)]
    launch(commands, tmp_path, environment=ENVIRONMENT | environment, timeout=300)
    return [(tmp_path / f"process_{i}.log").read_text() for i in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "call, variables, message",
    [
        ("lj.initialize_hosts(num_processes=2)", {}, "coordinator_address: expected it beside"),
        ("lj.initialize_hosts('localhost:99', 2)", {}, "process_id: expected it beside"),
        (
            "lj.initialize_hosts()",
            {hosts.ADDRESS: "localhost:99"},
            "num_processes: expected it beside JAX_COORDINATOR_ADDRESS",
        ),
    ],
)
def test_what_is_missing_is_named(call, variables, message, tmp_path):
    with pytest.raises(JobFailed, match=message):
        run(tmp_path, f"import lstm_jax as lj\n{call}", 1, **variables)


@pytest.mark.slow
def test_slurm_variables_are_enough(tmp_path):
    variables = dict(zip(hosts.SLURM, ("7", "localhost", "1", "0", "0"), strict=True))
    code = "import lstm_jax as lj\nprint(lj.initialize_hosts(), lj.initialize_hosts())"
    (output,) = run(tmp_path, code, 1, **variables, JAX_COORDINATOR_PORT=str(free_port()))
    assert output.split()[-2:] == ["1", "1"]


JOB = """
    import os, sys, traceback
    import jax, numpy as np
    import lstm_jax as lj

    port, count, process = map(int, sys.argv[1:])
    assert lj.initialize_hosts(f"localhost:{port}", count, process) == lj.initialize_hosts()

    # data_parallel: every process gives the whole, and gets what one process would get
    weights, xs = jax.numpy.ones(3), np.arange(12.0).reshape(4, 3)
    loss = lambda weights, xs: ((xs @ weights) ** 2).mean()
    value, gradients = lj.data_parallel(loss, batch_axes=(None, 0))(weights, xs)
    expected = jax.value_and_grad(loss)(weights, jax.numpy.asarray(xs, jax.numpy.float32))
    np.testing.assert_allclose(value, expected[0])
    np.testing.assert_allclose(gradients, expected[1])
    keys = jax.random.split(jax.random.key(0), 2)
    draw = lambda weights, keys: weights[0] * jax.random.normal(keys[0], ())
    value, _ = lj.data_parallel(draw, batch_axes=(None, 0))(weights, keys)
    np.testing.assert_allclose(value, np.mean([jax.random.normal(key, ()) for key in keys]))

    from lstm_jax._internal import hosts
    assert hosts.from_first(process + 5, -process) == (5, 0)
    assert hosts.differing([2**32 - 1, process, 3]) == [1]

    def fail():
        raise ValueError("of process 0")

    try:
        hosts.on_first(fail, RuntimeError)
    except Exception as error:
        assert str(error).endswith("of process 0" if process == 0 else "its own error says why")
    else:
        assert False

    # fit refuses arguments that differ, in all processes, before it trains
    import optax
    from lstm_jax import train
    from tests.train.finite import fit, mean_model, ragged

    data = train.Dataset(*ragged())

    def refused(message, **options):
        try:
            fit(mean_model(), data, optimizer=optax.sgd(0.1), **options)
        except ValueError as error:
            assert message in str(error), error
        else:
            assert False

    refused("key: expected the same in all processes", key=jax.random.key(process))
    refused("epochs: expected the same in all processes", epochs=process + 1)
    refused("batch_size: expected a multiple of 2, the number of devices", batch_size=3)
    refused("devices: expected at least one of each process", devices=jax.devices()[:1])
    events = []
    fitted = fit(mean_model(), data, progress=events.append)
    assert bool(events) == (process == 0)
    print("done", np.asarray(fitted.params["w"]).tobytes().hex())
"""


@pytest.mark.slow
def test_two_processes_agree(tmp_path):
    outputs = [output.split() for output in run(tmp_path, JOB, 2)]
    assert outputs[0][-2] == "done"
    assert outputs[0][-1] == outputs[1][-1]


@pytest.mark.slow
def test_a_process_that_is_missing(tmp_path):
    code = """
        import sys
        import lstm_jax as lj
        lj.initialize_hosts(f"localhost:{sys.argv[1]}", 2, 0, timeout=3)
    """
    with pytest.raises(JobFailed, match="DEADLINE_EXCEEDED"):
        run(tmp_path, code, 1)


def test_the_first_failure_ends_all(tmp_path):
    wait = [sys.executable, "-c", "import time; time.sleep(600)"]
    deaf = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); "
            "time.sleep(600)"]  # fmt: skip
    fail = [sys.executable, "-c", "print('a reason'); raise SystemExit(3)"]
    killed = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    with pytest.raises(JobFailed, match=r"process 1 ended with exit code 3\n  a reason"):
        launch([wait, fail], tmp_path, environment={}, timeout=60)
    with pytest.raises(JobFailed, match="process 0 ended with signal SIGKILL"):
        launch([killed, deaf], tmp_path, environment={}, timeout=60)
    with pytest.raises(JobFailed, match=r"the job took longer than 0\.5 seconds"):
        launch([wait, wait], tmp_path, environment={}, timeout=0.5)
    launch([[sys.executable, "-c", "pass"]], tmp_path, environment={}, timeout=60)
