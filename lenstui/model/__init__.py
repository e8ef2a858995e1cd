"""A causal language model: its files, parts, residual stream, head and tokens, verified by value."""
