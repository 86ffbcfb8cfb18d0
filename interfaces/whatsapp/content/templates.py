"""Send messages that are made of an operator's content templates.

https://www.twilio.com/docs/content/send-templates-created-with-the-content-template-builder
"""

import json
import re
from typing import Any

from gateway.channels import DeliveryRefusedError
from toolkits import Template

MOST_VARIABLES = 100

# https://www.twilio.com/docs/api/errors/21656: what the value of a variable must not contain
_UNFIT = re.compile(r"[\n\r\t]| {5}")


def check(template: Template) -> None:
    """Check the values of a template's variables.

    Raises:
        DeliveryRefusedError: if Twilio would not take them.
    """
    if len(template.variables) > MOST_VARIABLES:
        raise DeliveryRefusedError(f"It has more than {MOST_VARIABLES} variables.")
    for name, value in template.variables.items():
        if not value.strip() or _UNFIT.search(value):
            raise DeliveryRefusedError(
                f"The variable {name!r} is empty, or has a line break, a tab or more than four spaces in a row."
            )


def content_of(template: Template) -> dict[str, Any]:
    """Return the content of a message. It has no `body`: https://www.twilio.com/docs/api/errors/63016"""
    content = {"content_sid": template.content_sid}
    return content | {"content_variables": json.dumps(template.variables)} if template.variables else content
