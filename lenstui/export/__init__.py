"""A readout in a form to take away: text, data, a page, a figure. Pure functions that know of no screen."""
