"""One folder for each program: flags, wiring, run."""
