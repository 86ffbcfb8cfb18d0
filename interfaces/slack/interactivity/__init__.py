"""What people press in Slack's messages: https://docs.slack.dev/interactivity/handling-user-interaction"""
