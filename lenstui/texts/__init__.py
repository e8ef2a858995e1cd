"""Texts from files, and the blocks of tokens that a lens is fitted and judged on."""
