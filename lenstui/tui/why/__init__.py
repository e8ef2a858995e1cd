"""The screen that says why a cell says what it says: what wrote its token, and what attention heads read."""
