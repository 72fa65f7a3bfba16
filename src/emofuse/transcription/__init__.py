"""Words where none were given: where there is speech in a sound, and what is said there."""
