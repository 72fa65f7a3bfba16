"""Trained models as folders, and what they answer."""
