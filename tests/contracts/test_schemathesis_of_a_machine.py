"""The whole OpenAPI, tried by a machine with every scope."""

from pathlib import Path

import pytest

from core.settings import Settings
from tests.world.schemathesis import MACHINE_CHECKS, PHASES, a_target, try_everything


@pytest.mark.slow
@pytest.mark.parametrize(("phases", "examples_max", "within_s"), PHASES)
def test_a_machine_with_every_scope_meets_nothing_undeclared(
    settings: Settings, tmp_path: Path, phases: str, examples_max: int, within_s: float
) -> None:
    with a_target(settings) as target:
        try_everything(
            target.url,
            target.machine,
            tmp_path,
            checks=MACHINE_CHECKS,
            phases=phases,
            examples_max=examples_max,
            within_s=within_s,
        )
