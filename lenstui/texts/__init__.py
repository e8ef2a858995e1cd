"""Texts from files, and the blocks of tokens that lenses are fitted and evaluated on."""
