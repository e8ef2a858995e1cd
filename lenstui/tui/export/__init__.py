"""What to export, and where to."""
