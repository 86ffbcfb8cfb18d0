"""The timeouts, pauses and intervals of a gateway."""

from dataclasses import dataclass

from oauth.timings import DEFAULT_OAUTH_TIMINGS, OAuthTimings


@dataclass(frozen=True, slots=True)
class Timings:
    """The timeouts, pauses and intervals of a gateway, all in seconds. Tests may use shorter ones than the defaults.

    Args:
        accept: the limit for committing an event; after it the webhook is refused. Slack waits three seconds
            (https://docs.slack.dev/apis/events-api/#responding), other platforms ten or more.
        parse: the limit for a channel to parse a stored event, including its requests to the platform.
        quoted: the limit for a channel to read the messages that a message refers to.
        piece_silence: a message that comes in pieces is complete when no piece has come for this time.
        longest_pieces: the longest time from its first piece until a message that comes in pieces is complete.
        turn: the limit for one turn.
        summary: the limit for the summary of a history.
        delivery: the limit for one delivery.
        sent_report: how long a message waits for the report that the one before it was sent.
        return_link: the limit for a channel to return the link from the sign-in page back to the chat.
        cancel_grace: how long a cancelled task may take to end before it is abandoned.
        calls_grace: how long tool calls may take to end after their run was stopped, because somebody stopped the turn
            or because a call was refused a credential.
        run_end_grace: how long a run without tool calls may take to end by itself after that.
        shutdown_grace: how long running turns may take to end when the process stops.
        loop_blocked: how long a thread waits for an event loop that makes no progress.
        due_interval: how often the gateway looks for messages and deliveries that are due.
        removal_interval: how often the gateway removes old rows.
        clean_up_interval: how often the gateway cleans up sign-ins and revocations.
        stop_interval: how often a process looks for turns of its own that another process has stopped.
        presence: how often a process reports that it runs, and which webhooks it has refused.
        interruption_interval: how often a running turn looks for a message that interrupts it.
        longest_pause: the longest backoff between two tries.
        drain_retry: the pause before a conversation whose drain failed is tried again.
        busy_retry: the pause before a conversation that another worker holds is tried again.
        job_poll: how often a worker looks for jobs without being notified.
        sweep_interval: how often a worker looks for the jobs of dead workers; by default a quarter of
            UNDERSTUDY_TAKEOVER_SECONDS.
        reconnect: the pause before the gateway reconnects to a database that it has lost.
        listen_check: how long a listening connection may be silent before it is checked.
        feedback_hook: the limit for one call of the operator's feedback hook.
        first_status: how long a turn runs before its status is shown.
        status_update: the limit for one update of a status.
        oauth: the timings of sign-ins, refreshes and revocations.
    """

    accept: float = 2.5
    parse: float = 30.0
    quoted: float = 15.0
    piece_silence: float = 2.0
    longest_pieces: float = 10.0
    turn: float = 300.0
    summary: float = 60.0
    delivery: float = 60.0
    sent_report: float = 10.0
    return_link: float = 5.0
    cancel_grace: float = 5.0
    calls_grace: float = 2.0
    run_end_grace: float = 0.2
    shutdown_grace: float = 10.0
    loop_blocked: float = 10.0
    due_interval: float = 1.0
    removal_interval: float = 60.0
    clean_up_interval: float = 5.0
    stop_interval: float = 0.5
    presence: float = 5.0
    interruption_interval: float = 0.3
    longest_pause: float = 300.0
    drain_retry: float = 5.0
    busy_retry: float = 1.0
    job_poll: float = 1.0
    sweep_interval: float | None = None
    reconnect: float = 1.0
    listen_check: float = 10.0
    feedback_hook: float = 10.0
    first_status: float = 1.0
    status_update: float = 5.0
    oauth: OAuthTimings = DEFAULT_OAUTH_TIMINGS


DEFAULT_TIMINGS = Timings()
