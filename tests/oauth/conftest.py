from pathlib import Path

import pytest
from support.stage import Stage, Vault, stage


@pytest.fixture
def scene(tmp_path: Path, vault: Vault) -> Stage:
    """A gateway whose agent has the toolkit `Vault`."""
    return stage(tmp_path, [vault])
