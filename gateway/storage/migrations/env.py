from alembic import context

from gateway.storage.tables import metadata as gateway_metadata
from oauth.store.tables import metadata as oauth_metadata

# The gateway runs the migrations itself, on the connection that it hands over.
context.configure(
    connection=context.config.attributes["connection"], target_metadata=[gateway_metadata, oauth_metadata]
)
with context.begin_transaction():
    context.run_migrations()
