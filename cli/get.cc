// SPDX-License-Identifier: Apache-2.0
// get: any noun of the API, by the table of resources.
#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/show.h"

namespace cvlan::cli {

using client::Field;
using client::Resource;
using client::Value;

namespace {

struct Asked {
    std::vector<const Resource*> kinds;
    std::string tenant_id;  // empty: all
    bool is_everything = false;
};

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

// Of what a file can say, and apply make so.
bool can_be_written(const Resource& resource) {
    return resource.is_single() ||
           (resource.has_item && (resource.create.exists() || resource.update.exists()));
}

Result<Asked> read_asked(const Args& args, Catalogue& catalogue) {
    Asked asked;
    if (args.kind == "all") {
        asked.is_everything = true;
        for (const Resource& one : client::resources())
            if (can_be_written(one)) asked.kinds.push_back(&one);
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

Result<client::Listing> read_listing(const Args& args, const Resource& resource,
                                     const std::string& tenant_id, Catalogue& catalogue) {
    client::Listing listing{.tenant = tenant_id, .limit = args.limit};
    for (const std::string& text : args.filters) {
        auto filter = read_filter(text, resource, tenant_id, catalogue);
        if (!filter) return failed(filter.error());
        listing.filters.push_back(std::move(*filter));
    }
    if (args.order_by.empty()) return listing;
    if (!resource.orders)
        return cvlan::fail(Code::Invalid, "--order-by: {} have one order alone", resource.plural);
    listing.order_by = args.order_by;
    return listing;
}

Result<std::vector<Value>> read_kind(const Args& args, const Resource& resource, const Asked& asked,
                                     Catalogue& catalogue) {
    if (!args.name.empty()) {
        auto one = catalogue.one(resource, asked.tenant_id, args.name);
        if (!one) return failed(one.error());
        return std::vector<Value>{std::move(*one)};
    }
    if (resource.is_single()) return catalogue.all(resource, asked.tenant_id);
    auto listing = read_listing(args, resource, asked.tenant_id, catalogue);
    if (!listing) return failed(listing.error());
    return catalogue.objects().list(resource, *listing);
}

}  // namespace

void get_options(CLI::App& app, Args& args) {
    app.add_option("KIND", args.kind,
                   "such as networks, or several with commas; all for everything")
        ->required();
    app.add_option("NAME", args.name, "the name or id of one object");
    list_options(app, args);
}

void list_options(CLI::App& app, Args& args) {
    app.add_option("--filter", args.filters, "only those with FIELD=VALUE, as the API filters")
        ->allow_extra_args(false);
    app.add_option("--order-by", args.order_by, "such as name or 'createdAt desc'");
    app.add_option("--limit", args.limit, "at most so many of a kind; otherwise all")
        ->check(CLI::Range(1, 100000000));
}

Result<client::Listing> listing_of(const Args& args, std::string_view kind, Session& session) {
    Catalogue catalogue(client::Objects(session.controller.transport()));
    return read_listing(args, *client::find_resource(kind), session.tenant_id, catalogue);
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
    const Layout layout{asked->kinds, asked->tenant_id.empty(), !args.name.empty(),
                        asked->is_everything};
    print_found(args, io, found, layout, catalogue);
    return code;
}

}  // namespace cvlan::cli
