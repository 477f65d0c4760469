// SPDX-License-Identifier: Apache-2.0
#include "store/health.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace wire = model::wire;

namespace {

Result<void> check_there(Database& db, const Key& node) {
    Statement row =
        db.sql("SELECT 1 FROM nodes WHERE tenant_id = ? AND id = ?", node.tenant_id, node.id);
    if (row.next()) return {};
    if (row.error()) return failed(*row.error());
    return fail(Code::NotFound, "node {}: not found", printable(node.id));
}

// Nullopt: the two are not in this network together.
Result<std::optional<NodeHealth::Peer>> peer_of(Database& db, const Key& node,
                                                wire::PeerHealth told) {
    Statement row = db.sql(
        "SELECT n.name, w.name FROM memberships own JOIN memberships m ON m.tenant_id = "
        "own.tenant_id AND m.network_id = own.network_id JOIN nodes n ON n.tenant_id = m.tenant_id "
        "AND n.id = m.node_id JOIN networks w ON w.tenant_id = m.tenant_id AND w.id = m.network_id "
        "WHERE own.tenant_id = ? AND own.network_id = ? AND own.node_id = ? AND m.node_id = ?",
        node.tenant_id, told.network_id, node.id, told.node_id);
    std::optional<NodeHealth::Peer> peer;
    if (row.next()) peer = NodeHealth::Peer{std::move(told), row.text(0), row.text(1), {}};
    if (row.error()) return failed(*row.error());
    return peer;
}

Result<void> name_relay(Database& db, const Key& node, NodeHealth::Peer& peer) {
    if (!peer.told.relay_id) return {};
    Statement row = db.sql("SELECT name FROM objects WHERE tenant_id = ? AND id = ? AND kind = ?",
                           node.tenant_id, *peer.told.relay_id, model::ObjectKind::Relay);
    if (row.next()) peer.relay_name = row.text(0);
    if (row.error()) return failed(*row.error());
    return {};
}

}  // namespace

Result<void> Health::put(const Key& node, const wire::HealthReport& report) {
    return store_.write([&]() -> Result<void> {
        if (auto known = check_there(store_.db_, node); !known) return known;
        return store_.db_
            .sql(
                "INSERT INTO node_health (tenant_id, node_id, reported_at, peers) VALUES (?, ?, ?, "
                "?) ON CONFLICT (tenant_id, node_id) DO UPDATE SET reported_at = "
                "excluded.reported_at, peers = excluded.peers",
                node.tenant_id, node.id, store_.clock_.now(), encode(report))
            .run();
    });
}

Result<NodeHealth> Health::of(const Key& node) {
    return store_.read([&]() -> Result<NodeHealth> {
        NodeHealth health;
        wire::HealthReport report;
        {
            Statement row = store_.db_.sql(
                "SELECT reported_at, peers FROM node_health WHERE tenant_id = ? AND node_id = ?",
                node.tenant_id, node.id);
            if (!row.next()) {
                if (row.error()) return failed(*row.error());
                return health;
            }
            health.reported_at = row.time(0);
            auto read = model::decode<wire::HealthReport>(row.text(1), model::kDocument);
            if (!read) return failed(read.error().while_doing("a report of health"));
            report = std::move(*read);
        }
        for (wire::PeerHealth& told : report.peers) {
            auto peer = peer_of(store_.db_, node, std::move(told));
            if (!peer) return failed(peer.error());
            if (!*peer) continue;
            if (auto named = name_relay(store_.db_, node, **peer); !named)
                return failed(named.error());
            health.peers.push_back(std::move(**peer));
        }
        return health;
    });
}

}  // namespace cvlan::store
