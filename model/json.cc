// SPDX-License-Identifier: Apache-2.0
#include "model/json.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "model/json_codec.h"

namespace cvlan::model {

namespace {

constexpr size_t kMaxDepth = 32;

// Builds the document while it checks what nlohmann's own DOM parser lets pass.
class StrictSax {
public:
    StrictSax(Json& root, size_t max_values) : dom_(root, false), max_values_(max_values) {}

    bool null() { return value() && dom_.null(); }
    bool boolean(bool v) { return value() && dom_.boolean(v); }
    bool number_integer(int64_t v) {
        // A number without a minus sign arrives as unsigned: this zero was written "-0".
        if (v == 0) return refuse("-0 is out of range");
        return value() && dom_.number_integer(v);
    }
    bool number_unsigned(uint64_t v) {
        if (v > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
            return refuse("a number is out of range");
        return value() && dom_.number_integer(static_cast<int64_t>(v));
    }
    bool number_float(double v, const std::string& text) {
        return value() && dom_.number_float(v, text);
    }
    bool string(std::string& v) { return value() && no_nul(v) && dom_.string(v); }
    bool binary(Json::binary_t& v) { return dom_.binary(v); }
    bool start_object(size_t n) {
        keys_.emplace_back();
        return value() && deeper() && dom_.start_object(n);
    }
    bool key(std::string& v) {
        if (!keys_.back().insert(v).second)
            return refuse(fmt::format("duplicate key {}", printable(v.substr(0, 64))));
        return no_nul(v) && dom_.key(v);
    }
    bool end_object() {
        keys_.pop_back();
        --depth_;
        return dom_.end_object();
    }
    bool start_array(size_t n) { return value() && deeper() && dom_.start_array(n); }
    bool end_array() {
        --depth_;
        return dom_.end_array();
    }
    bool parse_error(size_t offset, const std::string&, const nlohmann::detail::exception& error) {
        // The library's text repeats the input; the offset is enough and leaks nothing.
        const bool range = error.id >= 400 && error.id < 500;
        return refuse(fmt::format("offset {}: {}", offset,
                                  range ? "a number is out of range" : "syntax error"));
    }
    const std::string& why() const { return why_; }

private:
    bool refuse(std::string why) {
        if (why_.empty()) why_ = std::move(why);
        return false;
    }
    bool value() { return ++values_ <= max_values_ || refuse("too many values"); }
    bool deeper() {
        return ++depth_ <= kMaxDepth || refuse(fmt::format("deeper than {} levels", kMaxDepth));
    }
    bool no_nul(const std::string& text) {
        return text.find('\0') == std::string::npos || refuse("a NUL in a string");
    }

    nlohmann::detail::json_sax_dom_parser<Json> dom_;
    size_t max_values_;
    size_t values_ = 0;
    size_t depth_ = 0;
    std::vector<std::set<std::string>> keys_;
    std::string why_;
};

}  // namespace

Result<void> parse_document(std::string_view text, const JsonLimits& limits, Json& out) {
    if (text.starts_with("\xEF\xBB\xBF"))
        return fail(Code::Invalid, "json: offset 0: a byte order mark");
    StrictSax sax(out, limits.max_values);
    if (Json::sax_parse(text.begin(), text.end(), &sax)) return {};
    return fail(Code::Invalid, "json: {}", sax.why().empty() ? "syntax error" : sax.why());
}

void JsonContext::refuse(std::string_view why) {
    if (error) return;
    std::string pointer;
    for (const std::string& part : path) {
        pointer += '/';
        for (char c : part) pointer += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    }
    error =
        Error{Code::Invalid, fmt::format("{}: {}", pointer.empty() ? "document" : pointer, why)};
    error->pointer = pointer;
}

void read_value(JsonContext& context, const Json& json, const Rule& rule, std::string& out) {
    const auto* text = json.get_ptr<const std::string*>();
    if (!text) return context.refuse("must be a string");
    if (text->size() > rule.max_length)
        return context.refuse(fmt::format("longer than {} bytes", rule.max_length));
    if (rule.form == Rule::Form::Uuid && !is_uuid(*text)) return context.refuse("must be a UUID");
    out = *text;
}

void read_value(JsonContext& context, const Json& json, const Rule& rule, int64_t& out) {
    int64_t value = 0;
    if (rule.form == Rule::Form::Int64) {
        const auto* text = json.get_ptr<const std::string*>();
        if (!text) return context.refuse("must be a string of digits (int64)");
        const char* end = text->data() + text->size();
        const auto [stop, error] = std::from_chars(text->data(), end, value);
        if (text->empty() || error != std::errc() || stop != end)
            return context.refuse("out of range: must be a whole number of 64 bits");
    } else {
        if (!json.is_number_integer())
            return context.refuse("out of range: must be a whole number");
        value = json.get<int64_t>();
    }
    if (value < rule.lowest || value > rule.highest)
        return context.refuse(
            fmt::format("out of range: must be from {} to {}", rule.lowest, rule.highest));
    out = value;
}

void read_value(JsonContext& context, const Json& json, const Rule&, bool& out) {
    if (!json.is_boolean()) return context.refuse("must be true or false");
    out = json.get<bool>();
}

void read_value(JsonContext& context, const Json& json, const Rule&, Bytes& out) {
    const auto* text = json.get_ptr<const std::string*>();
    if (!text) return context.refuse("must be a string of base64");
    auto bytes = from_base64(*text);
    if (!bytes) return context.refuse(bytes.error().message);
    out = std::move(*bytes);
}

void read_value(JsonContext& context, const Json& json, const Rule&, WallTime& out) {
    const auto* text = json.get_ptr<const std::string*>();
    if (!text) return context.refuse("must be an RFC 3339 time");
    auto time = from_rfc3339(*text);
    if (!time) return context.refuse(time.error().message);
    out = *time;
}

size_t read_enum(JsonContext& context, const Json& json, std::span<const char* const> names) {
    const auto* text = json.get_ptr<const std::string*>();
    for (size_t i = 0; text && i < names.size(); ++i)
        if (*text == names[i]) return i;
    context.refuse(fmt::format("must be one of {}", fmt::join(names, ", ")));
    return 0;
}

ObjectIn::ObjectIn(JsonContext& context, const Json& json) : context_(context) {
    if (json.is_object())
        json_ = &json;
    else
        context.refuse("must be an object");
}

const Json* ObjectIn::find(const char* name, bool is_required) {
    known_.emplace_back(name);
    if (!json_ || context_.error) return nullptr;
    const auto field = json_->find(name);
    if (field != json_->end()) return &*field;
    if (is_required) {
        context_.path.emplace_back(name);
        context_.refuse("is required");
    }
    return nullptr;
}

void ObjectIn::done() {
    if (!json_ || context_.error || context_.limits.unknown == Unknown::Ignore) return;
    for (const auto& [name, value] : json_->items()) {
        if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
        context_.path.push_back(printable(name.substr(0, 64)));
        return context_.refuse("unknown field");
    }
}

bool ObjectIn::is_null(const Json& json) { return json.is_null(); }

size_t ObjectIn::array_size(JsonContext& context, const Json& json, const Rule& rule) {
    if (!json.is_array()) {
        context.refuse("must be a list");
        return 0;
    }
    if (json.size() <= rule.max_items) return json.size();
    context.refuse(fmt::format("more than {} elements", rule.max_items));
    return 0;
}

const Json& ObjectIn::element(const Json& json, size_t index) { return json[index]; }

void write_field(JsonOut& object, const char* name, const std::string& value) {
    object[name] = value;
}
void write_field(JsonOut& object, const char* name, bool value) { object[name] = value; }
void write_field(JsonOut& object, const char* name, int64_t value) { object[name] = value; }
void write_int64(JsonOut& object, const char* name, int64_t value) {
    object[name] = std::to_string(value);
}
void write_field(JsonOut& object, const char* name, const Bytes& value) {
    object[name] = base64(value);
}
void write_field(JsonOut& object, const char* name, WallTime value) {
    object[name] = rfc3339(value);
}
void write_field(JsonOut& object, const char* name, const std::vector<std::string>& value) {
    object[name] = value;
}
void write_null(JsonOut& object, const char* name) { object[name] = nullptr; }

}  // namespace cvlan::model
