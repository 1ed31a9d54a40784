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

    value: Price
    life: Life
    known: Known
    source: str
    currency: Currency = CURRENCY


class RentTable(Table):
    """What a link costs a month: a sum, and one for each Mbit/s.

    Of a cell those up and down are added; a wire carries its rate each way, and that is counted once.
    """

    per_month: Price = 0.0
    per_mbit: Annotated[Price, Field(alias="per_Mbit")] = 0.0
    known: Known
    source: str


class ElectricityTable(Table):
    """What a kilowatt hour costs, how that is known, and its source."""

    per_kwh: Annotated[Price, Field(alias="per_kWh")]
    known: Known
    source: str


class CostsTable(Table):
    """What a configuration is charged with, in one currency for all of a scenario.

    With `devices` that includes the devices and their power, which else their owners pay.
    """

    currency: Currency = CURRENCY
    electricity: ElectricityTable | None = None
    devices: bool = False
