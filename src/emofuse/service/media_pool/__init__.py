"""The processes that open uploads."""
