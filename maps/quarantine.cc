// SPDX-License-Identifier: Apache-2.0
#include "maps/quarantine.h"

namespace cvlan::maps {

std::optional<std::string> fault_of(const model::Network& network) {
    if (auto good = model::check_name("name", network.name); !good) return good.error().message;
    if (!network.ipv4 && !network.ipv6) return "it has no prefix";
    if (network.ipv4 && network.ipv4->family() != Family::V4) return "its IPv4 prefix is none";
    if (network.ipv6 && network.ipv6->family() != Family::V6) return "its IPv6 prefix is none";
    if (network.mtu < 576) return fmt::format("mtu {} is below 576", network.mtu);
    return std::nullopt;
}

std::optional<std::string> fault_of(const std::string& node_name,
                                    const model::Membership& membership,
                                    const model::Network& network) {
    if (auto good = model::check_name("name", node_name); !good) return good.error().message;
    if (auto good = model::check_wireguard_key(membership.wireguard_key); !good)
        return "its WireGuard key " + good.error().message;
    if (!membership.ipv4 && !membership.ipv6) return "it has no address";
    if (membership.ipv4 && !(network.ipv4 && network.ipv4->contains(*membership.ipv4)))
        return fmt::format("{} is not in the network", membership.ipv4->text());
    if (membership.ipv6 && !(network.ipv6 && network.ipv6->contains(*membership.ipv6)))
        return fmt::format("{} is not in the network", membership.ipv6->text());
    return std::nullopt;
}

bool Quarantine::put(const Place& place, const std::optional<std::string>& reason, WallTime now) {
    const std::lock_guard lock(mutex_);
    const auto known = objects_.find(place);
    if (!reason) {
        if (known == objects_.end()) return false;
        objects_.erase(known);
        return true;
    }
    if (known != objects_.end() && known->second.reason == *reason) return false;
    objects_.insert_or_assign(place, Quarantined{place, *reason, now});
    return true;
}

bool Quarantine::has(const Place& place) const {
    const std::lock_guard lock(mutex_);
    return objects_.contains(place);
}

void Quarantine::erase_node(const std::string& tenant_id, const std::string& node_id) {
    const std::lock_guard lock(mutex_);
    std::erase_if(objects_, [&](const auto& entry) {
        return entry.first.tenant_id == tenant_id && entry.first.node_id == node_id;
    });
}

void Quarantine::erase_tenant(const std::string& tenant_id) {
    const std::lock_guard lock(mutex_);
    std::erase_if(objects_, [&](const auto& entry) { return entry.first.tenant_id == tenant_id; });
}

std::vector<Quarantined> Quarantine::list(const std::optional<std::string>& tenant_id) const {
    const std::lock_guard lock(mutex_);
    std::vector<Quarantined> all;
    for (const auto& [place, object] : objects_)
        if (!tenant_id || place.tenant_id == *tenant_id) all.push_back(object);
    return all;
}

size_t Quarantine::size() const {
    const std::lock_guard lock(mutex_);
    return objects_.size();
}

}  // namespace cvlan::maps
