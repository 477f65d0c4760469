// SPDX-License-Identifier: Apache-2.0
#pragma once

// The marks by which our objects in the kernel are known as ours. Whatever does not carry them is
// foreign: never changed, never removed.

#include <cstdint>
#include <string>
#include <string_view>

namespace cvlan::reconcile {

constexpr uint8_t kProtocol = 202;  // of routes and rules (0xCA)
constexpr uint32_t kTableBase = 52000;
constexpr uint32_t kPriorityBase = 5200;
constexpr uint32_t kMarkBase = 0xCA000000;
constexpr uint32_t kMarkMask = 0xFF000000;
constexpr uint32_t kIfIdBase = 0xCA000000;  // of xfrm interfaces
// A node's networks are numbered 0..999 by the agent; table, priority, mark and if_id are base +
// number.
constexpr uint32_t kIndexes = 1000;

// "cv-" and the first 10 characters of base32(SHA-256(network id)).
std::string device_name(std::string_view network_id);
// "cx-" and the same: its xfrm interface. A network that changes its data plane has both.
std::string xfrm_device_name(std::string_view network_id);
inline bool is_xfrm_device(std::string_view device) { return device.starts_with("cx-"); }
// Of the network namespaces of a vrouter's tenants: before the tenant's id.
inline constexpr std::string_view kTenantNetns = "cvlan-";

// "cvlan:<network id>", the ifalias of its device; back again, empty if `alias` is not of ours.
std::string alias_of(std::string_view network_id);
std::string network_of_alias(std::string_view alias);

inline bool is_our_table(uint32_t table) {
    return table >= kTableBase && table < kTableBase + kIndexes;
}
inline bool is_our_if_id(uint32_t if_id) {
    return if_id >= kIfIdBase && if_id < kIfIdBase + kIndexes;
}
inline bool is_our_priority(uint32_t priority) {
    return priority >= kPriorityBase && priority < kPriorityBase + kIndexes;
}

}  // namespace cvlan::reconcile
