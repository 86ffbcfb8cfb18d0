"""Operators' own listeners of Bolt: https://docs.slack.dev/tools/bolt-python"""
