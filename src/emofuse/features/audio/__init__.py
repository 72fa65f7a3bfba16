"""Audio features."""
