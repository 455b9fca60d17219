"""What the SDK sends is text that can be written as UTF-8, or whole numbers; anything else is refused where the
danubefile passes it."""

from collections.abc import Mapping

from danube._errors import DanubeError


def check_texts(reference: str, texts: Mapping[str, object]) -> None:
    """texts: what each value is for, and the value, which may be a secret and so is not shown. Raises DanubeError for
    the first that is not a text."""
    for what, value in texts.items():
        if not isinstance(value, str):
            raise DanubeError(
                reference,
                f"{what} must be a str, not {type(value).__name__}",
                hint="write it as one text, or convert it: str(…)",
            )
        try:
            value.encode()
        except UnicodeEncodeError:
            raise DanubeError(
                reference,
                f"{what} has a character that UTF-8 cannot hold",
                hint="put binary data, and names that are not UTF-8, into a file of /workspace",
            ) from None


def check_whole_numbers(reference: str, numbers: Mapping[str, object]) -> None:
    """numbers: what each value is for, and the value. Raises DanubeError for the first that is not a whole number."""
    for what, value in numbers.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise DanubeError(
                reference, f"{what} must be a whole number, not {type(value).__name__}", hint=f"write: {what}=60"
            )
