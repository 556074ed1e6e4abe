"""Classes of vehicles, as lots, prices and plates tell them apart."""

from enum import StrEnum
from typing import Final


class VehicleClass(StrEnum):
    """What kind of vehicle parks; with the compact plate it is the vehicle's key."""

    BICYCLE = "bicycle"
    ELECTRIC_BICYCLE = "electric_bicycle"
    MOTORBIKE = "motorbike"
    ELECTRIC_MOTORBIKE = "electric_motorbike"
    CAR = "car"  # up to 9 seats, and lorries below 2 tonnes
    LARGE_CAR = "large_car"  # 10 to 15 seats
    BUS = "bus"
    TRUCK = "truck"  # from 2 tonnes
    OTHER = "other"


# Whether a class has motorbikes' plates; the others have none of their own, or any.
IS_TWO_WHEELED: Final = {
    VehicleClass.MOTORBIKE: True,
    VehicleClass.ELECTRIC_MOTORBIKE: True,
    VehicleClass.CAR: False,
    VehicleClass.LARGE_CAR: False,
    VehicleClass.BUS: False,
    VehicleClass.TRUCK: False,
}
