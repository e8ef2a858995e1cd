"""Helpers that every room may use: paths, settings, errors, files that are written whole."""
