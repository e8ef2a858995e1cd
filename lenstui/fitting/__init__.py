"""Fitting of tuned lenses: options, state, loop, checkpoints, and the driver that every caller uses."""
