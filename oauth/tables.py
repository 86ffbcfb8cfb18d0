from sqlalchemy import Column, LargeBinary, MetaData, String, Table

from oauth.columns import Timestamp

metadata = MetaData()

oauth_tokens = Table(
    "oauth_tokens",
    metadata,
    Column("channel", String, primary_key=True),
    Column("tenant", String, primary_key=True),
    Column("user_id", String, primary_key=True),
    Column("provider", String, primary_key=True),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("updated_at", Timestamp, nullable=False),
)

# An authorization that was begun and has not come back yet. Taking the row ends it: a state serves once.
oauth_authorizations = Table(
    "oauth_authorizations",
    metadata,
    Column("id", String, primary_key=True),
    Column("provider", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("user_id", String, nullable=False),
    Column("verifier_ciphertext", LargeBinary, nullable=False),
    Column("expires_at", Timestamp, nullable=False, index=True),
)
