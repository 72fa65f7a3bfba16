"""The stages of dvc.yaml, each run as `python -m stages.NAME`; what decides rounding is pinned before any of them."""

from emofuse.core.numerics import pin

pin()
