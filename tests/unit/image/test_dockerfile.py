"""The template is rendered, and the rendered Dockerfile read, as Docker would read it."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebox.errors import UsageError
from corebox.image.dockerfile import Instruction, parse_assignments, parse_command, parse_dockerfile, parse_word
from corebox.image.recipe import Step, copied_files, parse_recipe
from corebox.image.template import LayerFile, quoted, render_template
from corebox.resources import shipped

TEMPLATE = shipped("Dockerfile.template")
LAYERS = [LayerFile("toolbox", "toolbox.tar"), LayerFile("core", "core.tar")]


def error_of(dockerfile: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse_recipe(parse_dockerfile(dockerfile))
    return caught.value


def test_the_shipped_template_says_it_all() -> None:
    text = render_template(TEMPLATE, LAYERS, {"io.corebox.signal": "SIGSEGV"}, {"HOME": "/x"}, ["/a b", "-c", "d"])
    recipe = parse_recipe(parse_dockerfile(text))
    assert recipe.steps == [
        Step(2, ("toolbox.tar",), "/", unpacks=True),
        Step(3, ("core.tar",), "/", unpacks=True),
    ]
    assert recipe.config() == {
        "Labels": {"io.corebox.signal": "SIGSEGV"},
        "Env": ["HOME=/x"],
        "User": "1000:1000",
        "WorkingDir": "/.corebox",
        "Entrypoint": ["/a b", "-c", "d"],
    }


@given(st.text())
def test_a_quoted_text_comes_back_but_for_control_characters(text: str) -> None:
    wanted = "".join(char if char.isprintable() else "?" for char in text)
    for name in ("LABEL", "ENV"):
        (_, instruction) = parse_dockerfile(f"FROM scratch\n{name} a={quoted(text)} b=c").instructions
        assert parse_assignments(instruction) == {"a": wanted, "b": "c"}


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_a_command_comes_back(words: list[str]) -> None:
    text = render_template(TEMPLATE, LAYERS, {}, {}, words)
    assert parse_recipe(parse_dockerfile(text)).config()["Entrypoint"] == words


def test_comments_blank_lines_and_continued_lines() -> None:
    text = "# c\n\nfrom scratch\nLABEL a=1 \\\n  # within\n  b=2\n"
    parsed = parse_dockerfile(text).instructions
    assert parsed == (Instruction(3, "FROM", "scratch"), Instruction(4, "LABEL", "a=1 b=2"))


@pytest.mark.parametrize(
    ("word", "value"),
    [('"a b"', "a b"), ("'a $b'", "a $b"), ("a\\ b", "a b"), ('x"y"z', "xyz"), ('"\\$HOME"', "$HOME"), ("", "")],
)
def test_docker_s_ways_to_quote(word: str, value: str) -> None:
    assert parse_assignments(Instruction(1, "LABEL", f"k={word}")) == {"k": value}


@pytest.mark.parametrize(
    "line",
    ["RUN ls", "ONBUILD RUN ls", "VOLUME /x", "ARG x", "FROM debian", "SHELL [\"sh\"]", "LABEL a=$HOME", "USER $x",
     "COPY --from=other a /", "COPY --chown=1 a /", "ADD https://example.org/x /", "HEALTHCHECK CMD x"],
)  # fmt: skip
def test_what_needs_a_real_builder_names_it(line: str) -> None:
    error = error_of(f"FROM scratch\n{line}\n")
    assert error.code == "not-native"
    assert error.hint == "use --builder docker"
    assert "line 2" in error.message


@pytest.mark.parametrize(
    "line",
    ["ENTRYPOINT gdb", "CMD {}", "LABEL a", "LABEL a b", "ENV A 1", "COPY a", "COPY *.py /x/", "USER", "USER a b",
     'ENTRYPOINT ["a", 1]', 'COPY ["a", "b"]', "LABEL a=\"b"],
)  # fmt: skip
def test_what_is_wrong_names_the_line(line: str) -> None:
    error = error_of(f"FROM scratch\n\n{line}\n")
    assert error.code == "bad-dockerfile"
    assert "line 3" in error.message


def test_it_begins_with_from_scratch() -> None:
    assert error_of("").code == "bad-dockerfile"
    assert error_of("LABEL a=b").code == "bad-dockerfile"
    assert error_of("FROM debian").code == "not-native"
    assert error_of("FROM scratch\nLABEL a=b \\\n").code == "bad-dockerfile"


@given(st.text())
def test_any_text_is_a_recipe_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        parse_recipe(parse_dockerfile("FROM scratch\n" + text))


def test_words() -> None:
    assert parse_word(Instruction(1, "USER", "1000:1000")) == "1000:1000"
    assert parse_command(Instruction(1, "CMD", '["-batch"]')) == ["-batch"]


def test_copied_files_are_found_beside_instructions_that_native_cannot_do() -> None:
    lines = (
        "RUN ls",
        "ADD core.tar /",
        "COPY --chown=1 a.py *.sh /x/",
        'COPY --link ["c d", "/"]',
        "COPY --from=b e /",
    )
    assert copied_files(parse_dockerfile("\n".join(["FROM a AS b", *lines]))) == ["core.tar", "a.py", "*.sh", "c d"]


@pytest.mark.parametrize("text", ["{{ layers", "{{ nothing }}", "{% for %}", "FROM {{ layers.a.b }}"])
def test_a_bad_template_is_a_usage_error(tmp_path: Path, text: str) -> None:
    template = tmp_path / "Dockerfile.template"
    template.write_text(text)
    with pytest.raises(UsageError) as caught:
        render_template(template, LAYERS, {}, {}, [])
    assert caught.value.code == "bad-template"
    assert str(template) in caught.value.message
