"""File formats of lenses: lenstui's own, the `tuned-lens` library's, other programs'."""
