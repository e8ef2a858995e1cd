"""Explore: a prompt, read through two lenses."""
