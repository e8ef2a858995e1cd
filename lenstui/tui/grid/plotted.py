"""The numbers of pins that may be plotted by row."""

PLOTTED = ("prob", "rank", "logprob")
