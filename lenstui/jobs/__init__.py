"""The jobs of the model thread for the screen, the messages with their results, and services for screens."""
