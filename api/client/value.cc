// SPDX-License-Identifier: Apache-2.0
#include "api/client/value.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model/json_codec.h"

namespace cvlan::client {

namespace {

Result<Value> from_json(const model::Json& json) {
    using Type = model::Json::value_t;
    switch (json.type()) {
        case Type::boolean:
            return Value{json.get<bool>()};
        case Type::number_integer:
        case Type::number_unsigned:
            return Value{json.get<int64_t>()};
        case Type::string:
            return Value{json.get<std::string>()};
        case Type::null:
            return Value{};
        case Type::array: {
            Value::List list;
            for (const model::Json& item : json) {
                auto value = from_json(item);
                if (!value) return value;
                list.push_back(std::move(*value));
            }
            return Value{std::move(list)};
        }
        case Type::object: {
            Value::Object object;
            for (const auto& [name, item] : json.items()) {
                auto value = from_json(item);
                if (!value) return value;
                object.push_back({name, std::move(*value)});
            }
            return Value{std::move(object)};
        }
        default:
            return fail(Code::Malformed, "a number that is no whole one");
    }
}

model::JsonOut to_json(const Value& value) {
    if (const auto* list = value.list()) {
        model::JsonOut json = model::JsonOut::array();
        for (const Value& item : *list) json.push_back(to_json(item));
        return json;
    }
    if (const auto* members = value.members()) {
        model::JsonOut json = model::JsonOut::object();
        for (const Member& member : *members) json[member.name] = to_json(member.value);
        return json;
    }
    if (const bool* flag = std::get_if<bool>(&value.held)) return *flag;
    if (const int64_t* number = std::get_if<int64_t>(&value.held)) return *number;
    if (const std::string* text = std::get_if<std::string>(&value.held)) return *text;
    return nullptr;
}

}  // namespace

Value Value::text(std::string_view text) { return {std::string(text)}; }

Value Value::object() { return {Object{}}; }

bool Value::operator==(const Value& other) const { return held == other.held; }

const Value* Value::find(std::string_view name) const {
    const Object* all = members();
    if (!all) return nullptr;
    const auto found =
        std::find_if(all->begin(), all->end(), [&](const Member& m) { return m.name == name; });
    return found == all->end() ? nullptr : &found->value;
}

const std::string& Value::text_of(std::string_view name) const {
    static const std::string nothing;
    const Value* value = find(name);
    const std::string* text = value ? std::get_if<std::string>(&value->held) : nullptr;
    return text ? *text : nothing;
}

void Value::set(std::string_view name, Value value) {
    auto& all = std::get<Object>(held);
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Member& m) { return m.name == name; });
    if (found != all.end())
        found->value = std::move(value);
    else
        all.push_back({std::string(name), std::move(value)});
}

void Value::drop(std::string_view name) {
    auto& all = std::get<Object>(held);
    std::erase_if(all, [&](const Member& member) { return member.name == name; });
}

Result<Value> parse_value(std::string_view json) {
    model::Json parsed;
    if (auto read = model::parse_document(json, model::kDocument, parsed); !read)
        return failed(read.error());
    return from_json(parsed);
}

std::string encode(const Value& value) {
    return to_json(value).dump(-1, ' ', false, model::JsonOut::error_handler_t::replace);
}

}  // namespace cvlan::client
