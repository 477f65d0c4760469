// SPDX-License-Identifier: Apache-2.0
// get: any noun of the API, by the table of resources. As YAML and JSON an object has the form that
// apply takes: its kind, its fields, and names where the API has ids.
#include <set>

#include "base/bytes.h"
#include "cli/catalogue.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"

namespace cvlan::cli {

using client::Field;
using client::FieldType;
using client::Resource;
using client::Value;

namespace {

constexpr size_t kWidestCell = 48;

struct Found {
    const Resource* resource = nullptr;
    Value object;
};

struct Asked {
    std::vector<const Resource*> kinds;
    std::string tenant_id;  // empty: all
    bool is_everything = false;
};

std::string_view display_name(const Field& field) {
    return field.alias.empty() ? field.name : field.alias;
}

// "lastSeenAt" as the head of a column: "LAST SEEN AT".
std::string heading(std::string_view name) {
    std::string out;
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isupper(byte)) out += ' ';
        out += static_cast<char>(std::toupper(byte));
    }
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
                out.set(display_name(inner), named(inner, *held, catalogue, tenant_id));
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
            out.set(display_name(field), named(field, *value, catalogue, tenant_id));
    return out;
}

std::string cell(const Field& field, const Value& manifest) {
    const Value* value = manifest.find(display_name(field));
    if (!value || value->is_null()) return "";
    std::string text;
    if (const auto* list = value->list()) {
        std::vector<std::string> parts;
        for (const Value& item : *list) parts.push_back(std::get<std::string>(item.held));
        text = join(parts);
    } else if (const bool* flag = std::get_if<bool>(&value->held)) {
        text = *flag ? "yes" : "no";
    } else if (const int64_t* number = std::get_if<int64_t>(&value->held)) {
        text = std::to_string(*number);
    } else if (const std::string* plain = std::get_if<std::string>(&value->held)) {
        const auto time =
            field.type == FieldType::Time ? from_rfc3339(*plain) : Result<WallTime>(WallTime{});
        text = field.type == FieldType::Time && time ? time_text(*time) : *plain;
    }
    if (text.size() <= kWidestCell) return text;
    size_t end = kWidestCell - 3;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    return text.substr(0, end) + "...";
}

// The name, the tenant where it was not said, plain fields, and the id last. Columns without a
// value are left out.
std::vector<const Field*> columns_of(const Resource& resource, bool with_tenant,
                                     const std::vector<Value>& manifests) {
    std::vector<const Field*> out;
    if (const Field* key = client::find_field(resource.shown, resource.key)) out.push_back(key);
    const Field* tenant = client::find_field(resource.shown, "tenantId");
    if (tenant && with_tenant) out.push_back(tenant);
    static const std::set<std::string_view> kLeftOut{"id", "tenantId", "revision", "description"};
    for (const Field& field : resource.shown)
        if (field.name != resource.key && !kLeftOut.contains(field.name) &&
            field.type != FieldType::Object && !(field.is_list && field.type != FieldType::Text))
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
                const Asked& asked) {
    const bool with_kind = asked.kinds.size() > 1;
    const auto columns = columns_of(resource, asked.tenant_id.empty(), manifests);
    Row header;
    for (const Field* field : columns) header.push_back(heading(display_name(*field)));
    std::vector<Row> rows;
    for (const Value& manifest : manifests) {
        Row row;
        for (const Field* field : columns) {
            const std::string text = cell(*field, manifest);
            row.push_back(text.empty() ? "-" : text);
        }
        if (with_kind && !row.empty()) row[0] = fmt::format("{}/{}", resource.kind, row[0]);
        rows.push_back(std::move(row));
    }
    print_table(io, header, rows);
}

void print_names(Io& io, const std::vector<Found>& found, const Asked& asked) {
    for (const Found& one : found) {
        const std::string name = one.object.text_of(one.resource->key);
        const std::string kind =
            asked.kinds.size() > 1 ? std::string(one.resource->kind) + "/" : std::string();
        io.out << printable(kind + name) << '\n';
    }
}

void print_tables(Io& io, const std::vector<Found>& found, const std::vector<Value>& manifests,
                  const Asked& asked) {
    bool is_first = true;
    for (const Resource* resource : asked.kinds) {
        std::vector<Value> of_kind;
        for (size_t i = 0; i < found.size(); ++i)
            if (found[i].resource == resource) of_kind.push_back(manifests[i]);
        if (of_kind.empty() && asked.is_everything) continue;
        if (!is_first) io.out << '\n';
        is_first = false;
        print_kind(io, *resource, of_kind, asked);
    }
}

void print_found(const Args& args, Io& io, const std::vector<Found>& found, const Asked& asked,
                 Catalogue& catalogue) {
    if (args.output == Output::Name) return print_names(io, found, asked);
    std::vector<Value> manifests;
    for (const Found& one : found) manifests.push_back(as_manifest(one, catalogue));
    if (args.output == Output::Table) return print_tables(io, found, manifests, asked);
    if (args.output == Output::Json) {
        const bool is_one = !args.name.empty() && manifests.size() == 1;
        const Value document = is_one ? manifests.front() : Value{Value::List(manifests)};
        print_document(args, io, encode(document));
        return;
    }
    for (const Value& manifest : manifests) {
        if (&manifest != &manifests.front()) io.out << "---\n";
        print_document(args, io, encode(manifest));
    }
}

Result<std::vector<const Resource*>> kinds_of(const std::string& words) {
    std::vector<const Resource*> out;
    std::vector<std::string_view> known;
    for (const Resource& one : client::resources()) known.push_back(one.plural);
    for (size_t at = 0; at <= words.size();) {
        const size_t comma = std::min(words.find(',', at), words.size());
        const std::string word = words.substr(at, comma - at);
        const Resource* resource = client::find_resource(word);
        if (!resource)
            return cvlan::fail(Code::Invalid, "there is no kind '{}'{}; there are {}", word,
                               client::suggestion(word, known), fmt::join(known, ", "));
        out.push_back(resource);
        at = comma + 1;
    }
    return out;
}

Result<Asked> read_asked(const Args& args, Catalogue& catalogue) {
    Asked asked;
    if (args.kind == "all") {
        asked.is_everything = true;
        for (const Resource& one : client::resources())
            if (one.has_item || one.is_single()) asked.kinds.push_back(&one);
    } else {
        auto kinds = kinds_of(args.kind);
        if (!kinds) return failed(kinds.error());
        asked.kinds = std::move(*kinds);
    }
    if (args.tenant.empty()) return asked;
    auto tenant = catalogue.find(*client::find_resource("tenant"), "", args.tenant);
    if (!tenant) return failed(tenant.error());
    if (!*tenant) return cvlan::fail(Code::NotFound, "no tenant has the name '{}'", args.tenant);
    asked.tenant_id = (*tenant)->text_of("id");
    return asked;
}

// "network=office" as the query takes it: with the network's id.
Result<std::pair<std::string, std::string>> read_filter(const std::string& text,
                                                        const Resource& resource,
                                                        const std::string& tenant_id,
                                                        Catalogue& catalogue) {
    const size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    const Field* filter = client::find_field(resource.filters, name);
    std::vector<std::string_view> known;
    for (const Field& one : resource.filters) known.push_back(one.name);
    if (!filter || equals == std::string::npos)
        return cvlan::fail(
            Code::Invalid, "--filter {}: {} take {}", text, resource.plural,
            known.empty() ? "no filter" : fmt::format("{}", fmt::join(known, "=…, ")) + "=…");
    std::string value = text.substr(equals + 1);
    const Resource* kind = client::find_resource(filter->refers_to);
    if (!kind || is_uuid(value)) return std::pair(name, value);
    auto found = catalogue.find(*kind, kind->in_tenant ? tenant_id : "", value);
    if (!found) return failed(found.error());
    if (!*found) return cvlan::fail(Code::NotFound, "no {} has the name '{}'", kind->kind, value);
    return std::pair(name, (*found)->text_of("id"));
}

Result<client::Listing> read_listing(const Args& args, const Resource& resource, const Asked& asked,
                                     Catalogue& catalogue) {
    client::Listing listing{.tenant = asked.tenant_id, .limit = args.limit};
    for (const std::string& text : args.filters) {
        auto filter = read_filter(text, resource, asked.tenant_id, catalogue);
        if (!filter) return failed(filter.error());
        listing.filters.push_back(std::move(*filter));
    }
    if (args.order_by.empty()) return listing;
    if (!resource.orders)
        return cvlan::fail(Code::Invalid, "--order-by: {} have one order alone", resource.plural);
    listing.order_by = args.order_by;
    return listing;
}

Result<std::vector<Value>> read_named(const Args& args, const Resource& resource,
                                      const Asked& asked, Catalogue& catalogue) {
    if (resource.has_item && (is_uuid(args.name) || !resource.has_name())) {
        auto one = catalogue.objects().get({resource, asked.tenant_id, args.name});
        if (!one) return failed(one.error());
        return std::vector<Value>{std::move(*one)};
    }
    if (resource.key.empty())
        return cvlan::fail(Code::Invalid, "{} have no names", resource.plural);
    client::Listing listing{.tenant = asked.tenant_id};
    if (resource.filters_by_key) listing.filters.emplace_back(std::string(resource.key), args.name);
    auto all = catalogue.objects().list(resource, listing);
    if (!all) return all;
    std::erase_if(*all, [&](const Value& one) { return one.text_of(resource.key) != args.name; });
    if (all->empty())
        return cvlan::fail(Code::NotFound, "no {} has the name '{}'", resource.kind, args.name);
    if (all->size() > 1)
        return cvlan::fail(Code::Invalid, "{} tenants have a {} '{}': say which with --tenant",
                           all->size(), resource.kind, args.name);
    return all;
}

Result<std::vector<Value>> read_kind(const Args& args, const Resource& resource, const Asked& asked,
                                     Catalogue& catalogue) {
    if (!args.name.empty()) return read_named(args, resource, asked, catalogue);
    if (resource.is_single()) return catalogue.all(resource, asked.tenant_id);
    auto listing = read_listing(args, resource, asked, catalogue);
    if (!listing) return failed(listing.error());
    return catalogue.objects().list(resource, *listing);
}

}  // namespace

void get_options(CLI::App& app, Args& args) {
    app.add_option("KIND", args.kind,
                   "such as networks, or several with commas; all for everything")
        ->required();
    app.add_option("NAME", args.name, "the name or id of one object");
    app.add_option("--filter", args.filters, "only those with FIELD=VALUE, as the API filters")
        ->allow_extra_args(false);
    app.add_option("--order-by", args.order_by, "such as name or 'createdAt desc'");
    app.add_option("--limit", args.limit, "at most so many of a kind; otherwise all")
        ->check(CLI::Range(1, 100000000));
}

int get(const Args& args, Io& io) {
    auto session = connect(args);
    if (!session) return fail(io, session.error());
    Catalogue catalogue(client::Objects(session->controller.transport()));
    auto asked = read_asked(args, catalogue);
    if (!asked) return fail(io, asked.error());
    if (!args.name.empty() && asked->kinds.size() > 1) {
        io.err << "cvlanctl: a NAME is of one KIND\n";
        return kUsage;
    }
    std::vector<Found> found;
    int code = kOk;
    for (const Resource* resource : asked->kinds) {
        auto objects = read_kind(args, *resource, *asked, catalogue);
        if (!objects && asked->is_everything && objects.error().code == Code::Denied) {
            io.err << fmt::format("cvlanctl: {}: not yours to see\n", resource->plural);
            code = kPartly;
            continue;
        }
        if (!objects) return fail(io, objects.error());
        for (Value& object : *objects) found.push_back({resource, std::move(object)});
    }
    print_found(args, io, found, *asked, catalogue);
    return code;
}

}  // namespace cvlan::cli
