"""How features are made at scale: once a clip or a text, on as many cores and machines as there are."""
