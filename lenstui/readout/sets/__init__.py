"""Prompt sets: many prompts read at their ends, and means over them."""
