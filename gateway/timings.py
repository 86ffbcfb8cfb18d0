"""How long the gateway waits, and how often it looks."""

from dataclasses import dataclass

from oauth.timings import DEFAULT_OAUTH_TIMINGS, OAuthTimings


@dataclass(frozen=True, slots=True)
class Timings:
    """The waits and intervals of a gateway, in seconds. Tests give shorter ones; nobody else has to.

    Args:
        accept: for the commit of an event, after which its webhook is refused. Slack waits three seconds
            (https://docs.slack.dev/apis/events-api/#responding), other platforms ten and more.
        parse: for a channel to read a stored event, also where it asks the platform.
        turn: for one turn.
        summary: for the summary of a history.
        delivery: for one delivery, whatever the platform does.
        cancel_grace: for a cancelled task to end. One that does not is abandoned.
        calls_grace: for tool calls to end beside one that was refused a credential.
        run_end_grace: for a run to end by itself after it was refused a credential.
        shutdown_grace: for running turns to end when the process stops.
        loop_blocked: without any progress of the event loop, until a thread no longer waits for it.
        due_interval: between two looks for messages and deliveries that are due.
        removal_interval: between two removals of old rows.
        clean_up_interval: between two clean-ups of sign-ins and revocations.
        interruption_interval: between two looks for a message that interrupts a turn.
        longest_pause: between two tries of what failed.
        drain_retry: until a conversation is tried again whose drain failed.
        busy_retry: until a conversation is tried again that another worker seems to have.
        job_poll: between two looks for jobs of which no notification came.
        sweep_interval: between two looks for the jobs of dead workers; a quarter of UNDERSTUDY_TAKEOVER_SECONDS unless
            given.
        reconnect: until the database is tried again after its connection was lost.
        listen_check: without a notification, until a listening connection is checked.
        first_status: until a turn that still runs shows its status.
        status_update: for one update of a status, whatever the platform does.
        oauth: the timings of sign-ins, refreshes and revocations.
    """

    accept: float = 2.5
    parse: float = 30.0
    turn: float = 300.0
    summary: float = 60.0
    delivery: float = 60.0
    cancel_grace: float = 5.0
    calls_grace: float = 2.0
    run_end_grace: float = 0.2
    shutdown_grace: float = 10.0
    loop_blocked: float = 10.0
    due_interval: float = 1.0
    removal_interval: float = 60.0
    clean_up_interval: float = 5.0
    interruption_interval: float = 0.3
    longest_pause: float = 300.0
    drain_retry: float = 5.0
    busy_retry: float = 1.0
    job_poll: float = 1.0
    sweep_interval: float | None = None
    reconnect: float = 1.0
    listen_check: float = 10.0
    first_status: float = 1.0
    status_update: float = 5.0
    oauth: OAuthTimings = DEFAULT_OAUTH_TIMINGS


DEFAULT_TIMINGS = Timings()
