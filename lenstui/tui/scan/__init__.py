"""The screen of error analysis: the positions of a scanned text that a query finds."""
