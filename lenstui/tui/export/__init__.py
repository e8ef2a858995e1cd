"""The dialog that exports what a screen shows."""
