"""Grids of cells: what is in them, how they are painted, moved through and laid side by side."""
