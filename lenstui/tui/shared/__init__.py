"""What several screens have in common: dialogs, plots, themes, names, words, input and painting."""
