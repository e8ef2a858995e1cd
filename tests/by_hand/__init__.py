"""Numbers, readouts and files of lenses made by hand, against which the program is held."""
