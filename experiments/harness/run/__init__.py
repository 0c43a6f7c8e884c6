"""From a setting to kept results: jobs, compiled programs, the runner, the run folder."""
