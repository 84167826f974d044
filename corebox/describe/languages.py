"""Which file runs which language, by its name."""

import re
from posixpath import basename
from typing import NamedTuple, Optional


class Language(NamedTuple):
    """A language, with the version that the file's name tells, as "3.1", or None."""

    name: str
    version: Optional[str]

    def __str__(self) -> str:
        return self.name + (" " + self.version if self.version else "")


#: Files that hold a runtime; as Debian, Fedora, Alpine and their makers call them.
_FILES = (
    (re.compile(r"libjvm\.so"), "Java"),
    (re.compile(r"libcoreclr\.so|libmono(sgen|bdwgc)?-2\.0\.so.*"), ".NET"),
    (re.compile(r"(lib)?ruby[-.]?(so\.)?(?P<version>\d+\.\d+)?[-.\d]*(so[.\d]*)?"), "Ruby"),
    (re.compile(r"(lib)?php(-fpm|-cgi|-cli|dbg)?(?P<version>\d+\.\d+)?\d*(\.so)?|mod_php.*\.so"), "PHP"),
    (re.compile(r"perl(?P<version>\d+\.\d+)?[.\d]*|libperl\.so\.?(?P<other>\d+\.\d+)?[.\d]*"), "Perl"),
    (re.compile(r"(lib)?lua-?(?P<version>\d+\.\d+)?(-c\+\+)?(\.so[.\d]*)?"), "Lua"),
    (re.compile(r"luajit.*|libluajit-.*\.so.*"), "LuaJIT"),
)


def language_of(path: str) -> Optional[Language]:
    """The language whose runtime a file is; None if it is none of these."""
    for pattern, name in _FILES:
        found = pattern.fullmatch(basename(path))
        if found:
            groups = found.groupdict()
            return Language(name, groups.get("version") or groups.get("other"))
    return None
