"""All keys, all commands."""
