#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes C++ types, strict decoders and encoders from an OpenAPI description.

generate.py SPEC.yaml FOLDER NAME writes FOLDER/NAME.h and FOLDER/NAME.cc, in namespace
cvlan::model::NAME. It knows just what our descriptions use and stops at anything else:
objects, string enums, string (plain, uuid, date-time, byte, int64), integer, boolean, array, $ref, and
`type: [X, "null"]`. What begins with x-cvlan- is for generate_resources.py. A field which is not required is a std::optional (a
list: empty, unless it says x-may-be-absent).
"""
import re
import sys
from pathlib import Path

import yaml

KNOWN = {"type", "format", "description", "minimum", "maximum", "maxLength", "maxItems", "items", "$ref", "default", "x-may-be-absent"}


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.lower().split("_"))


class Field:
    def __init__(self, owner: str, name: str, schema: dict, required: bool):
        unknown = {key for key in schema if not key.startswith("x-cvlan-")} - KNOWN
        if unknown:
            sys.exit(f"{owner}.{name}: {unknown} is not understood by generate.py")
        self.name, self.required, self.schema = name, required, schema
        types = schema.get("type")
        self.nullable = isinstance(types, list) and "null" in types
        self.is_list = types == "array"
        self.is_optional_list = self.is_list and schema.get("x-may-be-absent", False)
        self.item = schema["items"] if self.is_list else schema
        self.cpp = self.cpp_type(owner)

    def base_type(self) -> str:
        types = self.item.get("type")
        return next(t for t in types if t != "null") if isinstance(types, list) else types

    def cpp_type(self, owner: str) -> str:
        if "$ref" in self.item:
            return self.item["$ref"].rsplit("/", 1)[1]
        by_format = {"byte": "Bytes", "date-time": "WallTime", "int64": "int64_t"}
        kinds = {"string": by_format.get(self.item.get("format"), "std::string"), "integer": "int64_t", "boolean": "bool"}
        kind = kinds.get(self.base_type())
        if kind is None:
            sys.exit(f"{owner}.{self.name}: type {self.item.get('type')} is not understood by generate.py")
        return kind

    @property
    def is_int64_text(self) -> bool:
        return self.item.get("format") == "int64"

    @property
    def member_type(self) -> str:
        if self.is_list:
            return f"std::optional<std::vector<{self.cpp}>>" if self.is_optional_list else f"std::vector<{self.cpp}>"
        return self.cpp if self.required and not self.nullable else f"std::optional<{self.cpp}>"

    def rule(self) -> str:
        parts = []
        form = {"uuid": "Uuid", "int64": "Int64"}.get(self.item.get("format"))
        if form:
            parts.append(f".form = Rule::Form::{form}")
        for key, name in (("minimum", "lowest"), ("maximum", "highest"), ("maxLength", "max_length")):
            if key in self.item:
                parts.append(f".{name} = {self.item[key]}")
        if "maxItems" in self.schema:
            parts.append(f".max_items = {self.schema['maxItems']}")
        return "{" + ", ".join(parts) + "}"

    def declaration(self) -> str:
        value = {"int64_t": " = 0", "bool": " = false", "WallTime": "{}"}.get(self.member_type, "")
        if self.member_type == self.cpp and "$ref" in self.item:
            value = "{}"
        return f"    {self.member_type} {snake(self.name)}{value};"

    def read(self) -> str:
        how = "nullable" if self.nullable else "required" if self.required else "optional"
        return f'    object.{how}("{self.name}", {self.rule()}, out.{snake(self.name)});'

    def write(self) -> list[str]:
        member = f"value.{snake(self.name)}"
        is_type = "$ref" in self.item
        if self.is_list:
            if self.is_optional_list:
                member = f"*{member}"
            if is_type:
                body = [f'write_list(json, "{self.name}", {member});']
            else:
                body = [f'write_field(json, "{self.name}", {member});']
            if self.is_optional_list:
                return [f"if ({member[1:]}) {body[0]}"]
            return body if self.required else [f"if (!{member}.empty()) {body[0]}"]
        held = member if self.member_type == self.cpp else f"*{member}"
        if is_type:
            text = f'json["{self.name}"] = to_json({held});'
        elif self.is_int64_text:
            text = f'write_int64(json, "{self.name}", {held});'
        else:
            text = f'write_field(json, "{self.name}", {held});'
        if held == member:
            return [text]
        lines = [f"if ({member}) {text}"]
        if self.nullable and self.required:
            lines.append(f'else write_null(json, "{self.name}");')
        return lines


def in_order(schemas: dict) -> list[str]:
    """Types after those they hold by value."""
    done: list[str] = []

    def visit(name: str):
        if name in done:
            return
        for schema in schemas[name].get("properties", {}).values():
            ref = schema.get("$ref") or schema.get("items", {}).get("$ref")
            if ref:
                visit(ref.rsplit("/", 1)[1])
        done.append(name)

    for name in schemas:
        visit(name)
    return done


def comment(schema: dict, indent: str) -> list[str]:
    text = schema.get("description", "").strip()
    return [f"{indent}// {line}" for line in text.splitlines()] if text else []


def enum_parts(name: str, schema: dict) -> tuple[list[str], list[str]]:
    values = schema["enum"]
    head = [f"enum class {name} {{ {', '.join(pascal(v) for v in values)} }};", f"std::string_view text({name} value);", ""]
    names = ", ".join(f'"{v}"' for v in values)
    body = [f"constexpr const char* k{name}Names[] = {{{names}}};", "",
            f"std::string_view text({name} value) {{ return k{name}Names[static_cast<size_t>(value)]; }}",
            f"static std::string to_json({name} value) {{ return std::string(text(value)); }}",
            f"static void read_type(JsonContext& context, const Json& json, {name}& out) {{",
            f"    out = static_cast<{name}>(read_enum(context, json, k{name}Names));", "}", ""]
    return head, body


def struct_parts(name: str, schema: dict) -> tuple[list[str], list[str]]:
    required = set(schema.get("required", []))
    fields = [Field(name, key, value, key in required) for key, value in schema.get("properties", {}).items()]
    missing = required - {f.name for f in fields}
    if missing:
        sys.exit(f"{name}: required {missing} is no property")
    head = [*comment(schema, ""), f"struct {name} {{"]
    for field in fields:
        head += [*comment(field.schema, "    "), field.declaration()]
    head += ["};", f"Result<void> decode_into(std::string_view text, const JsonLimits& limits, {name}& out);",
             f"std::string encode(const {name}& value);", ""]
    body = [f"static void read_type(JsonContext& context, const Json& json, {name}& out) {{",
            "    ObjectIn object(context, json);", *[f.read() for f in fields], "    object.done();", "}",
            f"static JsonOut to_json([[maybe_unused]] const {name}& value) {{", "    JsonOut json = JsonOut::object();"]
    for field in fields:
        body += [f"    {line}" for line in field.write()]
    body += ["    return json;", "}",
             f"Result<void> decode_into(std::string_view text, const JsonLimits& limits, {name}& out) {{",
             "    return decode_document(text, limits, out);", "}",
             f"std::string encode(const {name}& value) {{ return dump(to_json(value)); }}", ""]
    return head, body


def write(path: Path, text: str) -> None:
    """Only where it changes: half of the tree is compiled anew for a newer wire.h."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def main() -> None:
    spec_path, folder, module = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    schemas = yaml.safe_load(spec_path.read_text())["components"]["schemas"]
    head = [f"// SPDX-License-Identifier: Apache-2.0", f"// Generated from api/{spec_path.name} by api/generate.py. Do not edit.", "#pragma once", "",
            "#include <optional>", "#include <string>", "#include <string_view>", "#include <vector>", "",
            '#include "base/bytes.h"', '#include "base/clock.h"', '#include "model/json.h"', "", f"namespace cvlan::model::{module} {{", ""]
    body = [f"// Generated from api/{spec_path.name} by api/generate.py. Do not edit.",
            f'#include "model/{module}.h"', "", "#include <nlohmann/json.hpp>", "", '#include "model/json_codec.h"', "", f"namespace cvlan::model::{module} {{", "",
            "template <class T>", "static Result<void> decode_document(std::string_view text, const JsonLimits& limits, T& out) {",
            "    Json json;", "    if (auto parsed = parse_document(text, limits, json); !parsed) return parsed;",
            "    JsonContext context{limits, {}, {}};", "    read_type(context, json, out);",
            "    if (context.error) return failed(*context.error);", "    return {};", "}", "",
            "[[maybe_unused]] static std::string dump(const JsonOut& json) {", "    return json.dump(-1, ' ', false, JsonOut::error_handler_t::replace);", "}", "",
            "template <class T>", "[[maybe_unused]] static void write_list(JsonOut& object, const char* name, const std::vector<T>& values) {",
            "    JsonOut list = JsonOut::array();", "    for (const T& value : values) list.push_back(to_json(value));", "    object[name] = std::move(list);", "}", ""]
    for name in in_order(schemas):
        parts = enum_parts if "enum" in schemas[name] else struct_parts
        more_head, more_body = parts(name, schemas[name])
        head += more_head
        body += more_body
    end = f"}}  // namespace cvlan::model::{module}\n"
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / f"{module}.h", "\n".join([*head, end]))
    write(folder / f"{module}.cc", "\n".join([*body, end]))


main()
