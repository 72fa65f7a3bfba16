"""The built-in synthetic corpus: written lines, synthesised speech and drawn speakers in MELD's layout."""
