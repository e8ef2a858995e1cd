"""What the model thread does for the screen, and the messages that say what came of it."""
