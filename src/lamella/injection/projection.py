"""What a value shows of itself as its declared type: that type's fields, and no others.

Floor 5. Whatever a value holds beyond what is declared, as an instance of a subclass does, a dict
with more keys, or an object of an ORM, stays behind at every depth. The outcome consists of dicts,
lists and whatever else msgspec can encode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, get_args, get_origin

import msgspec

from lamella.exceptions import StackError
from lamella.injection._invalid import Invalid, invalid, placed
from lamella.injection.adapted import pydantic_objects
from lamella.injection.fit import converter, fitting, items_of, known_to_msgspec
from lamella.injection.outline import (
    ARRAYS,
    MAPPINGS,
    Field,
    Outline,
    bare,
    class_of,
    equals_default,
    holds,
    is_alias,
    is_default,
    members,
    outline_of,
)
from lamella.injection.selection import ResponseOptions, narrowed, narrowed_to_items

__all__ = ["holds_classes", "projector"]

Project = Callable[[Any], Any]

_NOTHINGS: Final = (type(None), msgspec.UnsetType)


def projector(annotation: Any, options: ResponseOptions) -> Project:
    """Compile what turns a value into what it shows of itself as its declared type.

    Args:
        annotation: the type; msgspec's, with pydantic's within it or without.
        options: what is left out besides.

    Returns:
        A function of the value. It raises ``Invalid`` if the value does not fit.

    Raises:
        StackError: a type or an option that has no meaning here.
    """
    return _Compiler(options).node(annotation, options.include, options.exclude)


def holds_classes(annotation: Any) -> bool:
    """Whether a class with fields is in a type."""
    return holds(annotation, lambda found: class_of(found) is not None)


class _Step(NamedTuple):
    """How one field is projected.

    Attributes:
        name: of the attribute.
        key: in the outcome.
        project: what projects its value; None: the value stays.
        goes: whether a value is left out; None: no value is.
        unset: whether a value counts as one that nobody set; None: no value does.
    """

    name: str
    key: str
    project: Project | None
    goes: Callable[[Any], bool] | None
    unset: Callable[[Any], bool] | None


class _Compiler:
    """Makes a function for each type within a type; of a class that holds itself, only one."""

    def __init__(self, options: ResponseOptions) -> None:
        self.options = options
        self.made: dict[Any, Project] = {}

    def node(self, annotation: Any, include: Any = None, exclude: Any = None) -> Project:
        """Make what projects any value that is returned for a type."""
        if is_alias(annotation) and include is None and exclude is None:
            return self.of_alias(annotation)
        found = bare(annotation)
        if class_of(found) is not None:
            return self.of_class(found, include, exclude)
        chosen = include is not None or exclude is not None
        if not (chosen or holds_classes(found)) and known_to_msgspec(found):
            return fitting(annotation)
        origin, args = get_origin(found) or found, get_args(found)
        if members(found):
            return self.of_union(args, include, exclude)
        if origin in ARRAYS:
            return self.of_array(args, include, exclude)
        if origin in MAPPINGS:
            return self.of_mapping(args or (Any, Any), include, exclude)
        return fitting(annotation)

    def of_alias(self, annotation: Any) -> Project:
        """Make what projects what is returned for the name of a type, which may hold itself."""
        if annotation not in self.made:
            made: list[Project] = []  # filled below
            self.made[annotation] = lambda value: made[0](value)  # noqa: PLW0108 - not there yet
            made.append(self.node(bare(annotation)))
        return self.made[annotation]

    def of_class(self, annotation: Any, include: Any, exclude: Any) -> Project:
        """Make what projects what is returned for a class with fields."""
        whole = include is None and exclude is None
        if whole and annotation in self.made:
            return self.made[annotation]
        outline = outline_of(annotation)
        if outline.kind == "pydantic":
            options = self.options._replace(include=include, exclude=exclude)
            return pydantic_objects(annotation, options)
        if outline.is_array and not whole:
            raise StackError(
                f"Expected no include and no exclude for {outline.cls.__name__}, which is written"
                " as an array: the places of its fields would change."
            )
        steps: list[_Step] = []  # filled below: a field may be of this very class
        project = _maker(outline)(annotation, outline, steps)
        if whole:
            self.made[annotation] = project
        steps += self.steps(outline, include, exclude)
        return project

    def steps(self, outline: Outline, include: Any, exclude: Any) -> Iterable[_Step]:
        """Tell how each field is projected that is not left out altogether."""
        for field in outline.fields:
            kept, within, without = narrowed(field.name, include, exclude)
            if not kept:
                continue
            project = None
            if within is not None or without is not None or holds_classes(field.annotation):
                project = self.node(field.annotation, within, without)
            key = field.key if self.options.by_alias else field.name
            goes = self.goes(field, outline)
            unset = equals_default(field) if self.options.exclude_unset else None
            yield _Step(field.name, key, project, goes, unset)

    def goes(self, field: Field, outline: Outline) -> Callable[[Any], bool] | None:
        """Make what tells whether a value of a field is left out."""
        reasons: list[Callable[[Any], bool]] = []
        if self.options.exclude_none:
            reasons.append(_is_none)
        default = equals_default(field) if self.options.exclude_defaults else None
        if default is None and outline.omits_defaults:
            default = is_default(field)
        if default is not None:
            reasons.append(default)
        if len(reasons) < 2:
            return reasons[0] if reasons else None
        return lambda value: any(reason(value) for reason in reasons)

    def of_array(self, args: tuple[Any, ...], include: Any, exclude: Any) -> Project:
        """Make what projects a list, or whatever else has items."""
        within, without = narrowed_to_items(include, exclude)
        if len(args) > 1 and args[-1] is not Ellipsis:
            return _of_tuple([self.node(arg, within, without) for arg in args])
        project = self.node(args[0] if args else Any, within, without)

        def project_items(value: Any) -> list[Any]:
            found: list[Any] = []
            items = items_of(value)
            try:
                for item in items:
                    found.append(project(item))  # noqa: PERF401
            except Invalid as exc:
                raise Invalid(placed(exc.errors, len(found))) from None
            return found

        return project_items

    def of_mapping(self, args: tuple[Any, ...], include: Any, exclude: Any) -> Project:
        """Make what projects a dict."""
        fit_key = fitting(args[0])
        names = {*(include or ()), *(exclude or ())} - {"__all__"}
        named = {name: self.item(args[1], name, include, exclude) for name in names}
        other = self.item(args[1], "__all__", include, exclude)

        def project_values(value: Any) -> dict[Any, Any]:
            if not isinstance(value, Mapping):
                raise invalid("dict_type", "Input should be a valid dictionary", value)
            found: dict[Any, Any] = {}
            mapping: Mapping[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
            for key, item in mapping.items():
                project = named.get(key, other)
                if project is None:
                    continue
                try:
                    found[fit_key(key)] = project(item)
                except Invalid as exc:
                    raise Invalid(placed(exc.errors, key)) from None
            return found

        return project_values

    def item(self, annotation: Any, name: Any, include: Any, exclude: Any) -> Project | None:
        """Make what projects the value of a key; None for one that is left out."""
        kept, within, without = narrowed(name, include, exclude)
        return self.node(annotation, within, without) if kept else None

    def of_union(self, within: tuple[Any, ...], include: Any, exclude: Any) -> Project:
        """Make what projects what fits one of several types.

        An instance is taken for the nearest of its classes. Else that type is taken which the value
        fits as it is, then the class that has most of the keys of a dict, then any that it fits.
        """
        classes = {cls: one for one in within if (cls := class_of(one)) is not None}
        made = {cls: self.node(one, include, exclude) for cls, one in classes.items()}
        keys = {cls: {f.key for f in outline_of(one).fields} for cls, one in classes.items()}
        others = [one for one in within if class_of(one) is None and one not in _NOTHINGS]
        plain = [one for one in others if not holds_classes(one) and known_to_msgspec(one)]
        exact = [fitting(one, strict=True) for one in plain]
        loose = [self.node(one, include, exclude) for one in others]
        nullable = type(None) in within

        def project_member(value: Any) -> Any:
            if value is None and nullable:
                return None
            for cls in type(value).__mro__:
                if cls in made:
                    return made[cls](value)
            ways = list(made)
            if isinstance(value, Mapping):
                ways.sort(key=lambda cls: -len(keys[cls] & value.keys()))
            return _first_fit([*exact, *(made[cls] for cls in ways), *loose], value)

        return project_member


def _maker(outline: Outline) -> Callable[[Any, Outline, list[_Step]], Project]:
    if outline.is_array:
        return _of_array_like
    return _of_typed_dict if outline.kind == "typed dict" else _of_object


def _of_object(annotation: Any, outline: Outline, steps: list[_Step]) -> Project:
    """Make what projects an instance, or what can become one: a dict, an object."""
    cls, tag = outline.cls, outline.tag
    convert = converter(annotation)
    unset = msgspec.UNSET

    def project_fields(value: Any) -> dict[str, Any]:
        source, given = value, None
        if not isinstance(value, cls):
            source = convert(value)
            given = _keys(value)
        found: dict[str, Any] = {} if tag is None else {tag[0]: tag[1]}
        for name, key, project, goes, is_unset in steps:
            item = getattr(source, name, unset)
            if item is unset or (goes is not None and goes(item)):
                continue
            if is_unset is not None and (is_unset(item) if given is None else key not in given):
                continue
            found[key] = item if project is None else _projected(name, project, item)
        return found

    return project_fields


def _keys(value: Any) -> Any:
    """The keys of a dict, which are the fields that are set; None of anything else."""
    mapping: Any = value
    return mapping.keys() if isinstance(value, Mapping) else None


def _of_array_like(annotation: Any, outline: Outline, steps: list[_Step]) -> Project:
    """Make what projects an instance that is written as an array: all its fields, in order."""
    cls, tag = outline.cls, outline.tag
    convert = converter(annotation)

    def project_places(value: Any) -> list[Any]:
        source = value if isinstance(value, cls) else convert(value)
        found: list[Any] = [] if tag is None else [tag[1]]
        for name, _, project, _, _ in steps:
            item = getattr(source, name)
            found.append(item if project is None else _projected(name, project, item))
        return found

    return project_places


def _of_typed_dict(annotation: Any, outline: Outline, steps: list[_Step]) -> Project:
    """Make what projects a dict: the keys that are declared."""
    convert = converter(annotation)

    def project_keys(value: Any) -> dict[str, Any]:
        source = convert(value)
        found: dict[str, Any] = {}
        for name, key, project, goes, _ in steps:
            if name not in source or (goes is not None and goes(source[name])):
                continue
            item = source[name]
            found[key] = item if project is None else _projected(name, project, item)
        return found

    return project_keys


def _projected(name: str | int, project: Project, item: Any) -> Any:
    """Project the value of a field, and say of what does not fit which field it is."""
    try:
        return project(item)
    except Invalid as exc:
        raise Invalid(placed(exc.errors, name)) from None


def _of_tuple(projects: list[Project]) -> Project:
    """Make what projects a tuple of fixed length."""

    def project_places(value: Any) -> list[Any]:
        items = list(items_of(value))
        if len(items) != len(projects):
            msg = f"Input should be a tuple of {len(projects)} items"
            raise invalid("tuple_type", msg, value)
        places = enumerate(zip(projects, items, strict=True))
        return [_projected(place, project, item) for place, (project, item) in places]

    return project_places


def _first_fit(ways: list[Project], value: Any) -> Any:
    """What the first of several makes of a value that can."""
    errors: list[dict[str, Any]] = []
    for project in ways:
        try:
            return project(value)
        except Invalid as exc:
            errors += exc.errors
    raise Invalid(errors)


def _is_none(value: Any) -> bool:
    return value is None
