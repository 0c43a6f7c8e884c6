"""The studies of one experiment, from their entries to the report."""

import sys
from pathlib import Path
from typing import Any

from experiments.harness.report import study_report
from experiments.harness.report.console import make_console, print_table
from experiments.harness.run import provenance, run_folder
from experiments.harness.run.study import Study
from experiments.harness.run.trial_progress import TrialProgress
from experiments.harness.run.trials import config_of, plan, results_of, run_trials


def conduct(name: str, config: Any, studies: list[Study], out: Path, *, overwrite: bool) -> int:
    """Starts or continues the studies in the folder ``out``; returns the exit code.

    Args:
        name: The name of the experiment.
        config: Its configuration.
        studies: What it was made into, as ``plan`` accepts.
        out: The run folder.
        overwrite: Whether to delete the run that is in the folder.
    """
    console = make_console()
    trials = plan(studies)
    made_from = provenance.collect(studies=studies)
    whole = config_of(name, config, studies)
    try:
        with run_folder.open_folder(out, whole, made_from, overwrite=overwrite) as path:
            with TrialProgress(trials, console) as progress:
                results = run_trials(trials, path, progress)
            of_studies = [results_of(study, trials, results, path) for study in studies]
            study_report.write_report(name, of_studies, path, console)
    except run_folder.RunFolderError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(f"saved in {out}", highlight=False, soft_wrap=True)
    return 0


def dry_run(studies: list[Study], out: Path, time: str) -> int:
    """Prints what would be run, and what of it is finished in the folder ``out``."""
    console = make_console()
    columns = ["entry", "kind", "parameters", "trials", "finished"]
    trials = plan(studies)
    for study in studies:
        rows = []
        for entry in study.entries:
            own = [trial for trial in trials if trial.study is study and trial.entry is entry]
            done = sum((out / trial.folder / "result.json").is_file() for trial in own)
            parameters = "-" if entry.parameters is None else f"{entry.parameters}"
            rows.append([entry.name, entry.kind, parameters, f"{len(own)}", f"{done}"])
        print_table(
            console, f"Dry run: {study.name}", columns, rows, caption=study_report.describe(study)
        )
    console.print(
        f"{len(trials)} trials; {time} with the default configuration on two CPU cores",
        highlight=False,
    )
    return 0
