"""What all tables of the configuration have in common."""

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """One table of the file: unknown keys are mistakes."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True
    )
