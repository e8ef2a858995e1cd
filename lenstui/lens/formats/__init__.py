"""The forms in which lenses lie on disk: ours, the `tuned-lens` library's, other programs'."""
