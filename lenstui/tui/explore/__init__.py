"""Explore, the main screen: a prompt, read through lenses side by side."""
