"""The tests; what decides rounding is pinned as params.yaml says, before anything numeric is loaded."""

from emofuse.core.numerics import pin

pin()
