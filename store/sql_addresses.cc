// SPDX-License-Identifier: Apache-2.0
// Gives addresses: the lowest that is free. Those below `next` are in use, in quarantine or
// released; those from `next` on were never given. So the lowest released one, if any, is the
// lowest of all, and each step is one look into an index however large the network is.
#include <algorithm>
#include <chrono>

#include "store/prefix_rules.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

// As long as a map lives: a peer may hold an old one that long.
constexpr std::chrono::days kQuarantine{7};

const std::optional<Prefix>& prefix_of(const model::Network& network, Family family) {
    return family == Family::V4 ? network.ipv4 : network.ipv6;
}

}  // namespace

Result<std::vector<Address>> SqlStore::allocate_released(const model::Network& network,
                                                         Family family, size_t count) {
    // Each row leaves the quarantine once, so this costs what the releases did.
    auto freed = db_.sql(
                        "UPDATE released_addresses SET is_free = 1 WHERE tenant_id = ? AND "
                        "network_id = ? AND family = ? AND is_free = 0 AND quarantined_until <= ?",
                        network.tenant_id, network.id, family, clock_.now())
                     .run();
    if (!freed) return failed(freed.error());
    Statement taken = db_.sql(
        "DELETE FROM released_addresses WHERE (tenant_id, network_id, family, address) IN ("
        "  SELECT tenant_id, network_id, family, address FROM released_addresses"
        "  WHERE tenant_id = ? AND network_id = ? AND family = ? AND is_free = 1"
        "  ORDER BY address LIMIT ?) RETURNING address",
        network.tenant_id, network.id, family, count);
    std::vector<Address> addresses;
    while (taken.next())
        if (const auto address = taken.address(0)) addresses.push_back(*address);
    if (taken.error()) return failed(*taken.error());
    std::sort(addresses.begin(), addresses.end());
    return addresses;
}

Result<SqlStore::Pool> SqlStore::find_pool(const Key& network, Family family) {
    constexpr const char* kQuery =
        "SELECT {}, EXISTS (SELECT 1 FROM released_addresses r WHERE r.tenant_id = n.tenant_id AND "
        "r.network_id = n.id AND r.family = ?) FROM networks n WHERE tenant_id = ? AND id = ?";
    static const std::string v4 = fmt::format(kQuery, "ipv4_next");
    static const std::string v6 = fmt::format(kQuery, "ipv6_next");
    Statement row = db_.sql(family == Family::V4 ? v4 : v6, family, network.tenant_id, network.id);
    Pool pool;
    if (row.next()) pool = {row.address(0), row.integer(1) != 0};
    if (row.error()) return failed(*row.error());
    return pool;
}

Result<std::vector<Address>> SqlStore::allocate_fresh(const model::Network& network, Family family,
                                                      std::optional<Address> next, size_t count) {
    const bool is_v4 = family == Family::V4;
    std::vector<Address> addresses;
    const Address last = usable_range(*prefix_of(network, family)).last;
    while (next && addresses.size() < count) {
        addresses.push_back(*next);
        next = *next == last ? std::optional<Address>() : next->plus(1);
    }
    if (addresses.empty()) return addresses;
    auto moved = db_.sql(is_v4 ? "UPDATE networks SET ipv4_next = ? WHERE tenant_id = ? AND id = ?"
                               : "UPDATE networks SET ipv6_next = ? WHERE tenant_id = ? AND id = ?",
                         next, network.tenant_id, network.id)
                     .run();
    if (!moved) return failed(moved.error());
    return addresses;
}

// The lowest that are free: fewer than asked for, where there are no more.
Result<std::vector<Address>> SqlStore::allocate_many(const model::Network& network, Family family,
                                                     size_t count) {
    if (!prefix_of(network, family)) return std::vector<Address>{};
    auto pool = find_pool({network.tenant_id, network.id}, family);
    if (!pool) return failed(pool.error());
    return allocate_from(*pool, network, family, count);
}

Result<std::vector<Address>> SqlStore::allocate_from(const Pool& pool,
                                                     const model::Network& network, Family family,
                                                     size_t count) {
    std::vector<Address> addresses;
    if (pool.has_released) {
        auto released = allocate_released(network, family, count);
        if (!released || released->size() == count) return released;
        addresses = std::move(*released);
    }
    auto fresh = allocate_fresh(network, family, pool.next, count - addresses.size());
    if (!fresh) return fresh;
    addresses.insert(addresses.end(), fresh->begin(), fresh->end());
    return addresses;
}

// An address of each family that the network has a prefix of.
Result<SqlStore::Place> SqlStore::allocate_place(const model::Network& network) {
    const Key key{network.tenant_id, network.id};
    // Both are asked before one is changed (Database::ask_ahead).
    auto ipv4 = find_pool(key, Family::V4);
    auto ipv6 = find_pool(key, Family::V6);
    if (!ipv4 || !ipv6) return failed(ipv4 ? ipv6.error() : ipv4.error());
    Place place;
    for (const Family family : {Family::V4, Family::V6}) {
        if (!prefix_of(network, family)) continue;
        const bool is_v4 = family == Family::V4;
        auto found = allocate_from(is_v4 ? *ipv4 : *ipv6, network, family, 1);
        if (!found) return failed(found.error());
        if (found->empty()) return failed(exhausted(network, family));
        (is_v4 ? place.ipv4 : place.ipv6) = found->front();
    }
    return place;
}

Error SqlStore::exhausted(const model::Network& network, Family family) {
    const auto& prefix = prefix_of(network, family);
    if (!prefix)
        return {Code::Conflict,
                fmt::format("network '{}' has no prefix of that family", network.name)};
    const std::string count = usable_count(*prefix);
    Statement held = db_.sql(
        "SELECT count(*) FROM released_addresses WHERE tenant_id = ? AND network_id = ? AND family "
        "= ?",
        network.tenant_id, network.id, family);
    const int64_t quarantined = held.next() ? held.integer(0) : 0;
    return {
        Code::Conflict,
        fmt::format("network '{}': pool exhausted {}/{}{}", network.name, count, count,
                    quarantined > 0 ? fmt::format(", {} of them in quarantine", quarantined) : "")};
}

Result<void> SqlStore::quarantine(const Key& network, const Address& address) {
    return db_
        .sql(
            "INSERT INTO released_addresses (tenant_id, network_id, family, address, "
            "quarantined_until) VALUES (?, ?, ?, ?, ?)",
            network.tenant_id, network.id, address.family(), address, clock_.now() + kQuarantine)
        .run();
}

// The addresses of all its memberships go into quarantine.
Result<void> SqlStore::release(const Key& node) {
    const WallTime until = clock_.now() + kQuarantine;
    for (const char* family : {"ipv4", "ipv6"}) {
        auto held =
            db_.sql(fmt::format("INSERT INTO released_addresses (tenant_id, network_id, family, "
                                "address, quarantined_until) SELECT tenant_id, network_id, ?, "
                                "{0}, ? FROM memberships WHERE tenant_id = ? AND node_id = ? "
                                "AND {0} IS NOT NULL",
                                family),
                    family[3] == '4' ? Family::V4 : Family::V6, until, node.tenant_id, node.id)
                .run();
        if (!held) return held;
    }
    return {};
}

}  // namespace cvlan::store
