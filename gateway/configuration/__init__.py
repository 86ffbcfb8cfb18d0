"""A gateway as a file: agents, toolkits, channels, routes and settings in YAML."""

from gateway.configuration.building import load
from gateway.configuration.schema import GatewayConfig

__all__ = ["GatewayConfig", "load"]
