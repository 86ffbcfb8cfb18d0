"""Index jobs by their lock, and notify workers of jobs that become ready later than they were inserted.

procrastinate notifies workers only of inserted jobs. A job that waits for a lock becomes ready when the job with the
lock ends, and a job that is retried at once becomes ready again. Without these triggers both would wait for a poll.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# The notification has the same channel and payload as that of procrastinate_notify_queue_job_inserted_v1.
_STATEMENTS = (
    """
    CREATE INDEX understudy_jobs_by_lock ON procrastinate_jobs (lock) WHERE status IN ('todo', 'doing')
    """,
    """
    CREATE FUNCTION understudy_notify_job_ready(job_id bigint, queue_name text) RETURNS void LANGUAGE sql AS $$
        SELECT pg_notify(
            'procrastinate_queue_v1#' || queue_name,
            json_build_object('type', 'job_inserted', 'job_id', job_id)::text
        )
    $$
    """,
    """
    CREATE FUNCTION understudy_job_unlocked() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM understudy_notify_job_ready(id, queue_name)
        FROM procrastinate_jobs WHERE lock = OLD.lock AND status = 'todo' ORDER BY id LIMIT 1;
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE FUNCTION understudy_job_retried() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM understudy_notify_job_ready(NEW.id, NEW.queue_name);
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE TRIGGER understudy_job_unlocked AFTER DELETE ON procrastinate_jobs FOR EACH ROW
    WHEN (OLD.status = 'doing' AND OLD.lock IS NOT NULL) EXECUTE FUNCTION understudy_job_unlocked()
    """,
    """
    CREATE TRIGGER understudy_job_retried AFTER UPDATE OF status ON procrastinate_jobs FOR EACH ROW
    WHEN (OLD.status = 'doing' AND NEW.status = 'todo' AND NEW.scheduled_at <= now())
    EXECUTE FUNCTION understudy_job_retried()
    """,
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for statement in _STATEMENTS:
            op.execute(statement)
