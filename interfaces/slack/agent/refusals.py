"""Slack's errors where the app is not an agent."""

# The app is not declared as an agent, was not reinstalled since, or the workspace has no agents. The errors are on the
# pages of the methods, such as https://docs.slack.dev/reference/methods/agents.sessions.setStatus
NO_AGENT = frozenset(
    {
        "access_denied",
        "accesslimited",
        "feature_not_enabled",
        "method_deprecated",
        "missing_scope",
        "no_permission",
        "not_agent_app",
        "not_allowed_token_type",
        "team_access_not_granted",
        "unknown_method",
    }
)
