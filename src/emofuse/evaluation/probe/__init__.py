"""Judging of features: what each group carries, and what it costs."""
