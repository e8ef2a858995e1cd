"""The version of lenstui, said here alone."""

__version__ = "0.1.0"
