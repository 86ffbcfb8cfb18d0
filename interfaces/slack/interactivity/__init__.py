"""Buttons and menus in Slack's messages: https://docs.slack.dev/interactivity/handling-user-interaction"""
