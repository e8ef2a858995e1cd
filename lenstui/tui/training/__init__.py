"""Training: a form for a fit, and the fit as it runs."""
