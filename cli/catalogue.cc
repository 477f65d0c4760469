// SPDX-License-Identifier: Apache-2.0
#include "cli/catalogue.h"

#include "base/bytes.h"

namespace cvlan::cli {

using client::Resource;
using client::Value;

// Of what a tenant has just one of, the list of that one; without a tenant, of each tenant's.
Result<std::vector<Value>> Catalogue::read(const Resource& resource, const std::string& tenant) {
    if (!resource.is_single()) return objects_.list(resource, {.tenant = tenant});
    const Resource* tenants = client::find_resource("tenant");
    std::vector<std::string> ids;
    if (resource.in_tenant && tenant.empty() && tenants) {
        auto known = all(*tenants, "");
        if (!known) return known;
        for (const Value& one : *known) ids.push_back(one.text_of("id"));
    } else {
        ids.push_back(tenant);
    }
    std::vector<Value> found;
    for (const std::string& id : ids) {
        auto one = objects_.get({resource, id, ""});
        if (!one) return failed(one.error());
        found.push_back(std::move(*one));
    }
    return found;
}

void Catalogue::put_on(Shelf& shelf, const Resource& resource, Value object) {
    const std::string id = object.text_of(resource.is_single() ? "tenantId" : "id");
    if (id.empty()) return shelf.objects.push_back(std::move(object));
    const auto known = shelf.by_id.find(id);
    const size_t at = known == shelf.by_id.end() ? shelf.objects.size() : known->second;
    shelf.by_id[id] = at;
    if (resource.has_name()) shelf.by_name[object.text_of(resource.key)] = at;
    if (at == shelf.objects.size())
        shelf.objects.push_back(std::move(object));
    else
        shelf.objects[at] = std::move(object);
}

Result<Catalogue::Shelf*> Catalogue::shelf(const Resource& resource, const std::string& tenant) {
    const std::pair key(std::string(resource.kind), tenant);
    const auto known = shelves_.find(key);
    if (known != shelves_.end()) return &known->second;
    auto objects = read(resource, tenant);
    if (!objects) return failed(objects.error().while_doing(resource.plural));
    Shelf made;
    for (Value& object : *objects) put_on(made, resource, std::move(object));
    return &shelves_.emplace(key, std::move(made)).first->second;
}

Result<std::vector<Value>> Catalogue::all(const Resource& resource, const std::string& tenant) {
    auto held = shelf(resource, tenant);
    if (!held) return failed(held.error());
    return (*held)->objects;
}

Result<std::optional<Value>> Catalogue::find(const Resource& resource, const std::string& tenant,
                                             const std::string& id_or_name) {
    auto held = shelf(resource, tenant);
    if (!held) return failed(held.error());
    const Shelf& known = **held;
    if (resource.is_single() && !known.objects.empty()) return known.objects.front();
    for (const auto* index : {&known.by_id, &known.by_name})
        if (const auto found = index->find(id_or_name); found != index->end())
            return known.objects[found->second];
    return std::optional<Value>();
}

Result<Value> Catalogue::one(const Resource& resource, const std::string& tenant,
                             const std::string& id_or_name) {
    if (resource.is_single()) return objects_.get({resource, tenant, ""});
    if (resource.has_item && (is_uuid(id_or_name) || !resource.has_name()))
        return objects_.get({resource, tenant, id_or_name});
    if (resource.key.empty()) return fail(Code::Invalid, "{} have no names", resource.plural);
    client::Listing listing{.tenant = tenant};
    if (resource.filters_by_key) listing.filters.emplace_back(resource.key, id_or_name);
    auto all = objects_.list(resource, listing);
    if (!all) return failed(all.error());
    std::erase_if(*all, [&](const Value& one) { return one.text_of(resource.key) != id_or_name; });
    if (all->empty())
        return fail(Code::NotFound, "no {} has the name '{}'", resource.kind, id_or_name);
    if (all->size() > 1)
        return fail(Code::Invalid, "{} tenants have a {} '{}': say which with --tenant",
                    all->size(), resource.kind, id_or_name);
    return std::move(all->front());
}

std::string Catalogue::name_of(std::string_view kind, const std::string& tenant,
                               const std::string& id) {
    const Resource* resource = client::find_resource(kind);
    if (!resource || !resource->has_name()) return id;
    auto found = find(*resource, resource->in_tenant ? tenant : "", id);
    if (!found || !*found) return id;
    return (*found)->text_of(resource->key);
}

void Catalogue::put(const Resource& resource, const std::string& tenant, Value object) {
    if (auto held = shelf(resource, tenant)) put_on(**held, resource, std::move(object));
}

}  // namespace cvlan::cli
