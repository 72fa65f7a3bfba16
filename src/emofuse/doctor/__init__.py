"""Whether a machine gives the committed bytes."""
