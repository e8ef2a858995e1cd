"""README and the manual, held against the program: what they name exists, and nothing is missing."""
