"""The BentoML service: what `bentoml serve` and `bentoml build` find by bentofile.yaml."""

from __future__ import annotations

from pathlib import Path

import bentoml

from emofuse.predictor import Predictor
from emofuse.service.app import create_app
from emofuse.service.store import champion_tag

_loaded: list[Predictor] = []


@bentoml.asgi_app(create_app(lambda: _loaded[0]), path="/")
@bentoml.service(name="emofuse", traffic={"timeout": 60}, http={"port": 3000})
class Emofuse:
    """Serves the champion. BentoML answers /readyz only once the constructor, and so the warm-up, is through."""

    model = bentoml.models.BentoModel(champion_tag(Path("models/champion")))

    def __init__(self) -> None:
        predictor = Predictor.load(Path(self.model.path))
        predictor.warm_up()
        _loaded[:] = [predictor]
