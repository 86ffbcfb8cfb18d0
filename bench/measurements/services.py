"""Measure how long it takes to make the Google API client of a person."""

from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build

from bench.harness.measure import Row, side_by_side
from toolkits.google.service import build_service


def measure_services() -> list[Row]:
    """Compare a Gmail client made from the shared discovery document with one that googleapiclient makes."""
    credentials = Credentials("token")
    return side_by_side(
        {
            "googleapiclient.discovery.build": lambda: build("gmail", "v1", credentials=credentials),
            "a person's Gmail service, from the shared discovery document": lambda: build_service("gmail", "v1", None),
        },
        calls=5,
    )
