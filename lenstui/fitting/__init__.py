"""Fitting a tuned lens: options, state, loop, checkpoints, and the driver of all callers."""
