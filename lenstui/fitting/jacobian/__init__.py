"""The fit of a Jacobian lens."""
