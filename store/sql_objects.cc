// SPDX-License-Identifier: Apache-2.0
// The nouns that are alike: a name, and links to other objects of the tenant.
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "store/sql_connections.h"
#include "store/sql_pages.h"
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

namespace wire = model::wire;
using model::ObjectKind;
using model::Relation;

constexpr const char* kSelect =
    "SELECT tenant_id, id, kind, name, description, endpoints, revision, created_at, stun_port, "
    "routes FROM objects";
constexpr int64_t kMostOfAKind = 1000;
constexpr const char* kNames[] = {"tag", "group", "region", "relay", "vrouter"};
std::string_view name_of(ObjectKind kind) { return kNames[static_cast<size_t>(kind)]; }

// Where the targets of a relation are, and the field that names them on the wire.
struct Target {
    const char* query;  // of tenant and id
    const char* field;
    const char* noun;
};
constexpr const char* kGroups = "SELECT 1 FROM objects WHERE tenant_id = ? AND id = ? AND kind = 1";
constexpr const char* kRegions =
    "SELECT 1 FROM objects WHERE tenant_id = ? AND id = ? AND kind = 2";
constexpr const char* kNodes = "SELECT 1 FROM nodes WHERE tenant_id = ? AND id = ?";
constexpr const char* kRelayNodes =
    "SELECT 1 FROM nodes WHERE tenant_id = ? AND id = ? AND role = 2";
constexpr const char* kVrouterNodes =
    "SELECT 1 FROM nodes WHERE tenant_id = ? AND id = ? AND role = 1";
constexpr const char* kUsers = "SELECT 1 FROM accounts WHERE tenant_id = ? AND id = ? AND kind = 0";
constexpr const char* kNetworks = "SELECT 1 FROM networks WHERE tenant_id = ? AND id = ?";

Target target_of(ObjectKind kind, Relation relation) {
    switch (relation) {
        case Relation::OwnerGroup:
            return {kGroups, "ownerGroupIds", "group"};
        case Relation::MemberNode:
            return {kNodes, "nodeIds", "node"};
        case Relation::Region:
            return {kRegions, "regionId", "region"};
        case Relation::Node:
            // Of others the certificate is no server's.
            if (kind == ObjectKind::Relay) return {kRelayNodes, "nodeId", "node of the role RELAY"};
            if (kind == ObjectKind::Vrouter)
                return {kVrouterNodes, "nodeId", "node of the role VROUTER"};
            return {kNodes, "nodeId", "node"};
        case Relation::Network:
            return {kNetworks, "networkIds", "network"};
        case Relation::OwnerUser:
            return {kUsers, "ownerUserIds", "user"};
        case Relation::MemberUser:
            return {kUsers, "userIds", "user"};
    }
    return {kNodes, "", "node"};
}

model::Object object_row(const Statement& row) {
    model::Object object;
    object.tenant_id = row.text(0);
    object.id = row.text(1);
    object.kind = static_cast<ObjectKind>(row.integer(2));
    object.name = row.text(3);
    object.description = row.text(4);
    object.endpoints = split_words(row.text(5));
    object.revision = row.integer(6);
    object.created_at = row.time(7);
    object.stun_port = static_cast<uint16_t>(row.integer(8));
    object.routes = split_words(row.text(9));
    return object;
}

// The i-th of them. A default route is none of a network's: it would take what the node's tunnels
// themselves go by.
Result<void> check_route(const std::vector<std::string>& routes, size_t i) {
    const auto refused = [&](std::string_view why) {
        return failed(Error{Code::Invalid, fmt::format("routes: {}: {}", printable(routes[i]), why),
                            0, fmt::format("/routes/{}", i)});
    };
    const auto route = Prefix::parse(routes[i]);
    if (!route) return refused("must be a prefix such as 192.168.7.0/24");
    if (route->text() != routes[i]) return refused("must be " + route->text());
    if (route->length() == 0) return refused("a default route can not be one");
    const auto first = routes.begin();
    if (std::find(first, first + static_cast<std::ptrdiff_t>(i), routes[i]) !=
        first + static_cast<std::ptrdiff_t>(i))
        return refused("is there twice");
    return {};
}

Result<void> check_object(const model::Object& object) {
    if (auto good = model::check_name("name", object.name); !good) return good;
    if (auto good = check_description(object.description); !good) return good;
    for (size_t i = 0; i < object.endpoints.size(); ++i) {
        const auto endpoint = Endpoint::parse(object.endpoints[i]);
        if (endpoint && endpoint->port != 0) continue;
        return failed(Error{Code::Invalid, "endpoints: must be ADDRESS:PORT", 0,
                            fmt::format("/endpoints/{}", i)});
    }
    for (size_t i = 0; i < object.routes.size(); ++i)
        if (auto good = check_route(object.routes, i); !good) return good;
    return {};
}

std::string joined(const std::vector<std::string>& words) {
    return fmt::format("{}", fmt::join(words, " "));
}

size_t bytes_of(const std::map<Relation, std::vector<std::string>>& links) {
    size_t bytes = 0;
    for (const auto& [relation, targets] : links)
        for (const std::string& target : targets) bytes += target.size();
    return bytes;
}

// As public_text.
std::string text_of(const model::Object& object) {
    switch (object.kind) {
        case ObjectKind::Tag:
            return encode(model::to_wire<wire::Tag>(object));
        case ObjectKind::Group:
            return encode(model::to_wire<wire::Group>(object));
        case ObjectKind::Region:
            return encode(model::to_wire<wire::Region>(object));
        case ObjectKind::Relay:
            return encode(model::to_wire<wire::Relay>(object));
        case ObjectKind::Vrouter:
            return encode(model::to_wire<wire::Vrouter>(object));
    }
    return {};
}

Result<void> check_free(Database& db, const model::Object& object) {
    Statement taken =
        db.sql("SELECT 1 FROM objects WHERE tenant_id = ? AND kind = ? AND name = ? AND id <> ?",
               object.tenant_id, object.kind, object.name, object.id);
    if (taken.next())
        return fail(Code::Exists, "{} name '{}' is taken", name_of(object.kind), object.name);
    if (taken.error()) return failed(*taken.error());
    return {};
}

// A network has one vrouter, and so has a node.
Result<void> check_only(Database& db, const model::Object& object, Relation relation,
                        const std::string& id) {
    if (object.kind != ObjectKind::Vrouter || relation == Relation::Region) return {};
    Statement other = db.sql(
        "SELECT o.name FROM object_links l JOIN objects o ON o.tenant_id = l.tenant_id AND o.id = "
        "l.object_id WHERE l.tenant_id = ? AND l.target_id = ? AND l.relation = ? AND o.kind = ? "
        "AND o.id <> ? LIMIT 1",
        object.tenant_id, id, relation, object.kind, object.id);
    const Target target = target_of(object.kind, relation);
    if (other.next())
        return failed(
            Error{Code::Conflict,
                  fmt::format("{}: {} {} has the vrouter '{}' already", target.field,
                              relation == Relation::Node ? "node" : "network", id, other.text(0)),
                  0, fmt::format("/{}", target.field)});
    if (other.error()) return failed(*other.error());
    return {};
}

// Nodes have the networks' addresses, and reach no others by them.
Result<void> check_routes_apart(Database& db, const model::Object& object) {
    if (object.routes.empty()) return {};
    Statement rows = db.sql(
        "SELECT name, ipv4_first, ipv4_length, ipv6_first, ipv6_length FROM networks WHERE "
        "tenant_id = ?",
        object.tenant_id);
    while (rows.next()) {
        for (const int column : {1, 3}) {
            const auto first = rows.address(column);
            const auto prefix =
                first ? Prefix::of(*first, static_cast<uint8_t>(rows.integer(column + 1)))
                      : Result<Prefix>(fail(Code::NotFound, "none"));
            for (size_t i = 0; prefix && i < object.routes.size(); ++i)
                if (Prefix::parse(object.routes[i])->overlaps(*prefix))
                    return failed(Error{Code::Conflict,
                                        fmt::format("routes: {} overlaps {} of network '{}'",
                                                    object.routes[i], prefix->text(), rows.text(0)),
                                        0, fmt::format("/routes/{}", i)});
        }
    }
    if (rows.error()) return failed(*rows.error());
    for (size_t i = 0; i < object.routes.size(); ++i) {
        auto other = connection_over(db, object.tenant_id, *Prefix::parse(object.routes[i]));
        if (!other) return failed(other.error());
        if (!other->empty())
            return failed(Error{Code::Conflict,
                                fmt::format("routes: {} overlaps {}", object.routes[i], *other), 0,
                                fmt::format("/routes/{}", i)});
    }
    return {};
}

Result<void> check_target(Database& db, const model::Object& object, Relation relation,
                          const std::string& id) {
    const Target target = target_of(object.kind, relation);
    Statement row = db.sql(target.query, object.tenant_id, id);
    if (row.next()) return check_only(db, object, relation, id);
    if (row.error()) return failed(*row.error());
    return failed(
        Error{Code::Invalid,
              fmt::format("{}: there is no {} {}", target.field, target.noun, printable(id)), 0,
              fmt::format("/{}", target.field)});
}

// What is in a region, and the nodes with a tag, would change without being asked.
Result<void> check_unused(Database& db, const model::Object& object) {
    const bool is_region = object.kind == ObjectKind::Region;
    if (!is_region && object.kind != ObjectKind::Tag) return {};
    constexpr const char* kInRegion =
        "SELECT o.name FROM object_links l JOIN objects o ON o.tenant_id = l.tenant_id AND o.id = "
        "l.object_id WHERE l.tenant_id = ? AND l.target_id = ? LIMIT 1";
    constexpr const char* kWithTag =
        "SELECT n.name FROM node_tags t JOIN nodes n ON n.tenant_id = t.tenant_id AND n.id = "
        "t.node_id WHERE t.tenant_id = ? AND t.tag_id = ? LIMIT 1";
    Statement used = db.sql(is_region ? kInRegion : kWithTag, object.tenant_id, object.id);
    if (used.next())
        return fail(Code::Conflict, "{} '{}' still has '{}'", name_of(object.kind), object.name,
                    used.text(0));
    if (used.error()) return failed(*used.error());
    if (is_region) return {};
    Statement named = db.sql(
        "SELECT n.name FROM network_ipsec_tags x JOIN networks n ON n.tenant_id = x.tenant_id AND "
        "n.id = x.network_id WHERE x.tenant_id = ? AND x.tag_id = ? LIMIT 1",
        object.tenant_id, object.id);
    if (named.next())
        return fail(Code::Conflict, "tag '{}' is among the ipsecTags of network '{}'", object.name,
                    named.text(0));
    if (named.error()) return failed(*named.error());
    return {};
}

}  // namespace

// The event and the audit's entry, by the noun's own name.
Result<Revision> SqlObjects::note(const model::Object& object, EventKind kind, std::string before) {
    auto revision = store_.record({object.tenant_id, object.id}, kind, {}, std::move(before));
    if (!revision) return revision;
    Engine::work().drafts.back().object_kind = name_of(object.kind);
    // A relay may leave the maps by this: who is away meanwhile is told by a full one.
    if (object.kind != ObjectKind::Relay || kind == EventKind::ObjectCreated) return revision;
    auto marked =
        store_.db_.sql("UPDATE tenants SET removed_at = revision WHERE id = ?", object.tenant_id)
            .run();
    if (!marked) return failed(marked.error());
    return revision;
}

Result<model::Object> SqlObjects::changed(const model::Object& object) {
    auto now = find(object.kind, object.tenant_id, object.id);
    if (now) Engine::work().drafts.back().after = text_of(*now);
    return now;
}

// The nodes that a vrouter runs on, and ran on before, are gateways of other networks by it.
Result<model::Object> SqlObjects::settled(Result<model::Object> object,
                                          const model::Object& before) {
    if (!object || object->kind != ObjectKind::Vrouter) return object;
    std::set<std::string> nodes;
    for (const model::Object* one : {&std::as_const(*object), &before})
        if (const auto node = one->links.find(Relation::Node); node != one->links.end())
            nodes.insert(node->second.begin(), node->second.end());
    for (const std::string& id : nodes) {
        auto node = store_.find_node(object->tenant_id, id);
        if (!node) return failed(node.error());
        auto told =
            store_.change_node({object->tenant_id, id}, EventKind::NodeChanged, public_text(*node));
        if (!told) return failed(told.error());
    }
    return object;
}

Result<void> SqlObjects::load_links(model::Object& object) {
    Statement rows = store_.db_.sql(
        "SELECT relation, target_id FROM object_links WHERE tenant_id = ? AND object_id = ? ORDER "
        "BY relation, position",
        object.tenant_id, object.id);
    while (rows.next())
        object.links[static_cast<Relation>(rows.integer(0))].push_back(rows.text(1));
    if (rows.error()) return failed(*rows.error());
    return {};
}

// No part of the object: it is in no audit.
Result<void> SqlObjects::load_last_seen(model::Object& object) {
    const auto node = object.links.find(Relation::Node);
    const bool runs_on_one = object.kind == ObjectKind::Relay || object.kind == ObjectKind::Vrouter;
    if (!runs_on_one || node == object.links.end()) return {};
    Statement row = store_.db_.sql("SELECT last_seen_at FROM nodes WHERE tenant_id = ? AND id = ?",
                                   object.tenant_id, node->second.front());
    if (row.next() && !row.is_null(0)) object.last_seen_at = row.time(0);
    if (row.error()) return failed(*row.error());
    return {};
}

Result<void> SqlObjects::put_links(const model::Object& object) {
    auto done = store_.db_
                    .sql("DELETE FROM object_links WHERE tenant_id = ? AND object_id = ?",
                         object.tenant_id, object.id)
                    .run();
    if (!done) return done;
    for (const auto& [relation, targets] : object.links) {
        for (size_t i = 0; i < targets.size(); ++i) {
            if (auto there = check_target(store_.db_, object, relation, targets[i]); !there)
                return there;
            done = store_.db_
                       .sql(
                           "INSERT INTO object_links (tenant_id, object_id, relation, position, "
                           "target_id) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                           object.tenant_id, object.id, relation, i, targets[i])
                       .run();
            if (!done) return done;
        }
    }
    return {};
}

Result<model::Object> SqlObjects::find(ObjectKind kind, const Scope& scope, const std::string& id) {
    Statement row = store_.db_.sql(
        fmt::format("{} WHERE id = ? AND kind = ?{}", kSelect, scope ? " AND tenant_id = ?" : ""),
        id, kind);
    if (scope) row.bind(*scope);
    if (!row.next()) {
        if (row.error()) return failed(*row.error());
        return fail(Code::NotFound, "{} {}: not found", name_of(kind), printable(id));
    }
    model::Object object = object_row(row);
    if (auto loaded = load_links(object); !loaded) return failed(loaded.error());
    return object;
}

Result<model::Object> SqlObjects::create(const model::Object& wanted) {
    if (auto good = check_object(wanted); !good) return failed(good.error());
    return store_.write([&]() -> Result<model::Object> {
        model::Object object = wanted;
        const WallTime now = store_.clock_.now();
        object.id = new_uuid(unix_ms(now));
        auto revision = note(object, EventKind::ObjectCreated, "");
        if (!revision) return failed(revision.error());
        if (auto free = check_free(store_.db_, object); !free) return failed(free.error());
        auto made =
            store_.db_
                .sql(
                    "INSERT INTO objects (tenant_id, id, kind, name, description, "
                    "endpoints, stun_port, routes, revision, created_at) VALUES (?, ?, ?, ?, ?, "
                    "?, ?, ?, ?, ?)",
                    object.tenant_id, object.id, object.kind, object.name, object.description,
                    joined(object.endpoints), object.stun_port, joined(object.routes), *revision,
                    now)
                .run();
        if (!made) return failed(made.error());
        Statement held =
            store_.db_.sql("SELECT count(*) FROM objects WHERE tenant_id = ? AND kind = ?",
                           object.tenant_id, object.kind);
        if (auto room = check_room(held, kMostOfAKind, fmt::format("{}s", name_of(object.kind)));
            !room)
            return failed(room.error());
        if (auto apart = check_routes_apart(store_.db_, object); !apart)
            return failed(apart.error());
        if (auto put = put_links(object); !put) return failed(put.error());
        return settled(changed(object), {});
    });
}

Result<Page<model::Object>> SqlObjects::list(ObjectKind kind, const Filter& filter) {
    if (auto good = check_page(filter); !good) return failed(good.error());
    return store_.read([&]() -> Result<Page<model::Object>> {
        Statement rows = ListQuery(kSelect, filter, "id", "name")
                             .where("kind = ?", std::optional(kind))
                             .where("tenant_id = ?", filter.tenant)
                             .where("name = ?", filter.name)
                             .run(store_.db_);
        auto page = read_page<model::Object>(rows, filter, object_row);
        if (!page) return page;
        const auto load = [&](model::Object& object) -> Result<size_t> {
            auto loaded = load_links(object);
            if (loaded) loaded = load_last_seen(object);
            if (!loaded) return failed(loaded.error());
            return bytes_of(object.links);
        };
        return fill_page(std::move(*page), load,
                         [&](const model::Object& last) { return token_after(last, filter); });
    });
}

Result<model::Object> SqlObjects::get(ObjectKind kind, const Scope& scope, const std::string& id) {
    return store_.read([&]() -> Result<model::Object> {
        auto object = find(kind, scope, id);
        if (!object) return object;
        if (auto loaded = load_last_seen(*object); !loaded) return failed(loaded.error());
        return object;
    });
}

Result<model::Object> SqlObjects::update(const model::Object& wanted) {
    if (auto good = check_object(wanted); !good) return failed(good.error());
    return store_.write([&]() -> Result<model::Object> {
        auto before = find(wanted.kind, wanted.tenant_id, wanted.id);
        if (!before) return before;
        if (auto match = check_match(store_.cause_, before->revision); !match)
            return failed(match.error());
        if (auto free = check_free(store_.db_, wanted); !free) return failed(free.error());
        auto revision = note(wanted, EventKind::ObjectChanged, text_of(*before));
        if (!revision) return failed(revision.error());
        auto done =
            store_.db_
                .sql(
                    "UPDATE objects SET name = ?, description = ?, endpoints = ?, "
                    "stun_port = ?, routes = ?, revision = ? WHERE tenant_id = ? AND id = "
                    "?",
                    wanted.name, wanted.description, joined(wanted.endpoints), wanted.stun_port,
                    joined(wanted.routes), *revision, wanted.tenant_id, wanted.id)
                .run();
        if (!done) return failed(done.error());
        if (auto apart = check_routes_apart(store_.db_, wanted); !apart)
            return failed(apart.error());
        if (auto put = put_links(wanted); !put) return failed(put.error());
        return settled(changed(wanted), *before);
    });
}

Result<Revision> SqlObjects::remove(ObjectKind kind, const Key& key) {
    return store_.write([&]() -> Result<Revision> {
        auto object = find(kind, key.tenant_id, key.id);
        if (!object) return failed(object.error());
        if (auto match = check_match(store_.cause_, object->revision); !match)
            return failed(match.error());
        if (auto free = check_unused(store_.db_, *object); !free) return failed(free.error());
        auto revision = note(*object, EventKind::ObjectDeleted, text_of(*object));
        if (!revision) return revision;
        if (auto done = drop_links_to(store_.db_, key); !done) return failed(done.error());
        auto done =
            store_.db_
                .sql("DELETE FROM objects WHERE tenant_id = ? AND id = ?", key.tenant_id, key.id)
                .run();
        if (!done) return failed(done.error());
        if (auto told = settled(*object, {}); !told) return failed(told.error());
        return revision;
    });
}

}  // namespace cvlan::store
