"""How well a lens predicts on a text."""
