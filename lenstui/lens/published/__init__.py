"""Lenses that others have published on the hub: which there are, for which model, and their download."""
