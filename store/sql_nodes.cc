// SPDX-License-Identifier: Apache-2.0
#include <fmt/ranges.h>

#include "store/sql_pages.h"
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

constexpr const char* kColumns =
    "n.tenant_id, n.id, n.name, n.state, n.role, n.certificate_serial, n.previous_serial, "
    "n.tls_key_hash, n.previous_tls_key_hash, n.certificate_expires_at, n.hostname, n.os, "
    "n.kernel, "
    "n.architecture, n.agent_version, n.created_at, n.last_seen_at, n.revision, n.external, "
    "n.ephemeral_ms, n.key_expires_at, n.owner";

model::Node node_row(const Statement& row) {
    model::Node node;
    node.tenant_id = row.text(0);
    node.id = row.text(1);
    node.name = row.text(2);
    node.state = static_cast<model::NodeState>(row.integer(3));
    node.role = static_cast<model::TokenRole>(row.integer(4));
    node.certificate_serial = row.text(5);
    node.previous_serial = row.text(6);
    node.tls_key_hash = row.text(7);
    node.previous_tls_key_hash = row.text(8);
    node.certificate_expires_at = row.time(9);
    node.inventory = {row.text(10), row.text(11), row.text(12), row.text(13), row.text(14), {}};
    node.created_at = row.time(15);
    if (!row.is_null(16)) node.last_seen_at = row.time(16);
    node.revision = row.integer(17);
    node.external = row.integer(18) != 0;
    if (!row.is_null(19)) node.ephemeral_after = std::chrono::milliseconds(row.integer(19));
    if (!row.is_null(20)) node.key_expires_at = row.time(20);
    node.owner = row.text(21);
    return node;
}

// That the tenant has it; none is good.
Result<void> check_relay(Database& db, const std::string& tenant_id, const std::string& id) {
    if (id.empty()) return {};
    Statement row = db.sql("SELECT 1 FROM objects WHERE tenant_id = ? AND id = ? AND kind = ?",
                           tenant_id, id, model::ObjectKind::Relay);
    if (row.next()) return {};
    if (row.error()) return failed(*row.error());
    return failed(Error{Code::Invalid, fmt::format("relayId: there is no relay {}", printable(id)),
                        0, "/relayId"});
}

std::vector<std::string> network_ids(const model::Node& node) {
    std::vector<std::string> ids;
    for (const model::Membership& membership : node.memberships)
        ids.push_back(membership.network_id);
    return ids;
}

Result<std::vector<std::string>> networks_of(Database& db, const Key& node) {
    std::vector<std::string> ids;
    Statement rows =
        db.sql("SELECT network_id FROM memberships WHERE tenant_id = ? AND node_id = ?",
               node.tenant_id, node.id);
    while (rows.next()) ids.push_back(rows.text(0));
    if (rows.error()) return failed(*rows.error());
    return ids;
}

}  // namespace

Result<std::optional<model::Node>> SqlStore::find_row(const Scope& scope, const std::string& id) {
    Statement row = db_.sql(fmt::format("SELECT {} FROM nodes n WHERE n.id = ?{}", kColumns,
                                        scope ? " AND n.tenant_id = ?" : ""),
                            id);
    if (scope) row.bind(*scope);
    std::optional<model::Node> node;
    if (row.next()) node = node_row(row);
    if (row.error()) return failed(*row.error());
    return node;
}

Result<model::Node> SqlStore::find_node(const Scope& scope, const std::string& id) {
    if (scope)
        db_.ask_ahead([&] {
            model::Node node;
            node.tenant_id = *scope;
            node.id = id;
            (void)find_row(scope, id);
            (void)load_parts(node);
        });
    auto node = find_row(scope, id);
    if (!node) return failed(node.error());
    if (!*node) return fail(Code::NotFound, "node {}: not found", printable(id));
    if (auto loaded = load_parts(**node); !loaded) return failed(loaded.error());
    return std::move(**node);
}

Result<void> SqlStore::load_parts(model::Node& node) {
    Statement memberships =
        db_.sql(fmt::format("SELECT w.name, {} FROM memberships m JOIN networks w ON w.tenant_id = "
                            "m.tenant_id AND w.id = m.network_id WHERE m.tenant_id = ? AND "
                            "m.node_id = ? ORDER BY m.network_id",
                            kMembershipColumns),
                node.tenant_id, node.id);
    while (memberships.next()) {
        node.memberships.push_back(membership_row(memberships, 1));
        node.memberships.back().network_name = memberships.text(0);
    }
    if (memberships.error()) return failed(*memberships.error());
    Statement macs = db_.sql(
        "SELECT mac_address FROM node_mac_addresses WHERE tenant_id = ? AND node_id = ? "
        "ORDER BY position",
        node.tenant_id, node.id);
    while (macs.next()) node.inventory.mac_addresses.push_back(macs.text(0));
    if (macs.error()) return failed(*macs.error());
    Statement tags = db_.sql(
        "SELECT o.name FROM node_tags t JOIN objects o ON o.tenant_id = t.tenant_id AND o.id = "
        "t.tag_id WHERE t.tenant_id = ? AND t.node_id = ? ORDER BY o.name",
        node.tenant_id, node.id);
    while (tags.next()) node.tags.push_back(tags.text(0));
    if (tags.error()) return failed(*tags.error());
    return {};
}

Result<Page<model::Node>> SqlStore::nodes(const Filter& filter) {
    if (auto good = check_page(filter); !good) return failed(good.error());
    return read([&]() -> Result<Page<model::Node>> {
        // Along the network's own index, where one is asked for.
        const bool by_network = filter.network_id.has_value();
        Scope tenant = filter.tenant;
        if (by_network && !tenant) {
            auto network = find_network({}, *filter.network_id);
            if (!network && network.error().code == Code::NotFound) return Page<model::Node>{};
            if (!network) return failed(network.error());
            tenant = network->tenant_id;
        }
        const std::string select =
            fmt::format("SELECT {} FROM {}", kColumns,
                        by_network ? "memberships m JOIN nodes n ON n.tenant_id = m.tenant_id AND "
                                     "n.id = m.node_id"
                                   : "nodes n");
        Statement rows =
            ListQuery(select, filter, by_network ? "m.node_id" : "n.id", "n.name")
                .where(by_network ? "m.tenant_id = ?" : "n.tenant_id = ?", tenant)
                .where("m.network_id = ?", filter.network_id)
                .where("n.name = ?", filter.name)
                .where("n.state = ?", filter.node_state)
                .where("n.owner = ?", filter.owner)
                .where(
                    "EXISTS (SELECT 1 FROM node_tags t JOIN objects o ON o.tenant_id = "
                    "t.tenant_id AND o.id = t.tag_id WHERE t.tenant_id = n.tenant_id AND "
                    "t.node_id = n.id AND o.name = ?)",
                    filter.tag)
                .run(db_);
        auto page = read_page<model::Node>(rows, filter, node_row);
        if (!page) return page;
        for (model::Node& node : page->items)
            if (auto loaded = load_parts(node); !loaded) return failed(loaded.error());
        return page;
    });
}

Result<model::Node> SqlStore::node(const Scope& scope, const std::string& id) {
    return read([&] { return find_node(scope, id); });
}

Result<Standing> SqlStore::standing(const Key& node) {
    return read([&]() -> Result<Standing> {
        Statement row = db_.sql(
            "SELECT n.state, n.certificate_serial, n.previous_serial, n.tls_key_hash, "
            "n.previous_tls_key_hash, n.last_seen_at, t.suspended FROM nodes n JOIN tenants t ON "
            "t.id = n.tenant_id WHERE n.tenant_id = ? AND n.id = ?",
            node.tenant_id, node.id);
        if (row.next())
            return Standing{static_cast<model::NodeState>(row.integer(0)),
                            row.text(1),
                            row.text(2),
                            row.text(3),
                            row.text(4),
                            !row.is_null(5),
                            row.integer(6) != 0};
        if (row.error()) return failed(*row.error());
        return fail(Code::NotFound, "node {}: not found", printable(node.id));
    });
}

// The event of a change that was made to the node's row, and the revision of it and its
// memberships.
Result<model::Node> SqlStore::change_node(const Key& node, EventKind kind, std::string before) {
    auto networks = networks_of(db_, node);
    if (!networks) return failed(networks.error());
    auto revision = record(node, kind, std::move(*networks), std::move(before));
    if (!revision) return failed(revision.error());
    if (kind == EventKind::NodeExpired || kind == EventKind::NodeRevoked)
        if (auto barred = bar_at_relays(db_, node, clock_.now()); !barred)
            return failed(barred.error());
    const bool comes_in = kind == EventKind::NodeEnrolled || kind == EventKind::NodeApproved;
    auto marked = db_.sql(
                         "UPDATE nodes SET revision = ?1, came_in_at = CASE ?2 WHEN 1 THEN ?1 ELSE "
                         "came_in_at END WHERE tenant_id = ?3 AND id = ?4",
                         *revision, comes_in, node.tenant_id, node.id)
                      .run();
    if (!marked) return failed(marked.error());
    marked = db_.sql("UPDATE memberships SET revision = ? WHERE tenant_id = ? AND node_id = ?",
                     *revision, node.tenant_id, node.id)
                 .run();
    if (marked) marked = settle_ipsec(db_, MembershipsOf::Node, node, *revision);
    if (marked) marked = settle_gateway(db_, node);
    if (!marked) return failed(marked.error());
    return audited(find_node(node.tenant_id, node.id));
}

Result<bool> SqlStore::is_name_free(const std::string& tenant_id, const std::string& name) {
    Statement taken =
        db_.sql("SELECT 1 FROM nodes WHERE tenant_id = ? AND name = ?", tenant_id, name);
    const bool is_taken = taken.next();
    if (taken.error()) return failed(*taken.error());
    return !is_taken;
}

Result<model::Node> SqlStore::expire_node(const Key& key) {
    return write([&]() -> Result<model::Node> {
        auto node = find_node(key.tenant_id, key.id);
        if (!node || node->state == model::NodeState::Expired) return node;
        if (auto match = check_match(cause_, node->revision); !match) return failed(match.error());
        if (node->state == model::NodeState::Revoked)
            return fail(Code::Conflict, "node '{}' is revoked", node->name);
        auto done = db_.sql("UPDATE nodes SET state = ? WHERE tenant_id = ? AND id = ?",
                            model::NodeState::Expired, key.tenant_id, key.id)
                        .run();
        if (!done) return failed(done.error());
        return change_node(key, EventKind::NodeExpired, public_text(*node));
    });
}

Result<void> SqlStore::bar_keys(const model::Node& node) {
    const auto bar = [&](BarredKind kind, const std::string& hash) {
        return db_
            .sql(
                "INSERT INTO barred_keys (kind, hash, barred_at) VALUES (?, ?, ?) ON CONFLICT DO "
                "NOTHING",
                kind, hash, clock_.now())
            .run();
    };
    for (const std::string& hash : {node.tls_key_hash, node.previous_tls_key_hash})
        if (!hash.empty())
            if (auto barred = bar(BarredKind::Tls, hash); !barred) return barred;
    for (const model::Membership& membership : node.memberships) {
        auto barred = bar(BarredKind::Wireguard, wireguard_key_hash(membership.wireguard_key));
        if (!barred) return barred;
    }
    return {};
}

Result<model::Node> SqlStore::revoke_node(const Key& key) {
    return write([&]() -> Result<model::Node> {
        auto node = find_node(key.tenant_id, key.id);
        if (!node || node->state == model::NodeState::Revoked) return node;
        if (auto match = check_match(cause_, node->revision); !match) return failed(match.error());
        if (auto barred = bar_keys(*node); !barred) return failed(barred.error());
        auto done = db_.sql("UPDATE nodes SET state = ? WHERE tenant_id = ? AND id = ?",
                            model::NodeState::Revoked, key.tenant_id, key.id)
                        .run();
        if (!done) return failed(done.error());
        return change_node(key, EventKind::NodeRevoked, public_text(*node));
    });
}

Result<Revision> SqlStore::remove_node(const model::Node& node) {
    const Key key{node.tenant_id, node.id};
    auto revision = record(key, EventKind::NodeDeleted, network_ids(node), public_text(node));
    if (!revision) return revision;
    if (auto barred = bar_at_relays(db_, key, clock_.now()); !barred) return failed(barred.error());
    if (auto released = release(key); !released) return failed(released.error());
    if (auto done = drop_links_to(db_, key); !done) return failed(done.error());
    constexpr const char* kSteps[] = {
        ("UPDATE networks SET node_count = node_count - 1 WHERE tenant_id = ?1 AND id IN "
         "(SELECT network_id FROM memberships WHERE tenant_id = ?1 AND node_id = ?2)"),
        "DELETE FROM memberships WHERE tenant_id = ?1 AND node_id = ?2",
        "DELETE FROM nodes WHERE tenant_id = ?1 AND id = ?2",
    };
    for (const char* step : kSteps)
        if (auto done = db_.sql(step, key.tenant_id, key.id).run(); !done)
            return failed(done.error());
    return revision;
}

Result<Revision> SqlStore::delete_node(const Key& key) {
    return write([&]() -> Result<Revision> {
        auto node = find_node(key.tenant_id, key.id);
        if (!node) return failed(node.error());
        if (auto match = check_match(cause_, node->revision); !match) return failed(match.error());
        return remove_node(*node);
    });
}

Result<void> SqlStore::touch_seen(const Key& key) {
    return write([&] {
        return db_
            .sql(
                "UPDATE nodes SET last_seen_at = ? WHERE tenant_id = ? AND id = ? AND "
                "last_seen_at IS NULL",
                clock_.now(), key.tenant_id, key.id)
            .run();
    });
}

Result<void> SqlStore::set_seen(const std::vector<Seen>& nodes) {
    return write([&]() -> Result<void> {
        for (const Seen& seen : nodes) {
            // NULL is below nothing: who has enrolled anew since is not seen by this.
            auto done = db_.sql(
                               "UPDATE nodes SET last_seen_at = ?1 WHERE tenant_id = ?2 AND id = "
                               "?3 AND last_seen_at < ?1",
                               seen.at, seen.node.tenant_id, seen.node.id)
                            .run();
            if (!done) return done;
        }
        return {};
    });
}

Result<std::optional<Revision>> SqlStore::set_endpoints(const Key& key,
                                                        const NodeEndpoints& wanted) {
    return write([&]() -> Result<std::optional<Revision>> {
        auto node = find_node(key.tenant_id, key.id);
        if (!node) return failed(node.error());
        const auto is_wanted = [&](const model::Membership& m) {
            return m.network_id == wanted.network_id;
        };
        const auto found =
            std::find_if(node->memberships.begin(), node->memberships.end(), is_wanted);
        if (found == node->memberships.end())
            return fail(Code::NotFound, "network {}: the node is not in it",
                        printable(wanted.network_id));
        if (found->listen_port == wanted.listen_port && found->endpoints == wanted.endpoints &&
            found->relay_id == wanted.relay_id)
            return std::nullopt;
        if (found->relay_id != wanted.relay_id)
            if (auto good = check_relay(db_, key.tenant_id, wanted.relay_id); !good)
                return failed(good.error());
        auto revision = record(key, EventKind::EndpointsChanged, {wanted.network_id});
        if (!revision) return failed(revision.error());
        auto done = db_.sql(
                           "UPDATE memberships SET listen_port = ?, endpoints = ?, relay_id = ?, "
                           "revision = ? WHERE tenant_id = ? AND network_id = ? AND node_id = ?",
                           wanted.listen_port, endpoints_text(wanted.endpoints), wanted.relay_id,
                           *revision, key.tenant_id, wanted.network_id, key.id)
                        .run();
        if (!done) return failed(done.error());
        return *revision;
    });
}

Result<void> SqlStore::put_mac_addresses(const Key& key, const model::Inventory& inventory) {
    Result<void> done;
    for (size_t i = 0; done && i < inventory.mac_addresses.size(); ++i)
        done = db_.sql(
                      "INSERT INTO node_mac_addresses (tenant_id, node_id, position, mac_address) "
                      "VALUES (?, ?, ?, ?)",
                      key.tenant_id, key.id, i, inventory.mac_addresses[i])
                   .run();
    return done;
}

Result<void> SqlStore::put_inventory(const Key& key, const model::Inventory& inventory) {
    auto done = db_.sql(
                       "UPDATE nodes SET hostname = ?, os = ?, kernel = ?, architecture = ?, "
                       "agent_version = ? WHERE tenant_id = ? AND id = ?",
                       inventory.hostname, inventory.os, inventory.kernel, inventory.architecture,
                       inventory.agent_version, key.tenant_id, key.id)
                    .run();
    if (!done) return done;
    done = db_.sql("DELETE FROM node_mac_addresses WHERE tenant_id = ? AND node_id = ?",
                   key.tenant_id, key.id)
               .run();
    if (!done) return done;
    return put_mac_addresses(key, inventory);
}

Result<void> SqlStore::set_inventory(const Key& key, const model::Inventory& inventory) {
    return write([&]() -> Result<void> {
        auto node = find_node(key.tenant_id, key.id);
        if (!node) return failed(node.error());
        if (node->inventory == inventory) return {};
        return put_inventory(key, inventory);
    });
}

}  // namespace cvlan::store
