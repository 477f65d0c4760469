// SPDX-License-Identifier: Apache-2.0
#include "cli/planner.h"

#include <algorithm>

#include "base/bytes.h"

namespace cvlan::cli {

using client::Field;
using client::Mode;
using client::Resource;
using client::Value;

bool ObjectPlan::is_empty() const {
    return std::all_of(changes.begin(), changes.end(),
                       [](const Change& change) { return change.what == Change::What::Nothing; });
}

// Objects of a tenant that is yet to be made are nowhere.
static Result<std::optional<Value>> find_in(Catalogue& catalogue, const Resource& resource,
                                            const std::string& tenant_id, const std::string& name) {
    if (!resource.in_tenant) return catalogue.find(resource, "", name);
    if (tenant_id.empty()) return std::optional<Value>();
    return catalogue.find(resource, tenant_id, name);
}

Names names_in(Catalogue& catalogue, const std::string& tenant_id) {
    const auto id_of = [&catalogue, tenant_id](std::string_view kind, const std::string& name) {
        const Resource* resource = client::find_resource(kind);
        if (!resource || is_uuid(name)) return name;
        auto found = find_in(catalogue, *resource, tenant_id, name);
        return found && *found ? (*found)->text_of("id") : name;
    };
    const auto name_of = [&catalogue, tenant_id](std::string_view kind, const std::string& id) {
        return catalogue.name_of(kind, tenant_id, id);
    };
    return {id_of, name_of};
}

Result<ObjectPlan> Planner::plan(const Manifests& manifests, const Prune& asked) {
    plan_.faults = manifests.faults;
    if (!plan_.faults.empty()) return plan_;
    if (auto collected = collect(manifests); !collected) return failed(collected.error());
    if (!plan_.faults.empty()) return plan_;
    for (Wish& wish : wishes_) put_in_order(wish);
    if (!plan_.faults.empty()) return plan_;
    for (const Wish* wish : order_)
        if (auto planned = plan_one(*wish); !planned) return failed(planned.error());
    if (asked.is_wanted && plan_.faults.empty())
        if (auto pruned = prune(asked.self); !pruned) return failed(pruned.error());
    return plan_;
}

void Planner::fault(const Wish& wish, int line, std::string_view why) {
    const auto& [kind, tenant, name] = key_of(wish);
    plan_.faults.push_back(fmt::format("{}: {} {}{}{}: {}", wish.manifest->at(line), kind, tenant,
                                       tenant.empty() || name.empty() ? "" : "/", name, why));
}

Planner::Key Planner::key_of(const Wish& wish) const {
    return {wish.manifest->resource->kind, wish.tenant, wish.manifest->key};
}

// Tenants first: the others lie in them.
Result<void> Planner::collect(const Manifests& manifests) {
    for (const Manifest& manifest : manifests.all) wishes_.push_back({.manifest = &manifest});
    std::stable_partition(wishes_.begin(), wishes_.end(),
                          [](const Wish& wish) { return !wish.manifest->resource->in_tenant; });
    for (Wish& wish : wishes_) {
        if (auto placed = place_in_tenant(wish); !placed) return placed;
        const auto [known, is_new] = by_key_.emplace(key_of(wish), &wish);
        if (!is_new)
            fault(
                wish, wish.manifest->line,
                "it is there twice: " + known->second->manifest->at(known->second->manifest->line));
    }
    return {};
}

Result<std::string> Planner::the_only_tenant() {
    auto tenants = catalogue_.all(*client::find_resource("tenant"), "");
    if (!tenants) return failed(tenants.error());
    if (tenants->size() == 1) return tenants->front().text_of("name");
    return std::string();
}

Result<void> Planner::place_in_tenant(Wish& wish) {
    if (!wish.manifest->resource->in_tenant) return {};
    std::string word = wish.manifest->tenant.empty() ? default_tenant_ : wish.manifest->tenant;
    if (word.empty()) {
        auto only = the_only_tenant();
        if (!only) return failed(only.error());
        word = *only;
    }
    if (word.empty()) {
        fault(wish, wish.manifest->line, "say in which tenant: 'tenant: NAME' or --tenant");
        return {};
    }
    auto found = catalogue_.find(*client::find_resource("tenant"), "", word);
    if (!found) return failed(found.error());
    if (*found) {
        wish.tenant = (*found)->text_of("name");
        wish.tenant_id = (*found)->text_of("id");
        return {};
    }
    wish.tenant = word;
    if (by_key_.find({"tenant", "", word}) == by_key_.end())
        fault(wish, wish.manifest->line, fmt::format("no tenant has the name '{}'", word));
    return {};
}

void Planner::put_reference_first(const Wish& wish, std::string_view kind,
                                  const std::string& name) {
    const Resource* resource = client::find_resource(kind);
    if (!resource) return;
    const auto found = by_key_.find({resource->kind, resource->in_tenant ? wish.tenant : "", name});
    if (found != by_key_.end() && found->second != &wish) put_in_order(*found->second);
}

void Planner::put_in_order(Wish& wish) {
    if (wish.is_placed) return;
    if (wish.is_being_placed)
        return fault(wish, wish.manifest->line, "it refers to itself, by others");
    wish.is_being_placed = true;
    if (!wish.tenant.empty()) put_reference_first(wish, "tenant", wish.tenant);
    for (const Given& given : wish.manifest->fields)
        each_reference(given.field(), given.value,
                       [&](std::string_view kind, const std::string& name) {
                           put_reference_first(wish, kind, name);
                       });
    wish.is_placed = true;
    order_.push_back(&wish);
}

// Whether each is known to the controller already; one that is in no document either is a fault.
Result<bool> Planner::references_are_there(const Wish& wish) {
    bool all_there = true;
    std::optional<Error> unread;
    const auto see = [&](const Given& given, std::string_view kind, const std::string& name) {
        const Resource* resource = client::find_resource(kind);
        if (!resource || is_uuid(name)) return;
        auto found = find_in(catalogue_, *resource, wish.tenant_id, name);
        if (!found) unread = found.error();
        if (!found || *found) return;
        all_there = false;
        if (!by_key_.contains({kind, resource->in_tenant ? wish.tenant : "", name}))
            fault(wish, given.line,
                  fmt::format("{}: no {} has the name '{}'", given.name(), kind, name));
    };
    for (const Given& given : wish.manifest->fields)
        each_reference(
            given.field(), given.value,
            [&](std::string_view kind, const std::string& name) { see(given, kind, name); });
    if (unread) return failed(*unread);
    return all_there && (wish.tenant.empty() || !wish.tenant_id.empty());
}

Result<void> Planner::plan_one(const Wish& wish) {
    const Manifest& manifest = *wish.manifest;
    auto found = find_in(catalogue_, *manifest.resource, wish.tenant_id, manifest.key);
    if (!found) return failed(found.error());
    Change change{.resource = manifest.resource,
                  .manifest = &manifest,
                  .tenant = wish.tenant,
                  .tenant_id = wish.tenant_id,
                  .key = manifest.key};
    if (!*found) return plan_create(wish, std::move(change));
    change.seen = std::move(**found);
    return plan_update(wish, std::move(change));
}

Result<void> Planner::plan_create(const Wish& wish, Change change) {
    const Manifest& manifest = *wish.manifest;
    change.what = Change::What::Create;
    const size_t faults = plan_.faults.size();
    if (!manifest.resource->create.exists() || !manifest.resource->has_name()) {
        fault(wish, manifest.line, "there is none, and a file can not make one");
        return {};
    }
    std::set<std::string_view> there{"tenantId"};
    for (const Given& given : manifest.fields) {
        if (given.create) there.insert(given.create->name);
        if (is_comparable(given)) change.fields.push_back({&given, {}, given.value});
    }
    std::erase_if(change.fields, [&](const FieldChange& field) {
        return manifest.resource->is_key(field.given->field()) || field.after.is_null();
    });
    for (const Field& field : manifest.resource->create.fields)
        if (field.is_required && !there.contains(field.name))
            fault(wish, manifest.line,
                  fmt::format("needs the field '{}'", client::display_name(field)));
    auto complete = references_are_there(wish);
    if (!complete) return failed(complete.error());
    if (*complete && plan_.faults.size() == faults) validate(wish, change);
    plan_.changes.push_back(std::move(change));
    return {};
}

// Before it is decided what to do: what has changed by the time that it is done is refused then.
Result<void> Planner::look(Change& change, const client::Operation& operation) {
    auto seen = catalogue_.objects().look(
        {*change.resource, change.tenant_id, change.seen.text_of("id")}, operation, change.seen);
    if (!seen) return failed(seen.error());
    change.seen = std::move(seen->value);
    change.etag = std::move(seen->etag);
    return {};
}

Result<void> Planner::plan_update(const Wish& wish, Change change) {
    auto complete = references_are_there(wish);
    if (!complete) return failed(complete.error());
    const Names names = names_in(catalogue_, wish.tenant_id);
    auto fields = differences(*wish.manifest, change.seen, names);
    if (fields && !fields->empty()) {
        if (auto looked = look(change, change.resource->update); !looked) return looked;
        fields = differences(*wish.manifest, change.seen, names);
    }
    if (!fields) {
        fault(wish, wish.manifest->line, fields.error().message);
        return {};
    }
    change.fields = std::move(*fields);
    if (!change.fields.empty()) {
        change.what = Change::What::Update;
        if (*complete) validate(wish, change);
    }
    plan_.changes.push_back(std::move(change));
    return {};
}

// The line of the field that an error of the controller points to, or the document's.
static int line_for(const Manifest& manifest, const Error& error) {
    for (const Given& given : manifest.fields)
        if (error.pointer == fmt::format("/{}", given.field().name)) return given.line;
    return manifest.line;
}

void Planner::validate(const Wish& wish, const Change& change) {
    const Resource& resource = *change.resource;
    const bool creates = change.what == Change::What::Create;
    const Names names = names_in(catalogue_, change.tenant_id);
    auto body = creates ? create_body(change, names) : update_body(change, names);
    if (body && (creates ? resource.create : resource.update).validates) {
        const client::Place place{resource, change.tenant_id, change.seen.text_of("id")};
        auto tried = creates
                         ? catalogue_.objects().create(resource, *body, Mode::Validate)
                         : catalogue_.objects().update(place, change.etag, *body, Mode::Validate);
        if (!tried)
            return fault(wish, line_for(*wish.manifest, tried.error()), tried.error().message);
    }
    if (!body) fault(wish, wish.manifest->line, body.error().message);
}

static bool is_of(const Value& object, const std::string& account_id) {
    return !account_id.empty() &&
           (object.text_of("id") == account_id || object.text_of("accountId") == account_id);
}

Result<void> Planner::prune(const std::string& self) {
    std::set<std::pair<std::string_view, std::string>> done;
    for (auto wish = order_.rbegin(); wish != order_.rend(); ++wish) {
        const Resource& resource = *(*wish)->manifest->resource;
        const std::string& tenant_id = (*wish)->tenant_id;
        const bool can = resource.in_tenant && resource.has_name() && resource.remove.exists();
        if (!can || tenant_id.empty() || !done.emplace(resource.kind, tenant_id).second) continue;
        auto all = catalogue_.all(resource, tenant_id);
        if (!all) return failed(all.error());
        for (Value& object : *all) {
            const std::string key = object.text_of(resource.key);
            if (by_key_.contains({resource.kind, (*wish)->tenant, key})) continue;
            if (is_of(object, self)) continue;
            plan_.changes.push_back({.what = Change::What::Delete,
                                     .resource = &resource,
                                     .tenant = (*wish)->tenant,
                                     .tenant_id = tenant_id,
                                     .key = key,
                                     .seen = std::move(object)});
            auto looked = look(plan_.changes.back(), resource.remove);
            if (!looked) return looked;
        }
    }
    return {};
}

}  // namespace cvlan::cli
