// SPDX-License-Identifier: Apache-2.0
#include <set>

#include "store/prefix_rules.h"
#include "store/sql_connections.h"
#include "store/sql_pages.h"
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

constexpr const char* kSelect =
    "SELECT tenant_id, id, name, mtu, ipv4_first, ipv4_length, ipv6_first, ipv6_length, "
    "node_count, "
    "revision, created_at, data_plane, crypto_profile, topology FROM networks";

std::optional<Prefix> prefix_columns(const Statement& row, int column) {
    const auto address = row.address(column);
    if (!address) return std::nullopt;
    auto prefix = Prefix::of(*address, static_cast<uint8_t>(row.integer(column + 1)));
    if (!prefix) return std::nullopt;
    return *prefix;
}

model::Network network_row(const Statement& row) {
    model::Network network;
    network.tenant_id = row.text(0);
    network.id = row.text(1);
    network.name = row.text(2);
    network.mtu = static_cast<uint16_t>(row.integer(3));
    network.ipv4 = prefix_columns(row, 4);
    network.ipv6 = prefix_columns(row, 6);
    network.node_count = row.integer(8);
    network.revision = row.integer(9);
    network.created_at = row.time(10);
    network.data_plane = static_cast<model::DataPlane>(row.integer(11));
    network.crypto_profile = static_cast<model::CryptoProfile>(row.integer(12));
    network.topology = static_cast<model::Topology>(row.integer(13));
    return network;
}

// WireGuard has its own algorithms and no others. `field` is what was asked for.
Result<void> check_profile(model::CryptoProfile profile, model::DataPlane plane,
                           const char* field) {
    if (profile == model::CryptoProfile::Default || plane == model::DataPlane::Ipsec) return {};
    return failed(Error{Code::Invalid,
                        fmt::format("{}: FIPS_ALGORITHMS needs the data plane IPSEC: WireGuard's "
                                    "ChaCha20-Poly1305, X25519 and BLAKE2s are not approved",
                                    field),
                        0, fmt::format("/{}", field)});
}

// A vrouter passes on what WireGuard brings it.
Result<void> check_topology(model::Topology topology, model::DataPlane plane, const char* field) {
    if (topology == model::Topology::Mesh || plane == model::DataPlane::Wireguard) return {};
    return failed(Error{Code::Invalid, fmt::format("{}: HUB needs the data plane WIREGUARD", field),
                        0, fmt::format("/{}", field)});
}

Result<void> check_new(const NewNetwork& network) {
    if (auto good = model::check_name("name", network.name); !good) return good;
    if (network.ipv4)
        if (auto good = check_prefix("ipv4", *network.ipv4); !good) return good;
    if (network.ipv6)
        if (auto good = check_prefix("ipv6", *network.ipv6); !good) return good;
    if (!network.ipv4 && !network.ipv6)
        return fail(Code::Invalid, "a network needs an IPv4 or an IPv6 prefix");
    // RFC 8200 section 5: below 1280 there is no IPv6.
    if (network.mtu < 1280 || network.mtu > 9000)
        return fail(Code::Invalid, "mtu {}: must be from 1280 to 9000", network.mtu);
    auto good = check_topology(network.topology, network.data_plane, "topology");
    if (good) good = check_profile(network.crypto_profile, network.data_plane, "cryptoProfile");
    return good;
}

void bind_prefix(Statement& statement, const std::optional<Prefix>& prefix) {
    if (!prefix) {
        for (int i = 0; i < 4; ++i) statement.bind(std::optional<Address>());
        return;
    }
    statement.bind(prefix->address()).bind(prefix->last()).bind(prefix->length());
    statement.bind(usable_range(*prefix).first);
}

Result<void> check_network_name(Database& db, const std::string& tenant_id,
                                const std::string& name) {
    Statement taken =
        db.sql("SELECT 1 FROM networks WHERE tenant_id = ? AND name = ?", tenant_id, name);
    if (taken.next()) return fail(Code::Exists, "network name '{}' is taken", name);
    if (taken.error()) return failed(*taken.error());
    return {};
}

Result<void> check_overlap(Database& db, const std::string& tenant_id, const Prefix& prefix) {
    const bool is_v4 = prefix.family() == Family::V4;
    Statement row =
        db.sql(is_v4 ? "SELECT ipv4_first, ipv4_length, name FROM networks WHERE tenant_id = ? AND "
                       "ipv4_first <= ? ORDER BY ipv4_first DESC LIMIT 1"
                     : "SELECT ipv6_first, ipv6_length, name FROM networks WHERE tenant_id = ? AND "
                       "ipv6_first <= ? ORDER BY ipv6_first DESC LIMIT 1",
               tenant_id, prefix.last());
    if (row.next()) {
        const auto other = prefix_columns(row, 0);
        if (other && other->overlaps(prefix)) {
            Error error{Code::Conflict, fmt::format("{} overlaps {} of network '{}'", prefix.text(),
                                                    other->text(), row.text(2))};
            error.pointer = is_v4 ? "/ipv4" : "/ipv6";
            return failed(error);
        }
    }
    if (row.error()) return failed(*row.error());
    return {};
}

// What a vrouter has behind it, or a device that it is connected with, is no place for nodes.
Result<void> check_routes(Database& db, const std::string& tenant_id, const Prefix& prefix) {
    const bool is_v4 = prefix.family() == Family::V4;
    const auto refused = [&](const std::string& what) {
        return failed(Error{Code::Conflict, fmt::format("{} overlaps {}", prefix.text(), what), 0,
                            is_v4 ? "/ipv4" : "/ipv6"});
    };
    Statement rows =
        db.sql("SELECT routes, name FROM objects WHERE tenant_id = ? AND kind = ? AND routes <> ''",
               tenant_id, model::ObjectKind::Vrouter);
    while (rows.next()) {
        for (const std::string& text : split_words(rows.text(0))) {
            const auto route = Prefix::parse(text);
            if (route && route->overlaps(prefix))
                return refused(fmt::format("the route {} of vrouter '{}'", text, rows.text(1)));
        }
    }
    if (rows.error()) return failed(*rows.error());
    auto connection = connection_over(db, tenant_id, prefix);
    if (!connection) return failed(connection.error());
    if (!connection->empty()) return refused(*connection);
    return {};
}

// Nothing of what is there is to be left without an algorithm.
Result<void> check_connections(Database& db, const model::Network& wanted) {
    if (wanted.crypto_profile == model::CryptoProfile::Default) return {};
    auto all = connections_of(db, {wanted.tenant_id, wanted.id});
    if (!all) return failed(all.error());
    for (const model::Connection& connection : *all)
        if (auto good = model::check_approved(connection); !good)
            return failed(Error{Code::Conflict,
                                fmt::format("cryptoProfile: connection '{}': {}", connection.name,
                                            good.error().message),
                                0, "/cryptoProfile"});
    return {};
}

// ... nor a tunnel without its network.
Result<void> check_no_connection(Database& db, const model::Network& network) {
    auto all = connections_of(db, {network.tenant_id, network.id});
    if (!all) return failed(all.error());
    if (all->empty()) return {};
    return fail(Code::Conflict, "network '{}' still has the ipsec connection '{}'", network.name,
                all->front().name);
}

model::Network with(model::Network network, const NetworkChange& change) {
    network.name = change.name.value_or(network.name);
    network.data_plane = change.data_plane.value_or(network.data_plane);
    network.crypto_profile = change.crypto_profile.value_or(network.crypto_profile);
    network.topology = change.topology.value_or(network.topology);
    if (change.ipsec_tags) {
        const std::set<std::string> names(change.ipsec_tags->begin(), change.ipsec_tags->end());
        network.ipsec_tags.assign(names.begin(), names.end());
    }
    return network;
}

}  // namespace

Result<model::Network> SqlStore::find_network(const Scope& scope, const std::string& id) {
    Statement row =
        db_.sql(fmt::format("{} WHERE id = ?{}", kSelect, scope ? " AND tenant_id = ?" : ""), id);
    if (scope) row.bind(*scope);
    if (!row.next()) {
        if (row.error()) return failed(*row.error());
        return fail(Code::NotFound, "network {}: not found", printable(id));
    }
    model::Network network = network_row(row);
    if (auto loaded = load_ipsec_tags(db_, network); !loaded) return failed(loaded.error());
    return network;
}

// The networks of a tenant do not overlap: of those that begin before the prefix ends, the last one
// alone can reach into it.
Result<model::Network> SqlStore::create_network(const NewNetwork& wanted) {
    NewNetwork network = wanted;
    if (network.ipv6_auto) network.ipv6 = random_ula();
    if (auto good = check_new(network); !good) return failed(good.error());
    return write([&]() -> Result<model::Network> {
        const WallTime now = clock_.now();
        const Key key{network.tenant_id, new_uuid(unix_ms(now))};
        auto revision = record(key, EventKind::NetworkCreated, {key.id});
        if (!revision) return failed(revision.error());
        if (auto is_free = check_network_name(db_, key.tenant_id, network.name); !is_free)
            return failed(is_free.error());
        for (const auto& prefix : {network.ipv4, network.ipv6})
            if (prefix)
                if (auto good = check_overlap(db_, key.tenant_id, *prefix); !good)
                    return failed(good.error());
        for (const auto& prefix : {network.ipv4, network.ipv6})
            if (prefix)
                if (auto good = check_routes(db_, key.tenant_id, *prefix); !good)
                    return failed(good.error());

        Statement insert = db_.sql(
            "INSERT INTO networks (tenant_id, id, name, mtu, revision, created_at, ipv4_first, "
            "ipv4_last, ipv4_length, ipv4_next, ipv6_first, ipv6_last, ipv6_length, ipv6_next, "
            "data_plane, crypto_profile, topology) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
            "?, ?, "
            "?, ?)",
            key.tenant_id, key.id, network.name, network.mtu, *revision, now);
        bind_prefix(insert, network.ipv4);
        bind_prefix(insert, network.ipv6);
        insert.bind(static_cast<int64_t>(network.data_plane));
        insert.bind(static_cast<int64_t>(network.crypto_profile));
        insert.bind(static_cast<int64_t>(network.topology));
        if (auto done = insert.run(); !done) return failed(done.error());
        if (auto put = put_ipsec_tags(db_, key, network.ipsec_tags); !put)
            return failed(put.error());
        if (auto fits = check_quota(key.tenant_id, Quota::Networks); !fits)
            return failed(fits.error());
        return audited(find_network(key.tenant_id, key.id));
    });
}

Result<Page<model::Network>> SqlStore::networks(const Filter& filter) {
    if (auto good = check_page(filter); !good) return failed(good.error());
    return read([&]() -> Result<Page<model::Network>> {
        Statement rows = ListQuery(kSelect, filter, "id", "name")
                             .where("tenant_id = ?", filter.tenant)
                             .where("name = ?", filter.name)
                             .where("id = ?", filter.network_id)
                             .run(db_);
        auto page = read_page<model::Network>(rows, filter, network_row);
        if (!page) return page;
        for (model::Network& network : page->items)
            if (auto loaded = load_ipsec_tags(db_, network); !loaded) return failed(loaded.error());
        return page;
    });
}

Result<model::Network> SqlStore::network(const Scope& scope, const std::string& id) {
    return read([&] { return find_network(scope, id); });
}

Result<model::Network> SqlStore::change_network(const Key& key, const NetworkChange& change) {
    if (change.name)
        if (auto good = model::check_name("name", *change.name); !good) return failed(good.error());
    return write([&]() -> Result<model::Network> {
        auto network = find_network(key.tenant_id, key.id);
        if (!network) return network;
        if (auto match = check_match(cause_, network->revision); !match)
            return failed(match.error());
        const model::Network wanted = with(*network, change);
        const bool is_renamed = wanted.name != network->name;
        const bool has_other_tags = wanted.ipsec_tags != network->ipsec_tags;
        const bool is_changed = has_other_tags || wanted.data_plane != network->data_plane ||
                                wanted.crypto_profile != network->crypto_profile ||
                                wanted.topology != network->topology;
        if (!is_renamed && !is_changed) return network;
        if (auto good = check_topology(wanted.topology, wanted.data_plane,
                                       change.topology ? "topology" : "dataPlane");
            !good)
            return failed(good.error());
        if (auto good = check_profile(wanted.crypto_profile, wanted.data_plane,
                                      change.crypto_profile ? "cryptoProfile" : "dataPlane");
            !good)
            return failed(good.error());
        if (auto good = check_connections(db_, wanted); !good) return failed(good.error());
        if (is_renamed)
            if (auto is_free = check_network_name(db_, key.tenant_id, wanted.name); !is_free)
                return failed(is_free.error());
        auto revision =
            record(key, is_changed ? EventKind::NetworkChanged : EventKind::NetworkRenamed,
                   {key.id}, public_text(*network));
        if (!revision) return failed(revision.error());
        auto done = db_.sql(
                           "UPDATE networks SET name = ?, data_plane = ?, crypto_profile = ?, "
                           "topology = ?, "
                           "revision = ? WHERE tenant_id = ? AND id = ?",
                           wanted.name, static_cast<int64_t>(wanted.data_plane),
                           static_cast<int64_t>(wanted.crypto_profile),
                           static_cast<int64_t>(wanted.topology), *revision, key.tenant_id, key.id)
                        .run();
        if (done && has_other_tags) done = put_ipsec_tags(db_, key, wanted.ipsec_tags);
        if (done && has_other_tags)
            done = settle_ipsec(db_, MembershipsOf::Network, key, *revision);
        if (!done) return failed(done.error());
        return audited(find_network(key.tenant_id, key.id));
    });
}

Result<Revision> SqlStore::delete_network(const Key& key) {
    return write([&]() -> Result<Revision> {
        auto network = find_network(key.tenant_id, key.id);
        if (!network) return failed(network.error());
        if (auto match = check_match(cause_, network->revision); !match)
            return failed(match.error());
        if (network->node_count > 0)
            return fail(Code::Conflict, "network '{}' still has {} nodes", network->name,
                        network->node_count);
        // No key of the database keeps them: see migration 0016.
        Statement reserved = db_.sql(
            "SELECT 1 FROM reserved_addresses WHERE tenant_id = ? AND network_id = ? LIMIT 1",
            key.tenant_id, key.id);
        if (reserved.next())
            return fail(Code::Conflict, "network '{}' still has reserved addresses", network->name);
        if (reserved.error()) return failed(*reserved.error());
        if (auto none = check_no_connection(db_, *network); !none) return failed(none.error());
        auto revision = record(key, EventKind::NetworkDeleted, {key.id}, public_text(*network));
        if (!revision) return revision;
        if (auto dropped = drop_links_to(db_, key); !dropped) return failed(dropped.error());
        if (auto kept = keep_traffic(db_, key); !kept) return failed(kept.error());
        auto done =
            db_.sql("DELETE FROM networks WHERE tenant_id = ? AND id = ?", key.tenant_id, key.id)
                .run();
        if (!done) return failed(done.error());
        return revision;
    });
}

}  // namespace cvlan::store
