"""The list of lenses, and what each is like."""
