"""The models' names; here, so that a stage which only lists them starts without torch."""

from __future__ import annotations

from emofuse.core.records import MODALITIES

FUSIONS = ("early", "late", "attention")
TRAINED = (*FUSIONS, *MODALITIES)  # each modality alone is a baseline
ENSEMBLE = "ensemble"  # of the fusions, made of their members, and of the finetuned encoders where there are any
MODELS = (ENSEMBLE, *TRAINED)
PRETRAINED = "pretrained"  # classifiers that are not trained here; a model only where `pretrained` names any
MAJORITY = "majority"  # the floor of all results: the class frequencies of the training rows, whatever the row


def model_modalities(name: str) -> tuple[str, ...]:
    """The modalities that a model reads."""
    return (name,) if name in MODALITIES else MODALITIES
