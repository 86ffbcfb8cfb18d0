"""What the page after a consent says."""

import re


def code_on(page: str) -> str:
    """The code that a person is to send in the chat."""
    found = re.search(r'<p class="code">(\d{4} \d{4})</p>', page)
    assert found is not None, page
    return found[1]
