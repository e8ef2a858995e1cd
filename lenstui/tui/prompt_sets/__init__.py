"""Prompt sets: a table of prompts, and means over them."""
