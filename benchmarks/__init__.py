"""Benchmarks: each figure is a ratio of times taken in one run on one machine."""
