"""RFC 6902, strictly: what does not fit raises PatchError, as in the API server, which then refuses
the Pod."""
import copy
import re


class PatchError(Exception):
    pass


def parts_of(pointer):
    """The reference tokens of a JSON Pointer (RFC 6901)."""
    if pointer == "":
        return []
    if not pointer.startswith("/") or re.search(r"~(?![01])", pointer):
        raise PatchError(f"no JSON Pointer: {pointer!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def index_of(array, part, end):
    """An index into an array; `end` is the first one that is too large."""
    if not re.fullmatch(r"0|[1-9][0-9]*", part) or int(part) >= end:
        raise PatchError(f"no index of {len(array)} elements: {part!r}")
    return int(part)


def get(document, parts):
    for part in parts:
        if isinstance(document, list):
            document = document[index_of(document, part, len(document))]
        elif isinstance(document, dict) and part in document:
            document = document[part]
        else:
            raise PatchError(f"nothing at {part!r} of {parts}")
    return document


def remove(document, parts):
    if not parts:
        raise PatchError("the whole document cannot be removed")
    get(document, parts)
    parent = get(document, parts[:-1])
    return parent.pop(int(parts[-1]) if isinstance(parent, list) else parts[-1])


def add(document, parts, value):
    """The document with the value in it."""
    if not parts:
        return value
    parent, last = get(document, parts[:-1]), parts[-1]
    if isinstance(parent, list):
        at = len(parent) if last == "-" else index_of(parent, last, len(parent) + 1)
        parent.insert(at, value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise PatchError(f"{parts[:-1]} is neither object nor array")
    return document


def apply(document, operations):
    """A changed copy."""
    document = copy.deepcopy(document)
    for operation in operations:
        name, path = operation["op"], parts_of(operation["path"])
        if name in ("add", "replace", "test"):
            value = copy.deepcopy(operation["value"])
        elif name in ("move", "copy"):
            value = copy.deepcopy(get(document, parts_of(operation["from"])))
        elif name != "remove":
            raise PatchError(f"no operation: {name!r}")
        if name == "test":
            if get(document, path) != value:
                raise PatchError(f"test failed at {operation['path']}")
            continue
        if name == "move":
            remove(document, parts_of(operation["from"]))
        if name == "remove" or name == "replace" and path:
            remove(document, path)
        if name != "remove":
            document = add(document, path, value)
    return document
