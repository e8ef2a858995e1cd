"""Export of readouts: text, data, a page, a figure. The functions are pure and know no screen."""
