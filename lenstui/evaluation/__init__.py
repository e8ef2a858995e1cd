"""Evaluation of lenses on a text."""
