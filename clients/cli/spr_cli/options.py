"""What several commands share: types of options, each refuses what could only fail later, and options."""

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

Command = TypeVar("Command", bound=Callable[..., Any])

# gRPC's names with a scheme (dns:///host, unix:/path, ipv6:[::1]:7400) stand as they are.
_SCHEME = re.compile(r"(dns|unix|unix-abstract|ipv4|ipv6|vsock|xds):")
# Seconds; three years.
_ENDLESS = 1e8
_HOST_PORT = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[^\s:/\[\]]+):([0-9]{1,5})")


class _Collection(click.Path):
    """A collection's directory on this machine."""

    def __init__(self, urls: bool = False, written: bool = False) -> None:
        """urls: whether the URL of one that was copied to a store will do as well; it stays a text.

        written: whether the command writes into it, at its end perhaps.
        """
        super().__init__(exists=True, file_okay=False, writable=written, path_type=Path)
        self._urls = urls

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return its path, or URL."""
        if "://" not in str(value):
            return super().convert(value, param, ctx)
        if not self._urls:
            said = "is a URL, and this is done where a collection is a directory"
            self.fail(f"{value} {said}; copy it there afterwards with `spr snapshot`", param, ctx)
        return value


# How paths begin that lead to what a process has open, and the links that lead there, as /dev/stdout does.
_OPENED = ("/proc/", "/dev/std", "/dev/fd/", "fd/")


class Output(click.Path):
    """A file or directory that is written at the end: refused at once where nothing can be."""

    def __init__(self, *, file_okay: bool = True, dir_okay: bool = True, beside: bool = False) -> None:
        """file_okay, dir_okay: whether what is there already may be one.

        beside: whether there is written beside a directory too, as where it is replaced as a whole.
        """
        super().__init__(file_okay=file_okay, dir_okay=dir_okay, writable=True, path_type=Path)
        self._beside = beside

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return its path."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        # What is open may be a file.
        leads = [str(path.absolute()), *([os.readlink(path)] if os.path.islink(path) else [])]
        opened = any(one.startswith(_OPENED) for one in leads)
        if opened or (os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)):
            self.fail(f"{path} is a device or a pipe, and would be replaced; name a file")
        # A directory that is there may be a volume, of whose parent nothing need be allowed.
        filled = [path.absolute()] if self.dir_okay and not self._beside and os.path.isdir(path) else []
        above = next(folder for folder in (*filled, *path.absolute().parents) if os.path.exists(folder))
        if not (above.is_dir() and os.access(above, os.W_OK)):
            self.fail(f"{path} cannot be written: {above} is no directory that may be; choose another place")
        return path


def check_apart(read: Iterable[Path | None], written: Mapping[str, Path | None]) -> None:
    """UsageError where an output, by its option, would take the place of an input or of another output."""
    taken = {path.resolve() for path in read if path}
    for name, path in written.items():
        if path and path.resolve() in taken:
            raise click.UsageError(f"{path} would be written over; give --{name.replace('_', '-')} another.")
        taken |= {path.resolve()} if path else set()


class _Seconds(click.ParamType[float | None]):
    """A time to wait: more than 0; inf, or longer than gRPC can count, is None: as long as it takes."""

    name = "seconds"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """Return seconds."""
        try:
            seconds = float(value)
        except ValueError:
            self.fail(f"{value!r} is no number; write seconds, such as 2.5, or inf", param, ctx)
        if math.isnan(seconds) or seconds <= 0:
            self.fail(f"{value} is no time to wait; write more than 0 seconds, or inf", param, ctx)
        return seconds if seconds < _ENDLESS else None


class Number(click.FloatRange):
    """A number of a range; click lets "nan" through, which is of none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


class _Address(click.ParamType[str]):
    """HOST:PORT of a process, or a gRPC name with a scheme."""

    name = "host:port"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address as it was given."""
        found = _HOST_PORT.fullmatch(value)
        if _SCHEME.match(value) or (found and 0 < int(found[2]) < 65536):
            return value
        self.fail(f"{value!r} is no address; write HOST:PORT, such as 127.0.0.1:7400", param, ctx)


class _Page(click.ParamType[str]):
    """The address of a web page."""

    name = "url"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address, with http:// where it has no scheme."""
        address = value if "://" in value else f"http://{value}"
        if not address.startswith(("http://", "https://")) or not address.isascii() or " " in address:
            self.fail(f"{value!r} is no address of a page; write http://HOST:PORT", param, ctx)
        return address


class _Words(click.ParamType[str]):
    """Text that is sent to a service: valid Unicode."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text as it was given."""
        try:
            value.encode()
        except UnicodeEncodeError as error:
            place = f"{value.encode(errors='surrogateescape')!r}"
            self.fail(f"{place} is not UTF-8 from character {error.start + 1} on", param, ctx)
        return value


COLLECTION, SERVED, WRITTEN = _Collection(), _Collection(urls=True), _Collection(written=True)
SECONDS, ADDRESS, WORDS = _Seconds(), _Address(), _Words()
# What the wire can carry of a number of things.
COUNT = click.IntRange(1, 2**31 - 1)

# The web page of a service that `spr serve` started without other settings.
PAGE = click.option(
    "--page",
    default="http://127.0.0.1:7480",
    envvar="SPR_PAGE",
    show_default=True,
    show_envvar=True,
    metavar="URL",
    type=_Page(),
    help="The web page's address.",
)
ENGINE = click.option(
    "--engine",
    default="local",
    show_default=True,
    metavar="local|ray[:HOST:PORT]",
    help="Where it runs: this process; Ray on this machine; a Ray cluster, by its head's address.",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
# The fingerprint of a store of features; not what `spr ingest --encoder` names.
OF_ENCODER = click.option("--encoder", help="Fingerprint of the features' encoder, where there are several.")


def _say(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """Set the variable that the client reads, until the command ends."""
    # What fails is told in a sentence; gRPC, which reads this when it is loaded, tells handshakes beside it.
    said = {"GRPC_VERBOSITY": os.environ.get("GRPC_VERBOSITY", "ERROR")}
    if value is not None:
        said[str(parameter.envvar)] = value
    given = context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
    if given and parameter.name == "token_file":
        # What is written beside the command is meant.
        said["SPR_TOKEN"] = ""
    before = {name: os.environ.get(name) for name in said}
    os.environ.update(said)

    def restore() -> None:
        for name, former in before.items():
            if former is None:
                del os.environ[name]
            else:
                os.environ[name] = former

    context.call_on_close(restore)


def leave_out(why: str, *names: str) -> None:
    """Refuse (UsageError) those options of the command that runs which are given and would do nothing.

    why: they do, before a semicolon.
    """
    context = click.get_current_context()
    said = [
        max(option.opts, key=len)
        for option in context.command.params
        if option.name in names and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]
    if said:
        raise click.UsageError(f"{why}; leave out {', '.join(said)}")


_ACCESS = (
    ("--token-file", "SPR_TOKEN_FILE", "File with your token; SPR_TOKEN may hold it itself."),
    ("--ca", "SPR_CA", "PEM file of the service's authority; system: the public ones."),
    ("--cert", "SPR_CERT", "PEM file of your certificate, where one is asked for."),
    ("--key", "SPR_KEY", "PEM file of its key."),
)


def access(command: Command) -> Command:
    """Give a command the options of who calls: each is a variable that the client reads."""
    # Not the token itself: arguments of a process are seen by all users of the machine.
    for flag, variable, told in reversed(_ACCESS):
        command = click.option(
            flag,
            type=click.Path(),
            envvar=variable,
            show_envvar=True,
            expose_value=False,
            callback=_say,
            help=told,
        )(command)
    return command


def protocol(help_text: str, *more: str) -> Callable[[Command], Command]:
    """Return the option of how moments are matched with judged ones; more: further protocols."""
    kinds = click.Choice(["spr", "tvr-ranking", *more])
    return click.option("--protocol", type=kinds, default="spr", show_default=True, help=help_text)
