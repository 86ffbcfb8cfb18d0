"""Each channel of this project keeps the contract of a channel."""

import pytest
from support.channels.contracts import CONTRACTS

from gateway.testing import Check

pytestmark = pytest.mark.long

CHECKS = [pytest.param(check, id=f"{contract.name}: {check}") for contract in CONTRACTS for check in contract.checks()]


@pytest.mark.parametrize("check", CHECKS)
def test_contract(check: Check) -> None:
    check()
