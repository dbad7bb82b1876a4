"""From what people type to requests that auth understands."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from teleport.errors import BadParameter

RequestModel = TypeVar("RequestModel", bound=BaseModel)


def build_request(model: type[RequestModel], **values: str) -> RequestModel:
    """Return a request to auth.

    Raises:
        BadParameter: a value is longer than any that is right.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        names = ", ".join(sorted({str(each["loc"][0]) for each in error.errors(include_input=False) if each["loc"]}))
        raise BadParameter(f"this is not acceptable: {names}") from None


def read_code(typed: str) -> str:
    """Return a one-time code without the spaces that authenticators show in its middle."""
    return typed.replace(" ", "")
