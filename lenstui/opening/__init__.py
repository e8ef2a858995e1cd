"""From the user's request to an open model, its lenses and its sides."""
