"""The one exception whose text is written for the user."""


class LensError(Exception):
    """Something that the user can act on. The message is one line: what is wrong, and what to do."""
