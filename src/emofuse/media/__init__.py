"""Media: the only place that opens a clip."""
