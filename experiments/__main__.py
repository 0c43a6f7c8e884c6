"""The command line of the experiments.

    python -m experiments                       lists the experiments
    python -m experiments NAME                  runs one
    python -m experiments compare RUN RUN ...   compares finished runs side by side
    python -m experiments generate RUN          writes text with a trained language model
    python -m experiments tasks                 shows the tasks

A new experiment is one file in the folder of its theme, such as ``memory/adding.py``, with
``TIME``, a frozen dataclass ``Config`` and either ``settings(config)``, for cells on tasks whose
data are drawn, or ``studies(config)``, for finite data. It is found by its name.
"""

import contextlib
import importlib
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from lstm_jax._internal.errors import WrongValue

HERE = Path(__file__).resolve().parent
INTERRUPTED = 130  # what a shell reports for Ctrl-C


def experiments_by_theme() -> dict[str, list[str]]:
    """The experiments: all files in the folders of the themes, except those whose names begin with
    an underscore, which others share."""
    themes: dict[str, list[str]] = {}
    for file in sorted(HERE.glob("[a-z]*/[a-z]*.py")):
        if file.parent.name != "harness":
            themes.setdefault(file.parent.name, []).append(file.stem)
    return themes


THEMES = {name: theme for theme, names in experiments_by_theme().items() for name in names}


def main(argv: list[str]) -> int:
    """Runs the command and returns its exit code; a user's mistake is a one-line error."""
    name = argv[0] if argv else ""
    if name in ("", "-h", "--help", "list"):
        print(list_experiments())
        return 0
    if name == "tasks":
        from experiments.harness.report import task_gallery

        return task_gallery.main(argv[1:])
    if name == "compare":
        from experiments.harness.report import compare

        return compare.main(argv[1:])
    if name == "generate":
        from experiments.harness import generate

        return generate.main(argv[1:], load)
    if name not in THEMES:
        print(
            f"error: expected an experiment, got {name!r}\n\n{list_experiments()}",
            file=sys.stderr,
        )
        return 2
    try:
        return run(name, argv[1:])
    except KeyboardInterrupt:
        arguments = [argument for argument in argv if argument != "--overwrite"]
        command = f"python -m experiments {shlex.join(arguments)}"
        print(f"\nstopped; the same command continues from here: {command}", file=sys.stderr)
        return INTERRUPTED


def list_experiments() -> str:
    lines = [
        "python -m experiments NAME [options]       runs an experiment; NAME --help lists options",
        "python -m experiments compare RUN RUN ...  compares finished runs side by side",
        "python -m experiments generate RUN         writes text with a trained language model",
        "python -m experiments tasks                shows every task, with a picture",
        "",
        "Experiments, with the time that they take on two CPU cores:",
    ]
    for theme, names in experiments_by_theme().items():
        lines += ["", theme]
        for name in names:
            module = load(name)
            summary = (module.__doc__ or "").split("\n\n")[0].replace("\n", " ")
            lines.append(f"  {name:<22} {module.TIME:<8} {summary}")
    return "\n".join([*lines, "", "To add a task of your own: docs/how_to/add_a_task.md"])


def load(name: str) -> ModuleType:
    return importlib.import_module(f"experiments.{THEMES[name]}.{name}")


def run(name: str, argv: list[str]) -> int:
    import tyro

    module = load(name)
    make = study_command if hasattr(module, "studies") else comparison_command
    with contextlib.ExitStack() as cleanup:
        command = make(name, module, cleanup)
        command.__annotations__["config"] = Annotated[module.Config, tyro.conf.arg(name="")]
        return tyro.cli(
            command,
            args=argv,
            prog=f"python -m experiments {name}",
            description=module.__doc__,
            config=(tyro.conf.FlagCreatePairsOff,),
        )


def study_command(
    name: str, module: ModuleType, cleanup: contextlib.ExitStack
) -> Callable[..., int]:
    """The command of an experiment on finite data."""

    def command(
        config: Any,
        *,
        out: Path | None = None,
        overwrite: bool = False,
        dry_run: bool = False,
        load: tuple[Path, ...] = (),
        no_cache: bool = False,
    ) -> int:
        """Runs the experiment.

        Args:
            config: What is compared.
            out: Run folder. Default: runs/NAME.
            overwrite: Start from scratch, and delete the run that is in the folder.
            dry_run: Print what would be run, and what of it is finished, then stop.
            load: Python files to run first, which register cells of your own.
            no_cache: Compile all programs anew. Otherwise compiled programs are reused; they are
                stored in the user's cache folder, or in JAX_COMPILATION_CACHE_DIR.
        """
        from experiments.harness import conduct_study
        from experiments.harness.run import loading, program_cache, trials, user_errors

        cleanup.enter_context(program_cache.cache(off=no_cache))
        folder = out or Path("runs") / name
        try:
            loading.load_files(load)
            studies = module.studies(config)
            trials.plan(studies)
        except user_errors.USER_ERRORS as error:
            if not user_errors.is_user_error(error):
                raise
            return user_errors.print_error(error)
        if dry_run:
            return conduct_study.dry_run(studies, folder, module.TIME)
        return conduct_study.conduct(name, config, studies, folder, overwrite=overwrite)

    return command


def comparison_command(
    name: str, module: ModuleType, cleanup: contextlib.ExitStack
) -> Callable[..., int]:
    """The command of an experiment that compares cells on tasks."""

    def command(
        config: Any,
        *,
        out: Path | None = None,
        overwrite: bool = False,
        sweep: bool = False,
        share: bool = False,
        dry_run: bool = False,
        load: tuple[Path, ...] = (),
        tensorboard: bool = False,
        trace: bool = False,
        no_cache: bool = False,
    ) -> int:
        """Runs the experiment.

        Args:
            config: What is compared.
            out: Run folder. Default: runs/NAME, or runs/NAME_sweep for a sweep; for the experiment
                task, runs/task_TASK.
            overwrite: Start from scratch, and delete the run that is in the folder.
            sweep: Choose a learning rate for each contender on validation data, then stop.
            share: Train only what no other process has begun that was started by the same command
                with --share, on the same folder; the last of them writes the report. On Linux,
                taskset -c N gives each process a core.
            dry_run: Print what would be trained and how long it would take, then stop.
            load: Python files to run first, which register cells and tasks of your own.
            tensorboard: Also write event files for TensorBoard to the run folder.
            trace: Also draw, into the report, the gates and states of each contender on one test
                sequence. A finished run can be given them later, by the same command.
            no_cache: Compile all programs anew. Otherwise compiled programs are reused; they are
                stored in the user's cache folder, or in JAX_COMPILATION_CACHE_DIR.
        """
        from experiments.harness import conduct
        from experiments.harness.run import event_files, loading, program_cache, user_errors

        cleanup.enter_context(program_cache.cache(off=no_cache))
        try:
            loading.load_files(load)
            require_one_budget(config)
            if share and (overwrite or sweep):
                other = "overwrite" if overwrite else "sweep"
                raise WrongValue(f"share: expected it without {other}, got both")
            jobs = conduct.plan(module.settings(config), sweeping=sweep)
            if dry_run:
                return conduct.dry_run(jobs)
            if tensorboard:
                event_files.require_tensorboard()
            run_name = module.run_name(config) if hasattr(module, "run_name") else name
        except user_errors.USER_ERRORS as error:
            if not user_errors.is_user_error(error):
                raise
            return user_errors.print_error(error)
        folder = out or Path("runs") / (f"{run_name}_sweep" if sweep else run_name)
        return conduct.conduct(
            name, jobs, folder,
            overwrite=overwrite, sweeping=sweep, tensorboard=tensorboard, trace=trace, shared=share,
        )  # fmt: skip

    return command


def require_one_budget(config: Any) -> None:
    """Raises ValueError if both steps and seconds are given."""
    for part in (config, *vars(config).values()):
        steps = getattr(part, "steps", None)
        if getattr(part, "seconds", None) is not None and steps != type(part).steps:
            raise WrongValue(
                f"steps: expected either steps or seconds, got {steps} steps and {part.seconds:g} s"
            )


def keep_freed_memory() -> None:
    """Has the allocator keep freed pages for the next training step, and says so.

    Must run before any array is made. KEEP_FREED_MEMORY=0 in the environment turns it off.
    """
    import lstm_jax as lj

    if os.environ.get("KEEP_FREED_MEMORY", "1") != "0" and lj.train.keep_freed_memory():
        text = "the allocator keeps freed pages for the next step (KEEP_FREED_MEMORY=0: off)"
        print(text, file=sys.stderr)


if __name__ == "__main__":
    from lstm_jax import use_cpu_cores

    use_cpu_cores()  # over which the seeds are spread
    if sys.argv[1:2] and sys.argv[1] in THEMES:
        keep_freed_memory()
    sys.exit(main(sys.argv[1:]))
