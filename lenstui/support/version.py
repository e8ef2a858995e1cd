"""The version of lenstui, defined here alone."""

__version__ = "0.1.0"
