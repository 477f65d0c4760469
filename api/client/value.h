// SPDX-License-Identifier: Apache-2.0
#pragma once

// A JSON value of which only the table of resources knows the shape. What has a type in
// model/wire.h is better read as that.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace cvlan::client {

struct Member;

struct Value {
    using List = std::vector<Value>;
    using Object = std::vector<Member>;  // in the order of writing
    std::variant<std::monostate, bool, int64_t, std::string, List, Object> held;

    static Value text(std::string_view text);
    static Value object();

    bool is_null() const { return std::holds_alternative<std::monostate>(held); }
    const List* list() const { return std::get_if<List>(&held); }
    const Object* members() const { return std::get_if<Object>(&held); }
    // Of an object; nullptr where it has no such member, or is none.
    const Value* find(std::string_view name) const;
    // Of an object's member that is text; otherwise "".
    const std::string& text_of(std::string_view name) const;
    void set(std::string_view name, Value value);
    void drop(std::string_view name);

    bool operator==(const Value& other) const;
};

struct Member {
    std::string name;
    Value value;

    bool operator==(const Member& other) const = default;
};

// Malformed where it is no JSON, or holds a number that is no whole one.
Result<Value> parse_value(std::string_view json);
std::string encode(const Value& value);

}  // namespace cvlan::client
