// SPDX-License-Identifier: Apache-2.0
#include "cli/changes.h"

#include <algorithm>
#include <optional>

#include "base/bytes.h"
#include "base/clock.h"

namespace cvlan::cli {

namespace {

using client::Field;
using client::FieldType;
using client::Value;

constexpr size_t kBrief = 60;

const std::string* text_in(const Value& value) { return std::get_if<std::string>(&value.held); }

// Turns each reference in `value` by `turn`, in objects and lists too.
using Turn = std::function<std::string(std::string_view kind, const std::string& text)>;
Value turned(const Field& field, const Value& value, const Turn& turn) {
    if (const auto* list = value.list()) {
        Value::List out;
        for (const Value& item : *list) out.push_back(turned(field, item, turn));
        return {std::move(out)};
    }
    if (const auto* members = value.members()) {
        Value out = Value::object();
        for (const client::Member& member : *members) {
            const Field* inner = client::find_field(field.fields, member.name);
            out.set(member.name, inner ? turned(*inner, member.value, turn) : member.value);
        }
        return out;
    }
    const std::string* text = text_in(value);
    if (!text || field.refers_to.empty()) return value;
    return Value::text(turn(field.refers_to, *text));
}

// Nothing, "", [], {} and false are one: the API leaves out what is empty.
bool is_empty(const Value& value) {
    if (value.is_null()) return true;
    if (const bool* flag = std::get_if<bool>(&value.held)) return !*flag;
    if (const auto* list = value.list()) return list->empty();
    if (const auto* members = value.members())
        return std::all_of(members->begin(), members->end(),
                           [](const client::Member& member) { return is_empty(member.value); });
    const std::string* text = text_in(value);
    return text && text->empty();
}

bool same(const Field& field, const Value& a, const Value& b);

bool same_objects(const Field& field, const Value& a, const Value& b) {
    return std::all_of(field.fields.begin(), field.fields.end(), [&](const Field& inner) {
        const Value *left = a.find(inner.name), *right = b.find(inner.name);
        return same(inner, left ? *left : Value{}, right ? *right : Value{});
    });
}

// References and boxed lists are sets; of any other list the order may mean something.
bool same_lists(const Field& field, Value::List a, Value::List b) {
    if (!field.refers_to.empty() || !field.box.empty()) {
        const auto by_text = [](const Value& left, const Value& right) {
            return encode(left) < encode(right);
        };
        std::sort(a.begin(), a.end(), by_text);
        std::sort(b.begin(), b.end(), by_text);
    }
    return std::equal(
        a.begin(), a.end(), b.begin(), b.end(),
        [&](const Value& left, const Value& right) { return same(field, left, right); });
}

bool same(const Field& field, const Value& a, const Value& b) {
    if (is_empty(a) || is_empty(b)) return is_empty(a) && is_empty(b);
    if (a.list() && b.list()) return same_lists(field, *a.list(), *b.list());
    if (a.members() && b.members()) return same_objects(field, a, b);
    const std::string *left = text_in(a), *right = text_in(b);
    if (field.type == FieldType::Time && left && right) {
        const auto then = from_rfc3339(*left), now = from_rfc3339(*right);
        return then && now && *then == *now;
    }
    return a == b;
}

bool is_word(const Value& value, std::string_view word) {
    const std::string* text = text_in(value);
    return text && !word.empty() && *text == word;
}

// What a request sends for a field; nullopt: it is left out.
Result<std::optional<Value>> sent(const Field& field, const Value& value, const Names& names,
                                  bool leaves_out) {
    if (value.is_null() && leaves_out) return std::optional<Value>();
    Value out = turned(field, value, names.id_of);
    if (value.is_null()) {
        if (field.is_list)
            out = {Value::List{}};
        else if (field.type == FieldType::Object)
            out = Value::object();
        else if (field.type == FieldType::Text && field.refers_to.empty() && field.words.empty())
            out = Value::text(field.none_word);
        else
            return fail(Code::Invalid, "{}: the API can not empty it", field.name);
    }
    if (field.box.empty()) return std::optional(std::move(out));
    Value box = Value::object();
    box.set(field.box, std::move(out));
    return std::optional(std::move(box));
}

std::string_view sign(Change::What what) {
    switch (what) {
        case Change::What::Create:
            return "+";
        case Change::What::Update:
            return "~";
        case Change::What::Delete:
            return "-";
        default:
            return "=";
    }
}

}  // namespace

std::string Change::name() const {
    if (tenant.empty() || key.empty()) return tenant + key;
    return tenant + "/" + key;
}

void each_reference(const Field& field, const Value& value, const SeeReference& see) {
    turned(field, value, [&](std::string_view kind, const std::string& name) {
        see(kind, name);
        return name;
    });
}

bool is_comparable(const Given& given) {
    if (!given.shown) return false;
    const Field &asked = given.field(), &shown = *given.shown;
    return asked.is_list == shown.is_list && asked.type == shown.type;
}

Result<std::vector<FieldChange>> differences(const Manifest& manifest, const Value& seen,
                                             const Names& names) {
    std::vector<FieldChange> out;
    for (const Given& given : manifest.fields) {
        const Field& field = given.field();
        if (!is_comparable(given) || is_word(given.value, field.auto_word)) continue;
        const Value* shown = seen.find(given.shown->name);
        const Value before = shown ? *shown : Value{};
        const bool is_none = is_word(given.value, field.none_word);
        const Value wished = is_none ? Value{} : turned(field, given.value, names.id_of);
        if (same(field, wished, before)) continue;
        FieldChange change{&given, turned(field, before, names.name_of),
                           turned(field, given.value, names.name_of)};
        if (!given.update)
            return fail(
                Code::Invalid, "{}: {} can not become {}: it is set when a {} is made and stays",
                given.name(), brief(change.before), brief(change.after), manifest.resource->kind);
        out.push_back(std::move(change));
    }
    return out;
}

Result<Value> create_body(const Change& change, const Names& names) {
    Value body = Value::object();
    for (const Given& given : change.manifest->fields) {
        if (!given.create) continue;
        auto value = sent(*given.create, given.value, names, true);
        if (!value) return failed(value.error());
        if (*value) body.set(given.create->name, std::move(**value));
    }
    const Field* tenant = client::find_field(change.resource->create.fields, "tenantId");
    if (tenant && !change.tenant_id.empty()) body.set("tenantId", Value::text(change.tenant_id));
    return body;
}

Result<Value> update_body(const Change& change, const Names& names) {
    Value body = Value::object();
    const client::Operation& update = change.resource->update;
    const bool replaces = update.replaces();
    if (replaces) {
        // What the file does not speak of stays as it is.
        for (const Field& field : update.fields) {
            const Value* now = change.seen.find(field.name);
            if (!now || now->is_null()) continue;
            auto value = sent(field, *now, names, true);
            if (value && *value) body.set(field.name, std::move(**value));
        }
    }
    for (const FieldChange& field : change.fields) {
        auto value = sent(*field.given->update, field.given->value, names, replaces);
        if (!value) return failed(value.error());
        if (*value)
            body.set(field.given->update->name, std::move(**value));
        else
            body.drop(field.given->update->name);
    }
    return body;
}

std::string brief(const Value& value) {
    std::string text;
    if (const std::string* plain = text_in(value))
        text = plain->empty() ? "\"\"" : *plain;
    else
        text = value.is_null() ? "none" : encode(value);
    text = printable(text);
    if (text.size() <= kBrief) return text;
    size_t end = kBrief - 3;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    return text.substr(0, end) + "...";
}

std::string text(const Change& change) {
    std::string line =
        fmt::format("{} {} {}", sign(change.what), change.resource->kind, printable(change.name()));
    const char* between = ": ";
    for (const FieldChange& field : change.fields) {
        line += fmt::format("{}{} ", between, field.given->name());
        if (change.what == Change::What::Update) line += brief(field.before) + " → ";
        line += brief(field.after);
        between = ", ";
    }
    return line;
}

Value to_value(const Change& change) {
    static const char* const kNames[] = {"NOTHING", "CREATE", "UPDATE", "DELETE"};
    Value out = Value::object();
    out.set("action", Value::text(kNames[static_cast<size_t>(change.what)]));
    out.set("kind", Value::text(change.resource->kind));
    out.set("name", Value::text(change.name()));
    Value::List fields;
    for (const FieldChange& field : change.fields) {
        Value one = Value::object();
        one.set("field", Value::text(field.given->name()));
        one.set("before", field.before);
        one.set("after", field.after);
        fields.push_back(std::move(one));
    }
    out.set("fields", {std::move(fields)});
    return out;
}

}  // namespace cvlan::cli
