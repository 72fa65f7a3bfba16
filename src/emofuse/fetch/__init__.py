"""Corpora brought from their official addresses: checked, unpacked with care, recorded."""
