"""What the system that this project starts from claimed, held against the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emofuse.evaluation.measured import WEIGHTED_F1, Measured
from emofuse.reporting.pages import signed

CLAIM = "text is the strongest modality, then visual and audio, and metadata helps"
ORDER = (("text", "visual"), ("text", "audio"), ("visual", "audio"))  # the first of each is claimed to be stronger
HELPS = "metadata"


def claims(measured: Measured, fusion: str, subsets: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each part of the claim with the paired difference of weighted F1 that speaks for it, as JSON.

    Args:
        measured: every model's answers.
        fusion: the model whose loss without metadata is looked at.
        subsets: that model's scores by subset of its modalities, from `subset_scores`.
    """
    told = []
    for first, second in ORDER:
        if {first, second} <= set(measured.models):
            difference = (measured.models[first] - measured.models[second]).to_json(WEIGHTED_F1)
            told.append(_judged(f"{first} alone is stronger than {second} alone", difference))
    everything = set(subsets[0]["modalities"])
    for subset in subsets:
        if everything - set(subset["modalities"]) == {HELPS}:
            told.append(_judged(f"{fusion} is better with {HELPS} than without", subset["lost"]))
    return told


def verdict(told: Sequence[Mapping[str, Any]]) -> str:
    """A sentence on the whole claim, made from its parts."""
    if not told:
        return "The claim can't be tested here: the modalities that it is about are not there."
    claim = f"The original system's claim, that {CLAIM},"
    by_kind = {kind: [_shown(part) for part in told if part["verdict"] == kind] for kind in VERDICTS}
    if len(by_kind["holds"]) == len(told):
        return f"{claim} holds here: {'; '.join(by_kind['holds'])}."
    parts = [f"{VERDICTS[kind]}: {'; '.join(shown)}" for kind, shown in by_kind.items() if shown]
    return f"{claim} is not shown here as a whole. {'. '.join(parts)}."


VERDICTS = {
    "holds": "These parts hold",
    "fails": "These are the other way round",
    "open": "These stay open, as the interval of the difference holds both signs",
}


def _shown(part: Mapping[str, Any]) -> str:
    return f"{part['claim']} ({signed(part['value'])} weighted F1)"


def _judged(claim: str, difference: Mapping[str, float | None]) -> dict[str, Any]:
    low, high = difference["low"], difference["high"]
    if low is not None and low > 0:
        kind = "holds"
    elif high is not None and high < 0:
        kind = "fails"
    else:
        kind = "open"
    return {"claim": claim, "verdict": kind, **difference}
