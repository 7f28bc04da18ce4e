"""Settings: where they are looked up, how they are cast, and what an error tells."""

import functools
import os

import pytest

from lamella import exceptions
from lamella.config import Config, Environ, EnvironError, environ, undefined
from lamella.datastructures import URL, CommaSeparatedStrings, Secret

FILE = """
# a comment = no setting
PLAIN=value
 SPACED  =  some words
URL=postgres://ann:hidden@host/db?a=b
EMPTY=
SINGLE='say "hi"'
DOUBLE="it's"
HALF="left
ONE="
NUMBER=7
#COMMENTED=1
no setting
BOTH=file
"""


@pytest.fixture
def env_file(tmp_path):
    """A file of settings."""
    path = tmp_path / ".env"
    path.write_text(FILE)
    return path


# --- where a setting is found


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("PLAIN", "value"),
        ("SPACED", "some words"),
        ("URL", "postgres://ann:hidden@host/db?a=b"),
        ("EMPTY", ""),
        ("SINGLE", 'say "hi"'),
        ("DOUBLE", "it's"),
        ("HALF", '"left'),
        ("ONE", '"'),
        ("NUMBER", "7"),
    ],
)
def test_file_is_read(env_file, key, value):
    config = Config(env_file, environ={})
    assert value == config(key) == config.get(key)


def test_comments_and_other_lines_are_no_settings(env_file):
    keys = {"PLAIN", "SPACED", "URL", "EMPTY", "SINGLE", "DOUBLE", "HALF", "ONE", "NUMBER", "BOTH"}
    assert keys == Config(str(env_file), environ={}).file_values.keys()


def test_environment_comes_before_the_file_and_the_default_last(env_file):
    config = Config(env_file, environ={"BOTH": "environment"})
    assert "environment" == config("BOTH", default="default")
    assert "value" == config("PLAIN", default="default")
    assert "default" == config("NOWHERE", default="default")


def test_empty_setting_is_one(env_file):
    """It was set to nothing, so the default does not count."""
    config = Config(env_file, environ={"NOTHING": ""})
    assert "" == config("NOTHING", default="x")
    assert "" == config("EMPTY", default="x")


def test_environment_of_the_process_is_the_usual_one(monkeypatch):
    monkeypatch.setenv("LAMELLA_TEST_SETTING", "5")
    assert 5 == Config()("LAMELLA_TEST_SETTING", cast=int)
    assert environ is Config().environ


def test_prefix_is_put_before_keys(env_file):
    config = Config(environ={"APP_DEBUG": "yes", "OTHER": "x"}, env_prefix="APP_")
    assert "yes" == config("DEBUG")
    with pytest.raises(KeyError, match="APP_OTHER"):
        config("OTHER")


def test_file_may_have_another_encoding(tmp_path):
    path = tmp_path / ".env"
    path.write_bytes("WORD=grün\n".encode("latin-1"))
    assert "grün" == Config(path, environ={}, encoding="latin-1")("WORD")
    path.write_text("WORD=世界\r\nNEXT=1\r\n", "utf-8")
    assert ("世界", "1") == (Config(path, environ={})("WORD"), Config(path, environ={})("NEXT"))


def test_missing_file_is_a_warning_at_the_line_that_names_it(tmp_path):
    """A deployment without one sets everything in the environment."""
    with pytest.warns(UserWarning, match="Config file '.*none' not found.") as caught:
        config = Config(tmp_path / "none", environ={"A": "1"})
    assert __file__ == caught[0].filename
    assert "1" == config("A")


# --- casts


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("True", True), ("1", True), ("false", False), ("FALSE", False), ("0", False)],
)
def test_bool_is_read_as_people_write_it(text, value):
    assert value is Config(environ={"A": text})("A", cast=bool)


@pytest.mark.parametrize("text", ["yes", "no", "", "2", "on", " true"])
def test_what_is_no_bool_is_refused(text):
    """``bool("false")`` would be True."""
    with pytest.raises(ValueError, match="'A' in the environment is not a valid bool; write true"):
        Config(environ={"A": text})("A", cast=bool)


def test_any_callable_casts(env_file):
    config = Config(env_file, environ={"HOSTS": "a, 'b, c'", "KEY": "hidden"})
    assert 7 == config("NUMBER", cast=int)
    assert "ann" == config("URL", cast=URL).username
    assert ["a", "b, c"] == list(config("HOSTS", cast=CommaSeparatedStrings))
    assert "Secret('**********')" == repr(config("KEY", cast=Secret))
    assert [7] == config("NUMBER", cast=lambda text: [int(text)])


def test_default_is_cast_unless_it_is_none():
    config = Config(environ={})
    assert 10 == config("A", cast=int, default="10")
    assert True is config("A", cast=bool, default=True)
    assert None is config("A", cast=int, default=None)
    assert None is config("A", default=None)
    assert "" == str(config("A", cast=Secret, default=""))


# --- what an error tells


def test_missing_setting_is_named_with_where_it_may_be(env_file):
    with pytest.raises(KeyError) as caught:
        Config(env_file, environ={})("NOWHERE")
    text = "Config 'NOWHERE' is missing, and has no default; set it in the environment or in "
    assert f"{text}'{env_file}'." == caught.value.args[0]
    with pytest.raises(KeyError, match="set it in the environment."):
        Config(environ={})("NOWHERE", cast=int)


@pytest.mark.parametrize(
    ("key", "cast", "text"),
    [
        ("KEY", int, "Config 'KEY' in the environment is not a valid int."),
        ("KEY", bool, "Config 'KEY' in the environment is not a valid bool; write true, false,"),
        ("URL", float, "Config 'URL' in '{file}' is not a valid float."),
        ("KEY", functools.partial(int, base=2), "is not a valid 'partial'."),
        ("NONE", int, "Config 'NONE' in its default is not a valid int."),
    ],
)
def test_value_is_never_printed(env_file, key, cast, text):
    """It may be a secret in the wrong place, and errors are logged; nor the error of the cast."""
    config = Config(env_file, environ={"KEY": "hidden"})
    with pytest.raises(ValueError) as caught:
        config(key, cast=cast, default="hidden")
    assert text.format(file=env_file) in str(caught.value)
    assert "hidden" not in str(caught.value)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__


def test_other_errors_of_a_cast_pass():
    """They are no word on the value."""

    def fails(value):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        Config(environ={"A": "1"})("A", cast=fails)


# --- the environment


def test_environment_can_be_changed_until_it_is_read():
    values = {}
    env = Environ(values)
    env["A"] = "1"
    env["B"] = "1"
    del env["B"]
    assert {"A": "1"} == values
    assert "1" == env["A"]
    with pytest.raises(EnvironError, match=r"set environ\['A'\] before it is read"):
        env["A"] = "2"
    with pytest.raises(EnvironError, match=r"delete environ\['A'\] before it is read"):
        del env["A"]
    assert {"A": "1"} == values


def test_what_was_found_missing_was_read():
    """Whoever asked has decided by it."""
    env = Environ({})
    assert "A" not in env
    with pytest.raises(EnvironError):
        env["A"] = "1"


def test_config_reads_the_environment():
    env = Environ({"A": "1"})
    Config(environ=env)("A")
    with pytest.raises(EnvironError):
        env["A"] = "2"


def test_environment_is_a_mapping():
    values = {"A": "1", "B": "2"}
    env = Environ(values)
    assert (["A", "B"], 2) == (list(env), len(env))
    assert set(os.environ) == set(Environ())


def test_environment_sets_that_of_the_process(monkeypatch):
    monkeypatch.delenv("LAMELLA_TEST_SETTING", raising=False)
    env = Environ()
    env["LAMELLA_TEST_SETTING"] = "1"
    assert "1" == os.environ.pop("LAMELLA_TEST_SETTING")


def test_error_is_one_of_the_package():
    """And is found where Starlette has it."""
    assert exceptions.EnvironError is EnvironError


def test_undefined_marks_a_default_that_was_not_given():
    """As Starlette has it; a default may be None."""
    with pytest.raises(KeyError):
        Config(environ={}).get("A", default=undefined)
