"""What everything may use: paths, settings, errors, files that are written whole."""
