"""The screen of an evaluation of lenses on a text, and the dialog that asks for one."""
