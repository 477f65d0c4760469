#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the table of api/client/resources.h from api/openapi.yaml.

generate_resources.py SPEC.yaml FILE.cc writes a row for each noun of the API: a path /api/v1/<nouns> with a GET that
lists objects (and mostly an item path /{id}), or one that shows a document of which a tenant has just one and PUT or
PATCH changes. What a description can not say by itself is said by extensions:

  x-cvlan-key    of a collection: the field that names an object where that is not `name`
  x-cvlan-key-as of a collection: the field of a request to create one that becomes its key
  x-cvlan-above-tenants  of a collection: some of its objects lie above all tenants
  x-cvlan-warning        of an action: what somebody who asks for it should know before
  x-cvlan-kind   of a field: the kind whose id it holds, where its own name does not tell ("nodeId", "ownerUserIds")
  x-cvlan-auto   of a field: the word that leaves the value to the controller ("auto")
  x-cvlan-command  of a collection: the words of its commands, where they are not its kind ("ipsec connection")
  x-cvlan-file     of a field: its flag names a file that holds the value; `secret`: its owner's alone, and its bytes are sent
  x-cvlan-none   of a field: the word that stands for no value ("none")
"""
import json
import re
import sys
from pathlib import Path

import yaml

COLLECTION = re.compile(r"^/api/v1/[A-Za-z-]+$")


def kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"-\1", name).lower()


def camel(kind: str) -> str:
    head, *rest = kind.split("-")
    return head + "".join(part.capitalize() for part in rest)


def text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


class Spec:
    def __init__(self, document: dict):
        self.paths = document["paths"]
        self.components = document["components"]

    def deref(self, node: dict) -> dict:
        while "$ref" in node:
            _, _, group, name = node["$ref"].split("/")
            node = self.components[group][name]
        return node

    def answer(self, operation: dict) -> dict:
        """The schema of the first answer of 2xx that has one."""
        for status, response in operation.get("responses", {}).items():
            content = self.deref(response).get("content", {}).get("application/json")
            if status.startswith("2") and content:
                return self.deref(content["schema"])
        return {}

    def body(self, operation: dict) -> dict:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        return self.deref(content["schema"]) if content else {}

    def parameters(self, *nodes: dict) -> dict[str, dict]:
        found = [self.deref(p) for node in nodes for p in node.get("parameters", [])]
        return {p["name"]: p for p in found if p["in"] != "path"}


def listed(spec: Spec, schema: dict) -> tuple[str, dict]:
    """The property of a page that holds its objects, and the schema of one."""
    for name, field in schema.get("properties", {}).items():
        if field.get("type") == "array" and "$ref" in field["items"]:
            return name, spec.deref(field["items"])
    return "", {}


def kind_of(operation: dict, verb: str) -> str:
    name = operation["operationId"]
    if not name.startswith(verb):
        sys.exit(f"{name}: the operation of a noun begins with '{verb}'")
    return kebab(name[len(verb):])


def singular(plural: str) -> str:
    return plural[:-3] + "y" if plural.endswith("ies") else plural.removesuffix("s")


class Writer:
    """Arrays of the table, each made once, before those that point to it."""

    def __init__(self, spec: Spec, kinds: list[str]):
        self.spec, self.kinds, self.lines, self.made = spec, kinds, [], {}
        self.aliases: dict[str, str] = {}  # of the resource that is being written

    def array(self, cpp_type: str, rows: list[str]) -> str:
        if not rows:
            return "{}"
        key = (cpp_type, *rows)
        if key not in self.made:
            self.made[key] = f"k{len(self.made)}"
            self.lines += [f"constexpr {cpp_type} {self.made[key]}[] = {{", *[f"    {row}," for row in rows], "};"]
        return self.made[key]

    def kind_named(self, name: str, schema: dict) -> str:
        """networkId -> network, ownerUserIds -> user; "" where the field is no reference."""
        item = schema.get("items", schema)
        if "x-cvlan-kind" in schema:
            return schema["x-cvlan-kind"]
        stem = re.sub(r"Ids?$", "", name)
        if stem == name or item.get("format") != "uuid":
            return ""
        fitting = [k for k in self.kinds if stem == camel(k) or stem.endswith(camel(k)[0].upper() + camel(k)[1:])]
        return max(fitting, key=len, default="")

    def field(self, owner: dict, name: str, schema: dict, shown: dict | None) -> str:
        parts = [f".name = {text(name)}"]
        given = self.spec.deref(schema)
        is_list = given.get("type") == "array"
        item = self.spec.deref(given["items"]) if is_list else given
        box = self.box_of(item, (shown or {}).get(name, {}))
        if box:
            parts.append(f".box = {text(box)}")
            is_list, item = True, self.spec.deref(item["properties"][box]["items"])
        if is_list:
            parts.append(".is_list = true")
        if name in owner.get("required", []):
            parts.append(".is_required = true")
        parts += self.type_parts(item)
        if refers_to := self.kind_named(name, given):
            parts.append(f".refers_to = {text(refers_to)}")
            alias = re.sub(r"Id(s?)$", r"\1", name)
            if alias not in owner.get("properties", {}):
                parts.append(f".alias = {text(alias)}")
        elif name in self.aliases:
            parts.append(f".alias = {text(self.aliases[name])}")
        if file := schema.get("x-cvlan-file"):
            parts.append(f".file = FileFlag::{file.capitalize()}")
        for extension in ("auto", "none"):
            if word := schema.get(f"x-cvlan-{extension}"):
                parts.append(f".{extension}_word = {text(word)}")
        if help_text := schema.get("description"):
            parts.append(f".help = {text(help_text.strip())}")
        return "{" + ", ".join(parts) + "}"

    def box_of(self, write: dict, shown: dict) -> str:
        """A list in an object of its own, so that an update can tell an empty list from none: {"names": []}."""
        properties = write.get("properties", {})
        if len(properties) == 1 and self.spec.deref(shown).get("type") == "array":
            (name, only), = properties.items()
            return name if only.get("type") == "array" else ""
        return ""

    def type_parts(self, item: dict) -> list[str]:
        kind = item.get("type")
        if isinstance(kind, list):
            kind = next(k for k in kind if k != "null")
        if "enum" in item:
            return [f".words = {self.array('std::string_view', [text(w) for w in item['enum']])}"]
        if "properties" in item or kind == "object":
            return [".type = FieldType::Object", f".fields = {self.fields(item)}"]
        if item.get("format") == "date-time":
            return [".type = FieldType::Time"]
        return {"integer": [".type = FieldType::Integer"], "boolean": [".type = FieldType::Boolean"]}.get(kind, [])

    def fields(self, schema: dict, shown: dict | None = None) -> str:
        return self.array("Field", [self.field(schema, name, field, shown)
                                    for name, field in schema.get("properties", {}).items()])

    def made_in(self, node: dict, shown: dict) -> str:
        """The property of an answer to a request to create an object that holds it, beside what is shown once."""
        answer = self.spec.answer(node.get("post", {}))
        return next((name for name, field in answer.get("properties", {}).items() if self.spec.deref(field) is shown), "")

    def operation(self, path: dict, method: str, shown: dict) -> str:
        operation = path.get(method)
        if operation is None:
            return "{}"
        parameters = self.spec.parameters(path, operation)
        parts = [f".method = {text(method.upper())}", f".fields = {self.fields(self.spec.body(operation), shown)}"]
        if "validateOnly" in parameters:
            parts.append(".validates = true")
        if "If-Match" in parameters:
            parts.append(".matches = true")
        if summary := operation.get("summary"):
            parts.append(f".help = {text(summary)}")
        return "{" + ", ".join(parts) + "}"

    def actions(self, item_path: str, shown: dict) -> str:
        rows = []
        for path, node in self.spec.paths.items():
            verb = path.removeprefix(item_path + "/")
            if verb == path or "/" in verb or "post" not in node:
                continue
            summary = node["post"].get("summary", f"{kebab(verb)} it")
            warning = node["post"].get("x-cvlan-warning", "")
            rows.append(f"{{.verb = {text(kebab(verb))}, .path = {text('/' + verb)}, .warning = {text(warning)}, "
                        f".operation = {self.operation(node, 'post', shown)}, .help = {text(summary)}}}")
        return self.array("Action", rows)

    def filters(self, parameters: dict[str, dict]) -> str:
        paging = {"tenant", "orderBy", "pageSize", "pageToken"}
        rows = []
        for name, parameter in parameters.items():
            if name in paging:
                continue
            parts = [f".name = {text(name)}", *self.type_parts(self.spec.deref(parameter["schema"]))]
            if name in self.kinds and parameter["schema"].get("format") == "uuid":
                parts.append(f".refers_to = {text(name)}")
            if "description" in parameter:
                parts.append(f".help = {text(parameter['description'])}")
            rows.append("{" + ", ".join(parts) + "}")
        return self.array("Field", rows)

    def resource(self, path: str) -> str:
        node, item_path = self.spec.paths[path], path + "/{id}"
        item = self.spec.paths.get(item_path, {})
        answer = self.spec.answer(node["get"])
        items, shown = listed(self.spec, answer)
        is_single = not items
        shown = answer if is_single else shown
        # The kind of an account is said by its noun.
        properties = {name: field for name, field in shown.get("properties", {}).items() if name != "kind"}
        parameters = self.spec.parameters(node, node["get"])
        change = node if is_single else item
        key = node.get("x-cvlan-key", "name" if "name" in properties else "id" if "id" in properties else "")
        kind = kind_of_path(self.spec, path)
        key_as = node.get("x-cvlan-key-as", "")
        self.aliases = {key: key_as, key_as: key} if key_as else {}
        command = node.get("x-cvlan-command", kind)
        parts = [f".kind = {text(kind)}", f".command = {text(command)}", f".plural = {text(kebab(path.rsplit('/', 1)[1]))}", f".path = {text(path)}",
                 f".items = {text(items)}", f".key = {text('' if is_single else key)}"]
        for name, is_true in (("has_item", "get" in item), ("in_tenant", "tenant" in parameters),
                              ("above_tenants", node.get("x-cvlan-above-tenants", False)),
                              ("pages", "pageToken" in parameters), ("filters_by_key", key in parameters)):
            if is_true:
                parts.append(f".{name} = true")
        if made_in := self.made_in(node, shown):
            parts.append(f".made_in = {text(made_in)}")
        if "orderBy" in parameters:
            words = self.spec.deref(parameters["orderBy"]["schema"]).get("enum", [])
            parts += [".orders = true", f".orders_by = {self.array('std::string_view', [text(w) for w in words])}"]
        update = next((m for m in ("patch", "put") if m in change), "patch")
        parts += [f".filters = {self.filters(parameters)}", f".shown = {self.fields({**shown, 'properties': properties})}",
                  f".create = {self.operation({} if is_single else node, 'post', properties)}",
                  f".update = {self.operation(change, update, properties)}",
                  f".remove = {self.operation(item, 'delete', properties)}",
                  f".actions = {self.actions(item_path, properties)}"]
        return "{" + ", ".join(parts) + "}"


def is_resource(spec: Spec, path: str) -> bool:
    node = spec.paths[path]
    if not COLLECTION.match(path) or "get" not in node:
        return False
    return bool(listed(spec, spec.answer(node["get"]))[0]) or "put" in node or "patch" in node


def kind_of_path(spec: Spec, path: str) -> str:
    item = spec.paths.get(path + "/{id}", {})
    if "get" in item:
        return kind_of(item["get"], "get")
    operation = spec.paths[path]["get"]["operationId"]
    return kind_of(spec.paths[path]["get"], "get") if operation.startswith("get") else singular(
        kind_of(spec.paths[path]["get"], "list"))


def main() -> None:
    spec_path, out = Path(sys.argv[1]), Path(sys.argv[2])
    spec = Spec(yaml.safe_load(spec_path.read_text()))
    paths = [path for path in spec.paths if is_resource(spec, path)]
    writer = Writer(spec, [kind_of_path(spec, path) for path in paths])
    rows = [writer.resource(path) for path in paths]
    table = ["constexpr Resource kResources[] = {", *[f"    {row}," for row in rows], "};"]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join([
        "// SPDX-License-Identifier: Apache-2.0",
        f"// Generated from api/{spec_path.name} by api/generate_resources.py. Do not edit.",
        '#include "api/client/resources.h"', "", "namespace cvlan::client {", "", *writer.lines, *table, "",
        "std::span<const Resource> resources() { return kResources; }", "", "}  // namespace cvlan::client", ""]))


main()
