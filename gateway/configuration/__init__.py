"""Gateways in files: Python files with a gateway or an agent, and YAML files that describe a gateway."""
