"""`understudy dev`: the web chat with an agent, which starts again when the agent's files change."""
