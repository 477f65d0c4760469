// SPDX-License-Identifier: Apache-2.0
// Gives addresses: the lowest that is free. Those below `next` are in use, in quarantine or
// released; those from `next` on were never given. So the lowest released one, if any, is the
// lowest of all, and each step is one look into an index however large the network is.
#include <chrono>

#include "store/prefix_rules.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

// As long as a map lives: a peer may hold an old one that long.
constexpr std::chrono::days kQuarantine{7};

}  // namespace

Result<std::optional<Address>> SqlStore::allocate_released(const model::Network& network,
                                                           Family family) {
    // Each row leaves the quarantine once, so this costs what the releases did.
    auto freed = db_.sql(
                        "UPDATE released_addresses SET is_free = 1 WHERE tenant_id = ? AND "
                        "network_id = ? AND family = ? AND is_free = 0 AND quarantined_until <= ?",
                        network.tenant_id, network.id, family, clock_.now())
                     .run();
    if (!freed) return failed(freed.error());
    Statement taken = db_.sql(
        "DELETE FROM released_addresses WHERE (tenant_id, network_id, family, address) = ("
        "  SELECT tenant_id, network_id, family, address FROM released_addresses"
        "  WHERE tenant_id = ? AND network_id = ? AND family = ? AND is_free = 1"
        "  ORDER BY address LIMIT 1) RETURNING address",
        network.tenant_id, network.id, family);
    std::optional<Address> address;
    if (taken.next()) address = taken.address(0);
    if (taken.error()) return failed(*taken.error());
    return address;
}

Result<std::optional<Address>> SqlStore::allocate_fresh(const model::Network& network,
                                                        Family family) {
    const bool is_v4 = family == Family::V4;
    std::optional<Address> address;
    {
        Statement next =
            db_.sql(is_v4 ? "SELECT ipv4_next FROM networks WHERE tenant_id = ? AND id = ?"
                          : "SELECT ipv6_next FROM networks WHERE tenant_id = ? AND id = ?",
                    network.tenant_id, network.id);
        if (next.next()) address = next.address(0);
        if (next.error()) return failed(*next.error());
    }
    if (!address) return address;
    std::optional<Address> after;
    if (*address != usable_range(is_v4 ? *network.ipv4 : *network.ipv6).last)
        after = address->plus(1);
    auto moved = db_.sql(is_v4 ? "UPDATE networks SET ipv4_next = ? WHERE tenant_id = ? AND id = ?"
                               : "UPDATE networks SET ipv6_next = ? WHERE tenant_id = ? AND id = ?",
                         after, network.tenant_id, network.id)
                     .run();
    if (!moved) return failed(moved.error());
    return address;
}

// No address, where the network has no prefix of that family.
Result<std::optional<Address>> SqlStore::allocate(const model::Network& network, Family family) {
    const auto& prefix = family == Family::V4 ? network.ipv4 : network.ipv6;
    if (!prefix) return std::nullopt;
    auto address = allocate_released(network, family);
    if (!address || *address) return address;
    address = allocate_fresh(network, family);
    if (!address || *address) return address;

    const std::string count = usable_count(*prefix);
    Statement held = db_.sql(
        "SELECT count(*) FROM released_addresses WHERE tenant_id = ? AND network_id = ? AND family "
        "= ?",
        network.tenant_id, network.id, family);
    const int64_t quarantined = held.next() ? held.integer(0) : 0;
    return fail(Code::Conflict, "network '{}': pool exhausted {}/{}{}", network.name, count, count,
                quarantined > 0 ? fmt::format(", {} of them in quarantine", quarantined) : "");
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
