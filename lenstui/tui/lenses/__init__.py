"""The list of lenses, and the card of each."""
