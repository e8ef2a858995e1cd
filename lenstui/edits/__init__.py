"""Edits of a model's forward pass: what an edit is, the language it is typed in, and the hooks that do it."""
