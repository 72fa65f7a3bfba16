"""Lines of dialogue, drawn from the grammar in `lines.py`."""

from __future__ import annotations

import re

import numpy as np

from demo_corpus.lines import AMBIGUOUS, LINES, SLOTS

# Share of lines that fit any mood, whatever emotion the words are meant to show.
AMBIGUOUS_SHARE = 0.10
# Draws before a repeated line is accepted: real dialogues repeat short lines as well.
DRAWS = 12

_SLOT = re.compile(r"\{(\w+)\}")


def draw_line(emotion: str, rng: np.random.Generator, used: set[str]) -> str:
    """Draw a line whose words show `emotion`, or one that could show any.

    Args:
        emotion: key of `LINES`.
        rng: source of all choices.
        used: lines drawn so far; the new line is added. A repeated line is drawn again, up to `DRAWS` times.

    Returns:
        The sentence, with typographic apostrophes as MELD has them.
    """
    templates = AMBIGUOUS if rng.random() < AMBIGUOUS_SHARE else LINES[emotion]
    line = ""
    for _ in range(DRAWS):
        line = _fill(templates[rng.integers(len(templates))], rng)
        if line not in used:
            break
    used.add(line)
    return line


def _fill(template: str, rng: np.random.Generator) -> str:
    def _word(match: re.Match[str]) -> str:
        choices = SLOTS[match[1]]
        return choices[rng.integers(len(choices))]

    line = _SLOT.sub(_word, template).replace("'", "\u2019")
    # A slot may open a sentence, also within the line.
    return re.sub(r"(^|[.!?] )([a-z])", lambda match: match[1] + match[2].upper(), line)
