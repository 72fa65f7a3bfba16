"""What can be known of the compose file without containers."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from emofuse.service.access import KEYS
from tests.pipeline.imports import ROOT


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))["services"]
    return found


def test_keys_reach_the_service(services: dict[str, Any]) -> None:
    assert services["emofuse"]["environment"][KEYS] == f"${{{KEYS}:-}}"


def test_the_proxy_and_the_health_check_ask_the_port_that_is_served(services: dict[str, Any]) -> None:
    (port,) = services["emofuse"]["expose"]
    assert f'http={{"port": {port}}}' in (ROOT / "src/emofuse/service/bento.py").read_text(encoding="utf-8")
    assert f"--to emofuse:{port}" in services["front"]["command"]
    assert f"127.0.0.1:{port}/readyz" in services["emofuse"]["healthcheck"]["test"][-1]


def test_what_bentoml_writes_at_its_start_goes_to_memory(services: dict[str, Any]) -> None:
    service = services["emofuse"]
    assert service["read_only"]
    held = {PurePosixPath(mount.partition(":")[0]) for mount in service["tmpfs"]}
    assert held & set(PurePosixPath(service["environment"]["BENTOML_HOME"]).parents)
