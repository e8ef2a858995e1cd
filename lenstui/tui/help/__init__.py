"""The list of all keys, and the command palette."""
