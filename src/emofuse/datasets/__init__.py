"""Data layouts: each module reads one way of laying out clips and tables; all give the same manifest."""
