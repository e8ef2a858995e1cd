"""A causal language model: its files, its parts, its stream, head and tokens; proved to be read right."""
