"""From feature tables to trained, calibrated models."""
