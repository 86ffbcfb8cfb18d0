"""Gateways in files: Python files with a gateway or an agent, and YAML files that describe a gateway."""

from gateway.configuration.building import load
from gateway.configuration.schema import GatewayConfig

__all__ = ["GatewayConfig", "load"]
