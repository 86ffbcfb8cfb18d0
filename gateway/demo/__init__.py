"""The agent of `understudy dev`, whose toolkits keep data per person, and a model that works offline."""

from gateway.demo.agent import demo_agent
from gateway.demo.model import offline_model

__all__ = ["demo_agent", "offline_model"]
