from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build

from bench.harness.measure import Row, side_by_side
from toolkits.google.service import build_service


def measure_services() -> list[Row]:
    """A person's Gmail service from the shared, parsed discovery document, against googleapiclient's own way."""
    credentials = Credentials("token")
    return side_by_side(
        {
            "googleapiclient.discovery.build": lambda: build("gmail", "v1", credentials=credentials),
            "a service from the shared document": lambda: build_service("gmail", "v1", None),
        },
        calls=5,
    )
