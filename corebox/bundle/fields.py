"""A field of a JSON document is declared once: its kind and its meaning stand in the value that has it.

    class Site(NamedTuple):
        kernel: Annotated[Optional[str], TEXT, "Release of the kernel."]

``to_json`` writes such a value, ``read`` reads it and believes nothing, ``schema_of`` describes it for people and
programs. A field may be null if its type is Optional, and absent if it has a default.
"""

import functools
import os
import re
from typing import TYPE_CHECKING, Any, Callable, Dict, Hashable, NamedTuple, Optional, Sequence, Tuple, Type, TypeVar

from corebox.files.paths import MAX_PATH, is_canonical

if TYPE_CHECKING:
    from typing import Annotated as Annotated  # novermin  # noqa: PLC0414  # not in Python 3.6
else:

    class _Annotated:
        """The class of that name for every Python, with what is declared in ``parts``."""

        def __getitem__(self, parts):
            return type("Annotated", (), {"parts": parts})

    Annotated = _Annotated()

Json = Dict[str, object]
Value = TypeVar("Value")

_MAX_NUMBER = 1 << 63


class MisfitError(ValueError):
    """JSON that is not of the declared kind; the text is a place in the document and what is wrong with it."""


class Kind(NamedTuple):
    """What a field holds.

    Attributes:
        schema: the JSON Schema of it.
        read: the value of the JSON; raises TypeError or ValueError.
        write: the JSON of the value.
        key: the name in the document where it differs from the field's.
        sparse: whether a default is not written.
    """

    schema: Callable[[], Json]
    read: Callable[[Any], Any]
    write: Callable[[Any], object] = lambda value: value
    key: Optional[str] = None
    sparse: bool = False

    def called(self, key: str) -> "Kind":
        """The same under another name in the document."""
        return self._replace(key=key)


class Field(NamedTuple):
    """A field of a value as it is declared."""

    name: str
    key: str
    kind: Kind
    meaning: str
    may_be_null: bool
    has_default: bool


@functools.lru_cache(maxsize=None)
def fields_of(record: Hashable) -> Tuple[Field, ...]:
    """The fields that the NamedTuple declares."""
    return tuple(_field(record, name) for name in record._fields)  # type: ignore[attr-defined]


def _field(record: Any, name: str) -> Field:
    form, kind, meaning = record.__annotations__[name].parts
    may_be_null = type(None) in (getattr(form, "__args__", None) or ())
    return Field(name, kind.key or name, kind, meaning, may_be_null, name in record._field_defaults)


def to_json(value: Any) -> Json:
    """The JSON object of a value."""
    found: Json = {}
    form: Any = type(value)
    for field in fields_of(form):
        each = getattr(value, field.name)
        if not (field.kind.sparse and each == value._field_defaults[field.name]):
            found[field.key] = None if each is None else field.kind.write(each)
    return found


def read(record: Type[Value], data: object) -> Value:
    """The value that untrusted JSON holds.

    Raises:
        MisfitError: it is not as declared.
    """
    return record(**read_fields(record, data))


def read_fields(record: Any, data: object, names: Sequence[str] = ()) -> Dict[str, Any]:
    """Its fields, or those of these names; one that is absent and has a default is not among them.

    Raises:
        MisfitError: they are not as declared.
    """
    if not isinstance(data, dict):
        raise MisfitError(" is not an object")
    fields = [each for each in fields_of(record) if not names or each.name in names]
    return {each.name: _read(each, data) for each in fields if each.key in data or not each.has_default}


def _read(field: Field, data: Dict[str, object]) -> Any:
    value = data.get(field.key)
    if value is None and field.may_be_null:  # also where the key is lacking: what wrote it is older than the key
        return None
    if field.key not in data:
        raise MisfitError(" lacks " + field.key)
    try:
        return field.kind.read(value)
    except MisfitError as error:
        raise MisfitError(": {}{}".format(field.key, error)) from error
    except (TypeError, ValueError) as error:
        raise MisfitError(": {} is {!r:.80}".format(field.key, value)) from error


def schema_of(record: Any) -> Json:
    """The JSON Schema of a value."""
    fields = fields_of(record)
    return {
        "type": "object",
        "properties": {each.key: {"description": each.meaning, **_schema(each)} for each in fields},
        "required": sorted(each.key for each in fields if not each.has_default),
    }


def _schema(field: Field) -> Json:
    schema = field.kind.schema()
    if not field.may_be_null:
        return schema
    if "enum" in schema:
        return {"enum": [*schema["enum"], None]}  # type: ignore[misc]
    return {**schema, "type": [schema["type"], "null"]}


def record(form: Any) -> Kind:
    """An object that is a value with fields of its own."""
    return Kind(lambda: schema_of(form), functools.partial(read, form), to_json)


def sparse(kind: Kind) -> Kind:
    """The same, and what has its default is not written."""
    return kind._replace(sparse=True)


def array(kind: Kind, most: int = _MAX_NUMBER) -> Kind:
    """An array of at most so many of one kind."""

    def items(value: object) -> Tuple[object, ...]:
        if not isinstance(value, list) or len(value) > most:
            raise TypeError("no array of bounded length")
        return tuple(kind.read(each) for each in value)

    return Kind(lambda: {"type": "array", "items": kind.schema()}, items, lambda value: [kind.write(x) for x in value])


def choice(words: Sequence[str]) -> Kind:
    """One of these strings."""

    def chosen(value: object) -> str:
        if value not in words:
            raise ValueError("none of the choices")
        return str(value)

    return Kind(lambda: {"enum": list(words)}, chosen)


def _text(value: object) -> str:
    """A string that a file system could hold: no NUL, no surrogates other than those of undecodable bytes."""
    if not isinstance(value, str) or "\0" in value:
        raise TypeError("no text")
    return os.fsdecode(value.encode("utf-8", "surrogateescape"))


def _texts_by_name(value: Dict[str, object]) -> Dict[str, str]:
    if not isinstance(value, dict):
        raise MisfitError(" is not an object")
    return {key: _text(value[key]) for key in sorted(value)}


def _path(value: object) -> str:
    path = _text(value)
    if not is_canonical(path):
        raise ValueError("no canonical path")
    return path


def _integer(value: object) -> int:
    if type(value) is not int or not -_MAX_NUMBER <= value < _MAX_NUMBER:
        raise TypeError("no integer of 64 bits")
    return value


def _number(value: object) -> int:
    if _integer(value) < 0:
        raise ValueError("negative")
    return _integer(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("no truth value")
    return value


def _matching(pattern: str, read_it: Callable[[str], Any] = str, write: Callable[[Any], object] = str) -> Kind:
    whole = re.compile(pattern[:-1] + r"\Z")

    def matched(value: object) -> Any:
        if not isinstance(value, str) or not whole.match(value):
            raise ValueError("of another form")
        return read_it(value)

    return Kind(lambda: {"type": "string", "pattern": pattern}, matched, write)


def hexadecimal(address: int) -> str:
    """An address as it is written."""
    return "0x{:x}".format(address)


TEXT = Kind(lambda: {"type": "string"}, _text)
TEXTS_BY_NAME = Kind(lambda: {"type": "object", "additionalProperties": {"type": "string"}}, _texts_by_name)
PATH = Kind(
    lambda: {"type": "string", "pattern": r"^(/(?!\.{1,2}(/|$))[^/]+)+$", "maxLength": MAX_PATH}, _path
)  # fmt: skip
#: Where a symbolic link leads; whether that is within the root only all paths together tell.
TARGET = Kind(lambda: {"type": "string", "pattern": "^[^/]", "maxLength": MAX_PATH}, _text)
INTEGER = Kind(lambda: {"type": "integer"}, _integer)
NUMBER = Kind(lambda: {"type": "integer", "minimum": 0}, _number)
FLAG = Kind(lambda: {"type": "boolean"}, _flag)
ADDRESS = _matching("^0x[0-9a-f]{1,16}$", lambda text: int(text, 16), hexadecimal)
BUILD_ID = _matching("^([0-9a-f]{2}){1,64}$")
SHA256 = _matching("^[0-9a-f]{64}$")
#: Permission bits, without set-id and sticky bits.
MODE = _matching("^0[0-7]{3}$", lambda text: int(text, 8), "{:04o}".format)
TIME = _matching("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")
