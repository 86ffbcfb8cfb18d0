"""A Telegram bot that reads photos of receipts. README.md in this folder explains the setup.

Run it with `understudy serve cookbook/receipts/receipts_bot.py`.
"""

import csv
import io
from dataclasses import asdict, dataclass, fields

from gateway import Agent, Gateway, TurnContext
from interfaces.telegram import Telegram
from toolkits import Toolkit, tool


@dataclass
class Receipt:
    """A receipt.

    Args:
        day: like 2026-11-30.
        amount: the total, with tax.
        currency: its code of three letters, like EUR.
    """

    day: str
    shop: str
    amount: float
    currency: str


class Tables(Toolkit):
    """Sends tables for spreadsheets."""

    @tool
    async def send_table(self, context: TurnContext, receipts: list[Receipt]) -> str:
        """Send receipts to the user as a CSV file, which opens in a spreadsheet.

        Args:
            receipts: the rows of the table.
        """
        table = io.StringIO()
        writer = csv.DictWriter(table, [field.name for field in fields(Receipt)])
        writer.writeheader()
        writer.writerows(asdict(receipt) for receipt in receipts)
        await context.send_file(table.getvalue().encode(), name="receipts.csv")
        return "The table was sent."


agent = Agent(
    toolkits=[Tables()],
    instructions=(
        "People send you photos and PDFs of receipts. Answer with a table of their days, shops and amounts, and the "
        "total. Write a question mark for what you cannot read. Send the table as a file when they ask for one."
    ),
    name="Receipts",
    description="Send me photos of receipts, and I put them into a table.",
)
gateway = Gateway(agent, interfaces=[Telegram()])
