"""Fusion models: all take the same inputs and presence mask and give the same output."""
