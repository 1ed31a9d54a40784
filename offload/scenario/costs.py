"""What a scenario may say of money: machines to buy, links to rent, and electricity."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from offload.networks import Known
from offload.scenario.fields import Price, Table
from offload.units import Quantity

CURRENCY = "EUR"


def _currency(text: str) -> str:
    if not (text.isalpha() and len(text) <= 8):
        msg = 'a currency is a word, like "EUR"'
        raise ValueError(msg)
    return text


Life = Annotated[float, BeforeValidator(Quantity("life").parse), Field(gt=0, le=1e10)]
Currency = Annotated[str, AfterValidator(_currency)]


class PriceTable(Table):
    """What one server costs to buy, how long it serves, how that is known, and its source."""

    value: Annotated[Price, Field(examples=[600.0])]
    """What one machine costs to buy."""
    life: Life
    """How long it serves: its price is spread over that."""
    known: Known
    """How the price is known."""
    source: str
    """Where the price comes from."""
    currency: Currency = CURRENCY
    """The currency of the price; one for all of a scenario."""


class RentTable(Table):
    """What a link costs a month: a sum, and one for each Mbit/s.

    Of a cell those up and down are added; a wire carries its rate each way, and that is counted once.
    """

    per_month: Annotated[Price, Field(examples=[40.0])] = 0.0
    """What the link costs a month, whatever it carries."""
    per_mbit: Annotated[Price, Field(alias="per_Mbit")] = 0.0
    """What each Mbit/s of it costs a month; of a cell those up and down are added."""
    known: Known
    """How the rent is known."""
    source: str
    """Where the rent comes from."""


class ElectricityTable(Table):
    """What a kilowatt hour costs, how that is known, and its source."""

    per_kwh: Annotated[Price, Field(alias="per_kWh", examples=[0.3])]
    """What a kilowatt hour costs."""
    known: Known
    """How the price is known."""
    source: str
    """Where the price comes from."""


class CostsTable(Table):
    """What a configuration is charged with, in one currency for all of a scenario.

    With `devices` that includes the devices and their power, which else their owners pay.
    """

    currency: Currency = CURRENCY
    """The currency of what `offload size` adds up."""
    electricity: ElectricityTable | None = None
    """What power costs. Not given: an assumed price, if the currency is EUR."""
    devices: bool = False
    """Whether a configuration is charged with its devices and their power too; else their owners pay."""
