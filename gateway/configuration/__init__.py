"""Gateways in files: Python files with a gateway or an agent, and YAML files that describe a gateway."""

from typing import TYPE_CHECKING

from oauth.lazy import import_lazily

if TYPE_CHECKING:
    from gateway.configuration.building import load
    from gateway.configuration.schema import GatewayConfig
else:
    __getattr__ = import_lazily(__name__, __file__)

__all__ = ["GatewayConfig", "load"]
