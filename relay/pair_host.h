// SPDX-License-Identifier: Apache-2.0
#pragma once

// The seam to the relay's kernel, which forwards a pair's packets by itself: the real one
// (nftables) and a fake in tests. What is put stays for kPairLife, also when no process is there
// any more, and a relay that starts finds it by pairs().

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ip.h"
#include "base/result.h"

namespace cvlan::relay {

// Of two keys of a tenant, in whatever order; the same in every life of a relay.
using PairId = std::array<uint8_t, 16>;

inline constexpr std::chrono::seconds kPairLife{300};  // without refresh()

// What comes from `first` to the relay's port goes to `second` from that port, and back. Both are
// of one family; a pair that has both families is two of these.
struct ForwardedPair {
    PairId id{};
    Address own{};      // of the relay, as the machine knows it: both send there
    uint16_t port = 0;  // of the relay
    Endpoint first{};
    Endpoint second{};
    auto operator<=>(const ForwardedPair&) const = default;
};

struct PairCount {
    ForwardedPair pair;
    uint64_t packets = 0;  // in both directions
    uint64_t bytes = 0;
};

struct Traffic {
    uint64_t packets = 0;
    uint64_t bytes = 0;  // with IP headers

    bool operator==(const Traffic&) const = default;
};

class PairHost {
public:
    virtual ~PairHost() = default;
    // In one step with the removal of what it replaces.
    virtual Result<void> put_pair(const ForwardedPair& pair,
                                  const std::optional<ForwardedPair>& instead_of) = 0;
    // It lives for kPairLife from now on; one that is there no more is made anew.
    virtual Result<void> refresh(const ForwardedPair& pair) = 0;
    // Absent is success.
    virtual Result<void> remove_pair(const ForwardedPair& pair) = 0;
    virtual Result<std::vector<PairCount>> pairs() = 0;
    // Of all pairs since the rules were made, those that are gone included; without a walk over
    // them.
    virtual Result<Traffic> traffic() = 0;
    // Now and then: what somebody has changed of it becomes as it was.
    virtual Result<void> look() = 0;
};

}  // namespace cvlan::relay
