"""The screen of prompt sets: a table of cases, and means over these by row."""
