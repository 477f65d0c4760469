// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the relay's nftables table holds: its chains and rules, and a pair as two elements of a map.
// Pure. relay/README.md says how a packet goes through it.

#include <array>
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "netlink/nft_types.h"
#include "relay/pair_host.h"

namespace cvlan::relay {

// Two nodes that speak through a port of ours. All addresses are of one family; both nodes send to
// the same of our addresses.
struct Pair {
    std::string name;  // who they are: 1 to 120 printable bytes, not two pairs of a family the same
    Address own;
    uint16_t port = 0;  // of ours
    Endpoint a;         // where the one node is seen, behind its NAT
    Endpoint b;

    bool operator==(const Pair&) const = default;
};

struct PairState {
    Pair pair;
    Traffic from_a;
    Traffic from_b;
    std::chrono::milliseconds expires_in{};
};

constexpr const char* kTable = "cvlan_relay";
// Tells our table from another's, and its layout from an older one's.
constexpr std::string_view kTableComment = "cvlan-relay 1";
constexpr std::string_view kTableCommentStart = "cvlan-relay ";
// Of the agent's marks 0xCA000000/0xFF000000, so that no agent on this machine routes what we
// forward; with this bit set, so that none of them is one of ours (reconcile/marks.h).
constexpr uint32_t kMark = 0xCA800000;
constexpr uint32_t kMarkMask = 0xFF800000;
constexpr size_t kMostOwn = 32;  // rules are looked through one by one

// Those that forward, for the given addresses of ours.
std::vector<netlink::nft::Set> forwarding_sets();
std::vector<netlink::nft::Chain> forwarding_chains();
std::vector<netlink::nft::Rule> forwarding_rules(std::span<const Address> own);

// The name of the map for this family.
std::string pairs_map(Family family);

// Code::Invalid where a pair can not be: families, ports, addresses that no packet may be sent to.
Result<void> check_pair(const Pair& pair, std::span<const Address> own);

// What comes from `a` and what comes from `b`, as elements of pairs_map().
std::array<netlink::nft::Element, 2> elements_of(const Pair& pair, std::chrono::seconds timeout);

// One direction of a pair, read from an element; nothing where it is none of ours.
struct Direction {
    Pair pair;  // as told by the element alone
    bool is_from_a = false;
    Traffic traffic;
    std::chrono::milliseconds expires_in{};
};
std::optional<Direction> direction_of(const netlink::nft::Element& element);

// Pairs of which both directions are there.
std::vector<PairState> joined(std::span<const netlink::nft::Element> elements);

}  // namespace cvlan::relay
