"""A readout as text: a table for people, JSON for programs. Pure functions that know of no screen."""
