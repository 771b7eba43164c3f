"""How a modality announces itself, without importing torch."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError

from unite_core.config import Section
from unite_core.errors import ConfigurationError, nearest

if TYPE_CHECKING:
    from unite_core.modality import Modality

GROUP = "unite.modalities"
INTERFACE_VERSION = 1


@dataclass(frozen=True)
class Plugin:
    """What a package registers under `[project.entry-points."unite.modalities"]`.

    `interface_version` is the number of the interface that the plug-in was written for: a literal,
    since INTERFACE_VERSION would always fit. `implementation` is "module:Class" and is imported
    only when the modality is used, so that configurations are checked before torch is loaded.
    `suffixes` are the endings of files that the modality reads, `writes` of those it writes,
    `archives` of those that keep samples whole, to be scored later. `recipes` holds YAML files,
    `weights` directories made by `save_pretrained`. `packages` are the distributions whose versions
    its scores depend on. `sample_options` is the schema of what `unite sample` takes for it.
    `trained_for` names the keys of `config` that weights depend on, all that these hold included:
    `unite evaluate` refuses to change them. `converters` name formats of other programs' weights,
    each with the "module:function" that takes the paths of such weights and of the model directory
    to make of them.
    """

    name: str
    interface_version: int
    config: type[BaseModel]
    implementation: str
    suffixes: tuple[str, ...]
    writes: tuple[str, ...]
    archives: tuple[str, ...]
    recipes: Path
    weights: Path
    packages: tuple[str, ...] = ()
    sample_options: type[BaseModel] = Section
    trained_for: tuple[str, ...] = ()
    converters: Mapping[str, str] = field(default_factory=dict, hash=False)

    def load(self) -> "type[Modality]":
        """The modality's class; ConfigurationError where it cannot be imported."""
        modality: type[Modality] = imported(self.implementation)
        return modality

    def converter(self, name: str) -> Callable[[Path, Path], None]:
        """The function of a format in `converters`; ConfigurationError as `load`'s."""
        function: Callable[[Path, Path], None] = imported(self.converters[name])
        return function


def imported(target: str) -> Any:
    """What "module:name" stands for, or "module:name.name" as entry points may say it.

    ConfigurationError with the failing line of its package.
    """
    module, _, path = (part.strip() for part in target.partition("[")[0].partition(":"))
    try:
        return reduce(getattr, path.split("."), import_module(module))
    except (Exception, SystemExit) as error:  # whatever a stranger's module raises
        place = failing_line(error, module)
        raise ConfigurationError(f"{target} does not load: {error!r}{place}") from error


def failing_line(error: BaseException, module: str) -> str:
    """ " at FILE:LINE", the innermost one in the module's package; empty where there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" at {error.filename}:{error.lineno}"
    package = module.partition(".")[0]
    spec = find_spec(package) if package else None
    if spec is None or spec.origin is None:
        return ""
    own = spec.submodule_search_locations or [spec.origin]
    frames = [
        frame
        for frame in extract_tb(error.__traceback__)
        if any(Path(frame.filename).is_relative_to(path) for path in own)
    ]
    return f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def names() -> list[str]:
    """Every announced modality, importable or not."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def announced(name: str) -> EntryPoint:
    """The entry point of that name; ConfigurationError where there is none, or several packages
    have one.
    """
    found = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if not found:
        raise ConfigurationError(f"no modality named {name!r}{nearest(name, names())}")
    if len(found) > 1:
        packages = " and ".join(sorted(f"{package_of(entry)} ({entry.value})" for entry in found))
        raise ConfigurationError(
            f"modality {name!r} is announced by {packages}: uninstall all of them but one"
        )
    return found[0]


def package_of(entry: EntryPoint) -> str:
    """Name and version of the distribution that announces it."""
    return "?" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"


def load_plugin(name: str) -> Plugin:
    """The plug-in of that name; ConfigurationError where there is none or it does not fit."""
    entry = announced(name)
    plugin = imported(entry.value)
    said = f"modality {name!r} of {package_of(entry)}"
    if not isinstance(plugin, Plugin):
        raise ConfigurationError(f"{said}: {entry.value} is {plugin!r}, not a unite_core Plugin")
    wrong = misfits(plugin)
    if "interface_version" not in wrong and plugin.interface_version != INTERFACE_VERSION:
        newer = plugin.interface_version > INTERFACE_VERSION
        raise ConfigurationError(
            f"{said} is written for plug-in interface {plugin.interface_version}, "
            f"this unite-core speaks {INTERFACE_VERSION}: "
            f"update {'unite-core' if newer else package_of(entry).partition(' ')[0]}"
        )
    if wrong:
        raise ConfigurationError(f"{said} does not fit: {'; '.join(wrong.values())}")
    if plugin.name != name:
        raise ConfigurationError(
            f"{said} calls itself {plugin.name!r}: entry point and Plugin(name=...) must agree"
        )
    return plugin


def misfits(plugin: Plugin) -> dict[str, str]:
    """The fields whose values are of other types than they should be, each with its fault."""
    found: dict[str, str] = {}
    for name, kind in get_type_hints(Plugin).items():
        value = getattr(plugin, name)
        try:
            TypeAdapter(kind).validate_python(value, strict=True)
        except ValidationError as error:
            found[name] = f"Plugin({name}={value!r}), {error.errors()[0]['msg']}"
    return found


def working_plugins() -> Iterator[tuple[str, Plugin | ConfigurationError]]:
    """Each announced modality with its plug-in, or with the error that keeps it from loading."""
    for name in names():
        try:
            yield name, load_plugin(name)
        except ConfigurationError as error:  # a broken plug-in must not break the others
            yield name, error


def usable_plugins() -> list[Plugin]:
    """Those of the announced modalities that load."""
    return [plugin for _, plugin in working_plugins() if isinstance(plugin, Plugin)]


def only_plugin() -> Plugin:
    """The one modality that works here; ConfigurationError where there are several or none."""
    plugins = usable_plugins()
    if len(plugins) != 1:
        found = ", ".join(plugin.name for plugin in plugins) or "none"
        raise ConfigurationError(f"name the modality with --modality; installed: {found}")
    return plugins[0]


def plugin_for(path: Path, modality: str | None = None) -> Plugin:
    """The modality that reads files with this ending, of those that work or the one named.

    ConfigurationError where it is not one.
    """
    plugins = usable_plugins() if modality is None else [load_plugin(modality)]
    readers = [plugin for plugin in plugins if path.suffix.lower() in plugin.suffixes]
    if len(readers) == 1:
        return readers[0]
    if readers:
        readers_named = ", ".join(plugin.name for plugin in readers)
        raise ConfigurationError(
            f"more than one modality reads {path.suffix} files: {readers_named}; "
            "name it with --modality"
        )
    known = [suffix for plugin in plugins for suffix in plugin.suffixes]
    raise ConfigurationError(
        f"cannot read {path}: unknown ending {path.suffix!r}{nearest(path.suffix, known)}"
    )


def read_suffixes() -> set[str]:
    """The endings of files that some modality reads."""
    return {suffix for plugin in usable_plugins() for suffix in plugin.suffixes}


def plugin_converting(name: str) -> Plugin:
    """The modality that converts weights of this format; ConfigurationError where it is not one."""
    plugins = usable_plugins()
    able = [plugin for plugin in plugins if name in plugin.converters]
    if len(able) == 1:
        return able[0]
    if able:
        named = ", ".join(plugin.name for plugin in able)
        raise ConfigurationError(f"more than one modality converts format {name!r}: {named}")
    known = [known for plugin in plugins for known in plugin.converters]
    raise ConfigurationError(f"no format {name!r}{nearest(name, known)}")
