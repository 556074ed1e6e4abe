"""Words for vehicles, and the choices of their classes, as all parking pages show them."""

from api.http.i18n import translate
from parking.vehicles import VehicleClass


def say_class(lang: str, vehicle_class: str) -> str:
    """Say what a class of vehicles is called; one that is not known as it is written."""
    known = {one.value for one in VehicleClass}
    return (
        translate(lang, f"lots.class.{vehicle_class}") if vehicle_class in known else vehicle_class
    )


def list_classes(lang: str) -> tuple[tuple[str, str], ...]:
    """List the classes to choose from, with their words."""
    return tuple((one.value, say_class(lang, one.value)) for one in VehicleClass)
