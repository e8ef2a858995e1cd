"""What tests of the screen do with it again and again, and what they read off it."""
