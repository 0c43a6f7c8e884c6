"""From a setting to stored results: jobs, compiled programs, the runner, the run folder."""
