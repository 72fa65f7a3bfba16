"""Presets: params for known situations, each a few keys of params.yaml in a file of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from emofuse.core.errors import ParamsError
from emofuse.core.params import PARAMS_FILE, check_params, flat, read_sections

PRESETS_DIR = Path("presets")


def preset_arguments(name: str) -> list[str]:
    """A preset as the arguments of `dvc exp run`: `-S`, then `key=value`, for each of its params.

    Args:
        name: of a file in `presets/`, without its ending.

    Raises:
        ParamsError: there is no such preset, or it makes no valid params with params.yaml; all mistakes are named.
    """
    path = PRESETS_DIR / f"{name}.yaml"
    names = sorted(each.stem for each in PRESETS_DIR.glob("*.yaml"))
    if name not in names:
        expected = f"expected one of {', '.join(names)}" if names else f"expected files in {PRESETS_DIR}/"
        raise ParamsError(f"{name}: no such preset; {expected}; run from the folder that holds params.yaml")
    preset = read_sections(path)
    check_params(combined(read_sections(PARAMS_FILE), preset), f"{path} with {PARAMS_FILE}")
    return [word for key, value in flat(preset).items() for word in ("-S", f"{key}={_override(value)}")]


def combined(sections: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Params with some of their keys, at any depth, changed."""
    deeper = {
        key: combined(sections[key], value)
        for key, value in changes.items()
        if isinstance(value, dict) and isinstance(sections.get(key), dict)
    }
    return sections | changes | deeper


def _override(value: Any) -> str:
    """A value in the grammar of Hydra, which DVC reads `-S` by, with nothing in it that a shell would take apart."""
    if isinstance(value, list):
        return f"[{','.join(map(_override, value))}]"
    return value if isinstance(value, str) else json.dumps(value)
