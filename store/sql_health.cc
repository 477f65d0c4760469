// SPDX-License-Identifier: Apache-2.0
#include "store/health.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace wire = model::wire;

namespace {

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

// 100 Gbit/s: more than WireGuard makes of any machine's network.
constexpr int64_t kMostPerMs = 12'500'000;
// For the report before, that came late.
constexpr std::chrono::seconds kSlack{10};
constexpr std::chrono::hours kLongest{24 * 30};

// What a node's counters stood at when they were counted last.
struct Counted {
    std::optional<WallTime> at;  // none: never
    WallTime enrolled_at;
    std::map<std::string, wire::TrafficReport> networks;
};

// NotFound: no such node.
Result<Counted> counted_last(Database& db, const Key& node) {
    Statement row = db.sql(
        "SELECT n.enrolled_at, h.counted_at, h.traffic FROM nodes n LEFT JOIN node_health h ON "
        "h.tenant_id = n.tenant_id AND h.node_id = n.id WHERE n.tenant_id = ? AND n.id = ?",
        node.tenant_id, node.id);
    if (!row.next()) {
        if (row.error()) return failed(*row.error());
        return fail(Code::NotFound, "node {}: not found", printable(node.id));
    }
    Counted last;
    if (!row.is_null(0)) last.enrolled_at = row.time(0);
    if (row.is_null(1)) return last;
    last.at = row.time(1);
    auto read = model::decode<wire::HealthReport>(row.text(2), model::kDocument);
    if (!read) return last;  // this report takes its place
    for (wire::TrafficReport& of : read->traffic) {
        const std::string id = of.network_id;
        last.networks[id] = std::move(of);
    }
    return last;
}

Result<std::set<std::string>> networks_of(Database& db, const Key& node) {
    std::set<std::string> ids;
    Statement rows =
        db.sql("SELECT network_id FROM memberships WHERE tenant_id = ? AND node_id = ?",
               node.tenant_id, node.id);
    while (rows.next()) ids.insert(rows.text(0));
    if (rows.error()) return failed(*rows.error());
    return ids;
}

// No more than there can have been: who tells more has not carried it, and is counted from there.
int64_t grown(int64_t from, int64_t to, int64_t most) {
    const int64_t by = to < from ? to : to - from;
    return by > most ? 0 : by;
}

// A sum that comes near the end of its range stays where it is.
Result<void> add_traffic(Database& db, const Key& network, int64_t received, int64_t sent) {
    if (received == 0 && sent == 0) return {};
    constexpr int64_t kMost = int64_t{1} << 61;
    return db
        .sql(
            "INSERT INTO network_traffic (tenant_id, network_id, received, sent) VALUES (?1, ?2, "
            "?3, ?4) ON CONFLICT (tenant_id, network_id) DO UPDATE SET received = CASE WHEN "
            "network_traffic.received > ?5 THEN network_traffic.received ELSE "
            "network_traffic.received + excluded.received END, sent = CASE WHEN "
            "network_traffic.sent > ?5 THEN network_traffic.sent ELSE network_traffic.sent + "
            "excluded.sent END",
            network.tenant_id, network.id, received, sent, kMost)
        .run();
}

// Adds what the counters have grown by; `last` is then what is to be kept. A network that the node
// is not in is not counted, one that is told of twice is counted once, and one that it leaves out
// stays as it was.
Result<void> count_traffic(Database& db, const Key& node, WallTime now,
                           const std::vector<wire::TrafficReport>& told, Counted& last) {
    auto own = networks_of(db, node);
    if (!own) return failed(own.error());
    const auto past = now - last.at.value_or(last.enrolled_at);
    const int64_t most =
        kMostPerMs * (std::clamp<WallTime::duration>(past, {}, kLongest) + kSlack).count();
    std::map<std::string, wire::TrafficReport> networks;
    for (const wire::TrafficReport& of : told)
        if (own->contains(of.network_id)) networks.try_emplace(of.network_id, of);
    for (const auto& [id, of] : networks) {
        const auto was = last.networks.find(id);
        const bool goes_on =
            was != last.networks.end() && was->second.counted_since == of.counted_since;
        auto added =
            add_traffic(db, {node.tenant_id, id},
                        grown(goes_on ? was->second.received_bytes : 0, of.received_bytes, most),
                        grown(goes_on ? was->second.sent_bytes : 0, of.sent_bytes, most));
        if (!added) return added;
    }
    for (auto& [id, of] : last.networks)
        if (own->contains(id)) networks.try_emplace(id, std::move(of));
    last.networks = std::move(networks);
    last.at = now;
    return {};
}

std::string kept_as(const Counted& counted) {
    if (!counted.at) return "";
    wire::HealthReport kept;
    for (const auto& [id, of] : counted.networks) kept.traffic.push_back(of);
    return encode(kept);
}

}  // namespace

Result<void> keep_traffic(Database& db, const Key& network) {
    int64_t received = 0, sent = 0;
    {
        Statement row = db.sql(
            "SELECT received, sent FROM network_traffic WHERE tenant_id = ? AND network_id = ?",
            network.tenant_id, network.id);
        if (row.next()) {
            received = row.integer(0);
            sent = row.integer(1);
        }
        if (row.error()) return failed(*row.error());
    }
    if (auto added = add_traffic(db, {network.tenant_id, ""}, received, sent); !added) return added;
    return db
        .sql("DELETE FROM network_traffic WHERE tenant_id = ? AND network_id = ?",
             network.tenant_id, network.id)
        .run();
}

Result<void> Health::put(const Key& node, wire::HealthReport report) {
    const auto traffic = std::exchange(report.traffic, {});
    const std::string peers = encode(report);
    return store_.write([&]() -> Result<void> {
        const WallTime now = store_.clock_.now();
        auto counted = counted_last(store_.db_, node);
        if (!counted) return failed(counted.error());
        if (!traffic.empty())
            if (auto done = count_traffic(store_.db_, node, now, traffic, *counted); !done)
                return done;
        return store_.db_
            .sql(
                "INSERT INTO node_health (tenant_id, node_id, reported_at, peers, traffic, "
                "counted_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_id, node_id) DO UPDATE "
                "SET reported_at = excluded.reported_at, peers = excluded.peers, traffic = "
                "excluded.traffic, counted_at = excluded.counted_at",
                node.tenant_id, node.id, now, peers, kept_as(*counted), counted->at)
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
