"""Error analysis: a record of every position of a text, and queries over the records."""
