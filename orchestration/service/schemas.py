"""The shape of answers, for the description at /docs and /openapi.json."""

from typing import Any

from pydantic import BaseModel, Field, create_model

from models.emotion.labels import EMOTIONS
from models.expression.contract import NetworkContract


class Model(BaseModel):
    """Which model answered."""

    name: str = Field(examples=["deepexp3d-resnet50"])
    version: str = Field(description="first digits of the network file's SHA-256", examples=["3f9a0c52d1b7"])
    classifier: str = Field(description="the same of the emotion classifier's file", examples=["81d0f7a3c64e"])


class ProblemDocument(BaseModel):
    """RFC 9457: why there is no answer, and what to do."""

    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["photo.jpg: 20000 x 20000 pixels are more than 40 million; scale it down."])
    request_id: str | None = None


class Health(BaseModel):
    """Whether the service works."""

    status: str = Field(description="ok, stopping or stalled", examples=["ok"])
    live: bool = Field(description="false: restart it")
    ready: bool = Field(description="false: send it nothing")
    model: Model
    waiting: int = Field(description="pictures in the queue")
    uptime_s: float


def face_schema(contract: NetworkContract) -> type[BaseModel]:
    """A face, as a model of this contract describes it."""
    number = (float, ...)
    columns: dict[str, Any] = {
        "face": (int, Field(description="its number, the largest first")),
        "box": (
            list[float],
            Field(description="x0, y0, x1, y1, pixels of the file", examples=[[120.5, 88.0, 301.2, 322.9]]),
        ),
        "emotion": (str, Field(description="the most probable", examples=["happy"])),
        **{f"p_{emotion}": number for emotion in EMOTIONS},
        **{name: (float, Field(description="expression, mm")) for name in contract.expression_names},
        "yaw": (float, Field(description="degrees, towards the subject's left")),
        "pitch": (float, Field(description="degrees, upwards")),
        "roll": (float, Field(description="degrees, counter-clockwise as seen")),
        "status": (str, Field(examples=["ok"])),
    }
    return create_model("Face", **columns)


def answer_schemas(contract: NetworkContract) -> tuple[type[BaseModel], type[BaseModel]]:
    """The answers to one picture and to several."""
    face = face_schema(contract)
    size = int | None
    picture: dict[str, Any] = {
        "name": (str, Field(examples=["photo.jpg"])),
        "status": (str, Field(description="ok, no face, or error", examples=["ok"])),
        "width": (size, None),
        "height": (size, None),
        "faces": (list[face], ...),
    }
    one = create_model("Reading", model=(Model, ...), **picture)
    member = create_model("BatchMember", **picture, error=(ProblemDocument | None, None))
    several = create_model("Readings", model=(Model, ...), pictures=(list[member], ...))
    return one, several
