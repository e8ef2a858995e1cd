"""The numbers of the cells of a prompt, and of many prompts."""
