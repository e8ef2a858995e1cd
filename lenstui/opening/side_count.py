"""How many sides there may be, and what is said where there can be no more or no fewer."""

MOST_SIDES = 3
NO_MORE = f"{MOST_SIDES} sides are on screen, the most that there may be: - removes one."
MORE_LENSES = "This screen begins with {} of {} lenses: L reads the active side through the next one."
ONE_STAYS = "One side stays: there is nothing else to look at."
