"""What `understudy dev` runs: an agent with toolkits whose data is per person, and a model that works offline."""

from gateway.demo.agent import demo_agent
from gateway.demo.model import offline_model

__all__ = ["demo_agent", "offline_model"]
