"""From what the user asked for to an open model and its lens."""
