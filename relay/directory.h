// SPDX-License-Identifier: Apache-2.0
#pragma once

// Who is where: the tenants of a relay, and of each the keys that its sessions hold grants for. A
// key is looked up in the sender's own tenant, so that no packet can cross. Loop thread only.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "relay/frame.h"
#include "relay/grant.h"
#include "relay/token_bucket.h"

namespace cvlan::relay {

class Session;

// Nodes choose their keys: a hash that they could predict would let one fill a bucket.
struct KeyHash {
    size_t operator()(const Key& key) const noexcept;
};

struct TenantLimits {
    size_t sessions = 10'000;
    uint64_t packets_a_second = 200'000;    // 0: no limit
    uint64_t bytes_a_second = 250'000'000;  // of frames; 0: no limit
};

// Where packets for a key go.
struct Place {
    Session* session = nullptr;
    uint32_t network = 0;
    // Who has sent to it of late, by session id, the last one first: they hear of its end.
    std::vector<uint64_t> senders{};
    static constexpr size_t kSenders = 64;
    void heard_from(uint64_t session_id);
};

struct Tenant {
    Tenant(TenantTrust from, const TenantLimits& limits)
        : trust(std::move(from)), packets(limits.packets_a_second), bytes(limits.bytes_a_second) {}

    // The same number for the same network, for as long as the tenant is here.
    uint32_t network_number(const std::string& network_id);
    std::string_view network_name(uint32_t number) const { return network_names[number - 1]; }
    Place* find(const Key& key) {
        const auto found = places.find(key);
        return found == places.end() ? nullptr : &found->second;
    }

    TenantTrust trust;
    std::unordered_map<Key, Place, KeyHash> places;
    std::map<std::string, uint32_t, std::less<>> networks;
    std::vector<std::string> network_names;
    size_t sessions = 0;
    TokenBucket packets;
    TokenBucket bytes;
};

}  // namespace cvlan::relay
