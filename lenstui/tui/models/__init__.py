"""The dialog that lists models and opens one."""
