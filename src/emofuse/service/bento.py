"""The BentoML service: what `bentoml serve` and `bentoml build` find by bentofile.yaml."""

from __future__ import annotations

from pathlib import Path

import bentoml

from emofuse.core.numerics import pin

pin()  # before what follows loads numpy and torch

from emofuse.core.params import load_params
from emofuse.inference.description import CARD, read_reached
from emofuse.inference.predictor import Predictor
from emofuse.service.app import create_app
from emofuse.service.endpoints import Served
from emofuse.service.store import champion_tag

_loaded: list[Served] = []
_limits = load_params().serve


_app = create_app(lambda: _loaded[0], _limits)


# The time limits are those of params.yaml; BentoML's own would also cut a film's upload.
@bentoml.asgi_app(_app, path="/")
@bentoml.service(name="emofuse", traffic={"timeout": 3600}, http={"port": 3000})
class Emofuse:
    """Serves the champion. BentoML answers /readyz once the app has started, and so is warm."""

    model = bentoml.models.BentoModel(champion_tag(Path("models/champion")))

    def __init__(self) -> None:
        folder = Path(self.model.path)
        card = folder / CARD
        _loaded[:] = [
            Served(
                predictor=Predictor.load(folder),
                reached=read_reached(folder),
                card=card.read_text(encoding="utf-8") if card.exists() else None,
            )
        ]

    def __is_ready__(self) -> bool:
        """What /readyz answers."""
        return bool(_app.state.ready())
