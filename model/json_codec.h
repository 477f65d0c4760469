// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the generated readers and writers call. Only they include it. One JsonContext a document
// keeps the first error; every reader after it does nothing, so generated code stays straight.

#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "model/json.h"

namespace cvlan::model {

using Json = nlohmann::json;
using JsonOut = nlohmann::ordered_json;

// What the description says of a field beyond its type.
struct Rule {
    enum class Form { Plain, Uuid, Int64 } form = Form::Plain;
    int64_t lowest = std::numeric_limits<int64_t>::min();
    int64_t highest = std::numeric_limits<int64_t>::max();
    size_t max_length = 65536;  // bytes of a string
    size_t max_items = 100000;
};

struct JsonContext {
    JsonLimits limits;
    std::vector<std::string> path;
    std::optional<Error> error;

    void refuse(std::string_view why);
};

Result<void> parse_document(std::string_view text, const JsonLimits& limits, Json& out);

void read_value(JsonContext& context, const Json& json, const Rule& rule, std::string& out);
void read_value(JsonContext& context, const Json& json, const Rule& rule, int64_t& out);
void read_value(JsonContext& context, const Json& json, const Rule& rule, bool& out);
void read_value(JsonContext& context, const Json& json, const Rule& rule, Bytes& out);
void read_value(JsonContext& context, const Json& json, const Rule& rule, WallTime& out);
// The index of the string in `names`, or an error that lists them.
size_t read_enum(JsonContext& context, const Json& json, std::span<const char* const> names);

// Walks one object: each field once, then done().
class ObjectIn {
public:
    ObjectIn(JsonContext& context, const Json& json);

    template <class T>
    void required(const char* name, const Rule& rule, T& out) {
        if (const Json* field = find(name, true)) read_field(name, *field, rule, out);
    }
    template <class T>
    void optional(const char* name, const Rule& rule, std::optional<T>& out) {
        if (const Json* field = find(name, false)) read_field(name, *field, rule, out.emplace());
    }
    template <class T>
    void optional(const char* name, const Rule& rule, std::vector<T>& out) {
        if (const Json* field = find(name, false)) read_field(name, *field, rule, out);
    }
    // Present, but null stands for nothing.
    template <class T>
    void nullable(const char* name, const Rule& rule, std::optional<T>& out) {
        const Json* field = find(name, true);
        if (field && !is_null(*field)) read_field(name, *field, rule, out.emplace());
    }
    void done();

private:
    const Json* find(const char* name, bool is_required);
    static bool is_null(const Json& json);
    static size_t array_size(JsonContext& context, const Json& json, const Rule& rule);
    static const Json& element(const Json& json, size_t index);

    template <class T>
    void read_field(const char* name, const Json& json, const Rule& rule, T& out) {
        context_.path.emplace_back(name);
        read_any(json, rule, out);
        if (!context_.error) context_.path.pop_back();
    }
    template <class T>
    void read_any(const Json& json, const Rule& rule, T& out) {
        if constexpr (requires { read_value(context_, json, rule, out); })
            read_value(context_, json, rule, out);
        else
            read_type(context_, json, out);  // generated
    }
    template <class T>
    requires(!std::is_same_v<std::vector<T>, Bytes>) void read_any(const Json& json,
                                                                   const Rule& rule,
                                                                   std::vector<T>& out) {
        out.resize(array_size(context_, json, rule));
        for (size_t i = 0; i < out.size() && !context_.error; ++i) {
            context_.path.push_back(std::to_string(i));
            read_any(element(json, i), rule, out[i]);
            if (!context_.error) context_.path.pop_back();
        }
    }

    JsonContext& context_;
    const Json* json_ = nullptr;
    std::vector<std::string_view> known_;
};

void write_field(JsonOut& object, const char* name, const std::string& value);
void write_field(JsonOut& object, const char* name, bool value);
void write_field(JsonOut& object, const char* name, int64_t value);
void write_int64(JsonOut& object, const char* name, int64_t value);  // proto3: as a string
void write_field(JsonOut& object, const char* name, const Bytes& value);
void write_field(JsonOut& object, const char* name, WallTime value);
void write_field(JsonOut& object, const char* name, const std::vector<std::string>& value);
void write_null(JsonOut& object, const char* name);

}  // namespace cvlan::model
