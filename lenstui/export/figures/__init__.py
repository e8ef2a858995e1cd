"""Figures for a paper: SVG and PDF of readouts, maps and curves, each with a caption."""
