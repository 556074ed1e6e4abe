"""The whole OpenAPI, tried by an administrator."""

from pathlib import Path

import pytest

from core.settings import Settings
from tests.world.schemathesis import CHECKS, PHASES, a_target, try_everything


@pytest.mark.slow
@pytest.mark.parametrize(("phases", "examples_max", "within_s"), PHASES)
def test_an_administrator_meets_nothing_undeclared(
    settings: Settings, tmp_path: Path, phases: str, examples_max: int, within_s: float
) -> None:
    with a_target(settings) as target:
        try_everything(
            target.url,
            target.person,
            tmp_path,
            checks=CHECKS,
            phases=phases,
            examples_max=examples_max,
            within_s=within_s,
        )
