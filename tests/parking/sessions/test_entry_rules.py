"""Rules of the way in: how vehicles are named."""

from hypothesis import given
from hypothesis import strategies as st

from parking.plates import read_plate
from parking.sessions.rules import _IS_COMPACT, read_vehicle_plate
from parking.vehicles import VehicleClass


@given(
    st.from_regex(_IS_COMPACT, fullmatch=True),
    st.sampled_from(VehicleClass),
)
def test_a_plate_that_is_compact_is_read_as_the_plates_room_reads_it(
    text: str, vehicle_class: VehicleClass
) -> None:
    assert read_vehicle_plate(text, vehicle_class) == read_plate(text, vehicle_class).compact
