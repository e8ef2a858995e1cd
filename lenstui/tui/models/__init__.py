"""The models that may be opened."""
