"""Errors of typed plates: none is refused for its grammar, only what is no text at all."""

from core.errors import HubError, Kind


class PlateError(HubError):
    """Base of what is refused in the place of a plate; any other text is a plate, known or not."""

    kind, code, title = Kind.INVALID, "plate_invalid", "Not the text of a plate"


class PlateEmpty(PlateError):
    """The text has no letter and no digit. A vehicle without a plate is entered by its ticket."""

    code, title = "plate_empty", "The plate is empty"

    def __init__(self) -> None:
        super().__init__("The plate has no letter and no digit.")


class PlateTooLong(PlateError):
    """The text is longer than any plate."""

    code, title = "plate_too_long", "The plate is too long"

    def __init__(self, *, chars_max: int) -> None:
        super().__init__(f"A plate has at most {chars_max} characters.")
        self.chars_max = chars_max


class PlateNotText(PlateError):
    """The text holds NUL, another control character, or half a character. `at` counts from 0."""

    code, title = "plate_not_text", "The plate holds characters that no text may hold"

    def __init__(self, *, at: int) -> None:
        super().__init__(f"Character {at + 1} of the plate is a control character.")
        self.at = at
