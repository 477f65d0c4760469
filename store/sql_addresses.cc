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

// Those from `next` on, at most `count`; `next` becomes what is left, nothing where that was all.
std::vector<Address> take_fresh(const model::Network& network, Family family,
                                std::optional<Address>& next, size_t count) {
    std::vector<Address> addresses;
    if (!next) return addresses;
    const Address last = usable_range(*prefix_of(network, family)).last;
    while (next && addresses.size() < count) {
        addresses.push_back(*next);
        next = *next == last ? std::optional<Address>() : next->plus(1);
    }
    return addresses;
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

Result<SqlStore::Pools> SqlStore::find_pools(const Key& network) {
    constexpr const char* kReleased =
        "EXISTS (SELECT 1 FROM released_addresses r WHERE r.tenant_id = n.tenant_id AND "
        "r.network_id = n.id AND r.family = ?)";
    static const std::string query = fmt::format(
        "SELECT ipv4_next, {0}, ipv6_next, {0} FROM networks n WHERE tenant_id = ? AND "
        "id = ?",
        kReleased);
    Statement row = db_.sql(query, Family::V4, Family::V6, network.tenant_id, network.id);
    Pools pools;
    if (row.next())
        pools = {{row.address(0), row.integer(1) != 0}, {row.address(2), row.integer(3) != 0}};
    if (row.error()) return failed(*row.error());
    return pools;
}

Result<std::vector<Address>> SqlStore::allocate_fresh(const model::Network& network, Family family,
                                                      std::optional<Address> next, size_t count) {
    std::vector<Address> addresses = take_fresh(network, family, next, count);
    if (addresses.empty()) return addresses;
    auto moved = db_.sql(family == Family::V4
                             ? "UPDATE networks SET ipv4_next = ? WHERE tenant_id = ? AND id = ?"
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
    auto pools = find_pools({network.tenant_id, network.id});
    if (!pools) return failed(pools.error());
    const Pool& pool = family == Family::V4 ? pools->ipv4 : pools->ipv6;
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

// An address of each family that the network has a prefix of, for one more node of it.
Result<SqlStore::Place> SqlStore::allocate_place(const model::Network& network, Pools pools) {
    Place place;
    for (const Family family : {Family::V4, Family::V6}) {
        if (!prefix_of(network, family)) continue;
        Pool& pool = family == Family::V4 ? pools.ipv4 : pools.ipv6;
        std::vector<Address> found;
        if (pool.has_released) {
            auto released = allocate_released(network, family, 1);
            if (!released) return failed(released.error());
            found = std::move(*released);
        }
        if (found.empty()) found = take_fresh(network, family, pool.next, 1);
        if (found.empty()) return failed(exhausted(network, family));
        (family == Family::V4 ? place.ipv4 : place.ipv6) = found.front();
    }
    auto taken = db_.sql(
                        "UPDATE networks SET ipv4_next = ?, ipv6_next = ?, node_count = "
                        "node_count + 1 WHERE tenant_id = ? AND id = ?",
                        pools.ipv4.next, pools.ipv6.next, network.tenant_id, network.id)
                     .run();
    if (!taken) return failed(taken.error());
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
