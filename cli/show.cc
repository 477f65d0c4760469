// SPDX-License-Identifier: Apache-2.0
#include "cli/show.h"

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "cli/output.h"

namespace cvlan::cli {

using client::Field;
using client::FieldType;
using client::Resource;
using client::Value;

namespace {

constexpr size_t kWidestCell = 48;

// "LAST SEEN AT".
std::string heading(const Field& field) {
    std::string out = words_of(client::display_name(field), ' ');
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return out;
}

// Ids of other objects as their names, in lists and nested objects too.
Value named(const Field& field, const Value& value, Catalogue& catalogue,
            const std::string& tenant_id) {
    if (const auto* list = value.list()) {
        Value::List out;
        for (const Value& item : *list) out.push_back(named(field, item, catalogue, tenant_id));
        return {std::move(out)};
    }
    if (value.members()) {
        Value out = Value::object();
        for (const Field& inner : field.fields)
            if (const Value* held = value.find(inner.name))
                out.set(client::display_name(inner), named(inner, *held, catalogue, tenant_id));
        return out;
    }
    const std::string* text = std::get_if<std::string>(&value.held);
    if (!text || field.refers_to.empty()) return value;
    return Value::text(catalogue.name_of(field.refers_to, tenant_id, *text));
}

Value as_manifest(const Found& found, Catalogue& catalogue) {
    const Resource& resource = *found.resource;
    const std::string& tenant_id = found.object.text_of("tenantId");
    Value out = Value::object();
    out.set("kind", Value::text(resource.kind));
    for (const Field& field : resource.shown)
        if (const Value* value = found.object.find(field.name))
            out.set(client::display_name(field), named(field, *value, catalogue, tenant_id));
    return out;
}

std::string cell_text(const Field& field, const Value& value) {
    if (const bool* flag = std::get_if<bool>(&value.held)) return *flag ? "yes" : "no";
    if (const int64_t* number = std::get_if<int64_t>(&value.held)) return std::to_string(*number);
    if (const auto* list = value.list()) {
        std::vector<std::string> parts;
        for (const Value& item : *list) parts.push_back(cell_text(field, item));
        return join(parts);
    }
    if (value.members()) {
        std::vector<std::string> parts;
        for (const client::Member& member : *value.members())
            parts.push_back(member.name + " " + cell_text(field, member.value));
        return join(parts);
    }
    const std::string* text = std::get_if<std::string>(&value.held);
    if (!text) return "";
    if (field.type == FieldType::Time)
        if (const auto time = from_rfc3339(*text)) return time_text(*time);
    return *text;
}

std::string cell(const Field& field, const Value& manifest) {
    const Value* value = manifest.find(client::display_name(field));
    return value ? cell_text(field, *value) : "";
}

std::string shortened(const std::string& text) {
    if (text.size() <= kWidestCell) return text;
    size_t end = kWidestCell - 3;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    return text.substr(0, end) + "...";
}

// The name, the tenant, plain fields, and the id last. Columns without a value are left out.
std::vector<const Field*> columns_of(const Resource& resource, bool with_tenant,
                                     const std::vector<Value>& manifests) {
    std::vector<const Field*> out;
    if (const Field* key = client::find_field(resource.shown, resource.key)) out.push_back(key);
    const Field* tenant = client::find_field(resource.shown, "tenantId");
    if (tenant && (with_tenant || resource.is_single())) out.push_back(tenant);
    static const std::set<std::string_view> kLeftOut{"id", "tenantId", "revision", "description"};
    for (const Field& field : resource.shown)
        if (field.name != resource.key && !kLeftOut.contains(field.name) &&
            field.type != FieldType::Object)
            out.push_back(&field);
    const Field* id = client::find_field(resource.shown, "id");
    if (id && resource.key != "id") out.push_back(id);
    std::erase_if(out, [&](const Field* field) {
        return std::all_of(manifests.begin(), manifests.end(),
                           [&](const Value& one) { return cell(*field, one).empty(); });
    });
    return out;
}

void print_kind(Io& io, const Resource& resource, const std::vector<Value>& manifests,
                const Layout& layout) {
    const auto columns = columns_of(resource, layout.with_tenant, manifests);
    Row header;
    for (const Field* field : columns) header.push_back(heading(*field));
    std::vector<Row> rows;
    for (const Value& manifest : manifests) {
        Row row;
        for (const Field* field : columns) {
            const std::string text = cell(*field, manifest);
            row.push_back(text.empty() ? "-" : shortened(text));
        }
        if (layout.kinds.size() > 1 && !row.empty())
            row[0] = fmt::format("{}/{}", resource.kind, row[0]);
        rows.push_back(std::move(row));
    }
    print_table(io, header, rows);
}

void print_names(Io& io, const std::vector<Found>& found, const Layout& layout) {
    for (const Found& one : found) {
        const std::string& name = one.object.text_of(one.resource->key);
        const bool with_kind = layout.kinds.size() > 1 || one.resource->is_single();
        const std::string kind(with_kind ? one.resource->kind : "");
        io.out << printable(kind + (with_kind ? "/" : "") + name) << '\n';
    }
}

void print_tables(Io& io, const std::vector<Found>& found, const std::vector<Value>& manifests,
                  const Layout& layout) {
    bool is_first = true;
    for (const Resource* resource : layout.kinds) {
        std::vector<Value> of_kind;
        for (size_t i = 0; i < found.size(); ++i)
            if (found[i].resource == resource) of_kind.push_back(manifests[i]);
        if (of_kind.empty() && layout.leaves_out) continue;
        if (!is_first) io.out << '\n';
        is_first = false;
        print_kind(io, *resource, of_kind, layout);
    }
}

void print_one(Io& io, const Resource& resource, const Value& manifest) {
    std::vector<std::pair<std::string, std::string>> fields;
    for (const Field& field : resource.shown) {
        std::string name = words_of(client::display_name(field), ' ');
        name.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(name.front())));
        fields.emplace_back(std::move(name), cell(field, manifest));
    }
    print_fields(io, fields);
}

}  // namespace

std::string words_of(std::string_view name, char between) {
    std::string out;
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isupper(byte)) out += between;
        out += static_cast<char>(std::tolower(byte));
    }
    return out;
}

void print_found(const Args& args, Io& io, const std::vector<Found>& found, const Layout& layout,
                 Catalogue& catalogue) {
    if (args.output == Output::Name) return print_names(io, found, layout);
    std::vector<Value> manifests;
    for (const Found& one : found) manifests.push_back(as_manifest(one, catalogue));
    if (args.output == Output::Table && layout.is_one)
        return print_one(io, *found.front().resource, manifests.front());
    if (args.output == Output::Table) return print_tables(io, found, manifests, layout);
    if (args.output == Output::Json) {
        const Value document = layout.is_one ? manifests.front() : Value{Value::List(manifests)};
        print_document(args, io, encode(document));
        return;
    }
    for (const Value& manifest : manifests) {
        if (&manifest != &manifests.front()) io.out << "---\n";
        print_document(args, io, encode(manifest));
    }
}

}  // namespace cvlan::cli
