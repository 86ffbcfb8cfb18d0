"""Slack's agent view: https://docs.slack.dev/ai/developing-agents"""
