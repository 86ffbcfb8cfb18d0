"""Adapters that run agents with the framework they are written for: one module for each framework."""
