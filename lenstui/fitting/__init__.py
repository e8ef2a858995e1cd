"""Fitting a tuned lens: options, state, the loop that all callers drive, checkpoints."""
