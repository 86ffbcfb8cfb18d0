"""Run the migrations on the connection that `gateway.storage.schema` passes in the configuration."""

from alembic import context

from gateway.storage.tables import metadata as gateway_metadata
from oauth.store.tables import metadata as oauth_metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=[gateway_metadata, oauth_metadata]
)
with context.begin_transaction():
    context.run_migrations()
