"""The logit lens and the tuned lens, side by side, in the terminal."""

__version__ = "0.1.0"
