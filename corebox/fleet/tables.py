"""The tables. A stack, a set of modules and a name are stored once, however many crashes have them.

100,000 crashes of one product have some 44,000 different stacks and 1,600 different sets of modules; so a crash is a
row of numbers. The text of a stack is there to be shown, ``stack_function`` to be searched.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

metadata = MetaData()

#: SQLite counts its rows by itself in a column of exactly this type.
_ID: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")


def _id() -> Column[int]:
    return Column("id", _ID, primary_key=True)


def _refers(name: str, table: Table, *, nullable: bool = False) -> Column[int]:
    return Column(name, _ID, ForeignKey(table.c.id), nullable=nullable)


customer = Table("customer", metadata, _id(), Column("name", Text, nullable=False, unique=True))

#: What the customer runs; ``name`` is the version, empty if nobody said it.
release = Table(
    "release",
    metadata,
    _id(),
    Column("product", Text, nullable=False),
    Column("name", Text, nullable=False),
    UniqueConstraint("product", "name"),
)

#: ``text`` is the report's; ``name`` and ``ticket`` are given by people; ``merged`` is the family that it is part of.
family = Table(
    "family",
    metadata,
    _id(),
    Column("text", Text, nullable=False, unique=True),
    Column("name", Text),
    Column("ticket", Text),
    Column("merged", _ID, ForeignKey("family.id")),
)

signature = Table(
    "signature",
    metadata,
    _id(),
    Column("text", Text, nullable=False),
    _refers("family", family),
    UniqueConstraint("text", "family"),
)

#: ``frames`` are the functions of the thread that failed, innermost first, one a line; ``digest`` is their SHA-256.
stack = Table(
    "stack",
    metadata,
    _id(),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("frames", Text, nullable=False),
)
function = Table("function", metadata, _id(), Column("name", Text, nullable=False, unique=True))
stack_function = Table(
    "stack_function",
    metadata,
    Column("function", _ID, ForeignKey(function.c.id), primary_key=True),
    Column("stack", _ID, ForeignKey(stack.c.id), primary_key=True),
    sqlite_with_rowid=False,
)

module = Table(
    "module",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("build_id", Text, nullable=False),
    Column("package", Text, nullable=False),
    UniqueConstraint("name", "build_id", "package"),
    Index("module_build_id", "build_id"),
)
module_set = Table("module_set", metadata, _id(), Column("digest", LargeBinary, nullable=False, unique=True))
module_set_module = Table(
    "module_set_module",
    metadata,
    Column("module", _ID, ForeignKey(module.c.id), primary_key=True),
    Column("module_set", _ID, ForeignKey(module_set.c.id), primary_key=True),
    sqlite_with_rowid=False,
)

#: One row a crash. ``bundle`` is the SHA-256 of the file that arrived, ``identity`` that of the crash, known once it
#: has been read; the times are seconds since 1970. ``seen`` is how often it arrived. ``reporter`` is the version of
#: corebox that reported it, None if that has to be done; ``failure`` says why it could not. ``attempts`` are those that
#: began and did not end.
crash = Table(
    "crash",
    metadata,
    _id(),
    Column("bundle", LargeBinary, nullable=False),
    Column("identity", LargeBinary),
    _refers("customer", customer),
    _refers("release", release),
    Column("source", Text),
    Column("size", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("seen", Integer, nullable=False, default=1),
    Column("attempts", Integer, nullable=False, default=0),
    Column("reporter", Text),
    Column("code", Text),
    Column("failure", Text),
    Column("held", Boolean, nullable=False, default=False),
    Column("kept", Boolean, nullable=False, default=True),
    Column("crashed", BigInteger),
    Column("signal", Text),
    Column("cause", Text),
    Column("program", Text),
    Column("system", Text),
    _refers("signature", signature, nullable=True),
    _refers("stack", stack, nullable=True),
    _refers("module_set", module_set, nullable=True),
    UniqueConstraint("customer", "bundle"),
    CheckConstraint("seen > 0 AND attempts >= 0", name="crash_counts"),
    Index("crash_signature", "signature", "crashed"),
    Index("crash_stack", "stack"),
    Index("crash_module_set", "module_set"),
    Index("crash_release", "release", "crashed"),
    Index("crash_customer", "customer", "identity"),
    Index("crash_reporter", "reporter"),
)

#: What holds for the whole fleet, on whichever machine: ``folder`` is where bundles and reports are.
setting = Table("setting", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))

#: What lets a customer send crashes; ``digest`` is the SHA-256 of the token.
token = Table(
    "token",
    metadata,
    _id(),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("customer", Text, nullable=False),
    Column("product", Text, nullable=False),
    Column("made", BigInteger, nullable=False),
)

#: Who may look; ``digest`` is the SHA-256 of their token, ``customer`` whose crashes they see, NULL for all.
reader = Table(
    "reader",
    metadata,
    _id(),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("customer", Text),
)

#: What people decided about families, in the order in which they did.
audit = Table(
    "audit",
    metadata,
    _id(),
    Column("at", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
)
